//! Intervals, in an order in which those that meet a place are found without looking at the others.
//!
//! A treap, ordered by where intervals begin, in which every node knows how far those below it reach
//! (the interval tree of Cormen et al., *Introduction to Algorithms*, 17.3). Heights are drawn at random by a
//! key that only this process knows, so that nobody can choose intervals that make it deep.

use super::{Slot, Slots};
use std::borrow::Borrow;
use std::hash::{BuildHasher, RandomState};

/// Where an interval ends.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum End<T> {
    At(T),
    Open,
}

/// An interval that holds both of its ends. One without a beginning is before all others.
type Interval<T> = (Option<T>, End<T>);

type Tree<T> = Option<Box<Node<T>>>;

struct Node<T> {
    interval: Interval<T>,
    slots: Slots,
    /// How far the intervals from here down reach.
    reach: End<T>,
    height: u64,
    left: Tree<T>,
    right: Tree<T>,
}

/// Slots by intervals.
pub(super) struct Intervals<T> {
    root: Tree<T>,
    heights: RandomState,
    drawn: u64,
}

impl<T> Default for Intervals<T> {
    fn default() -> Self {
        Self {
            root: None,
            heights: RandomState::new(),
            drawn: 0,
        }
    }
}

impl<T: Ord + Clone> Intervals<T> {
    pub(super) fn insert(&mut self, min: Option<T>, max: Option<T>, slot: Slot) {
        let interval = (min, max.map_or(End::Open, End::At));
        if let Some(node) = find(&mut self.root, &interval) {
            node.slots.insert(slot);
            return;
        }
        self.drawn += 1;
        let node = Node {
            reach: interval.1.clone(),
            slots: Slots::from([slot]),
            height: self.heights.hash_one(self.drawn),
            left: None,
            right: None,
            interval,
        };
        let (before, after) = split(self.root.take(), &node.interval);
        self.root = merge(merge(before, Some(Box::new(node))), after);
    }

    pub(super) fn remove(&mut self, min: Option<T>, max: Option<T>, slot: Slot) {
        let interval = (min, max.map_or(End::Open, End::At));
        let Some(node) = find(&mut self.root, &interval) else {
            return;
        };
        node.slots.remove(&slot);
        if node.slots.is_empty() {
            take_out(&mut self.root, &interval);
        }
    }

    /// The slots of the intervals that hold anything from `from` to `to`.
    pub(super) fn collect<Q: Ord + ?Sized>(&self, from: &Q, to: &Q, into: &mut Vec<Slot>)
    where
        T: Borrow<Q>,
    {
        collect(&self.root, from, to, into);
    }
}

impl<T: Ord + Clone> Node<T> {
    fn measure(&mut self) {
        let below = self.left.iter().chain(&self.right);
        let reaches = below.map(|node| &node.reach).chain([&self.interval.1]);
        if let Some(reach) = reaches.max().filter(|reach| **reach != self.reach) {
            self.reach = reach.clone();
        }
    }
}

fn find<'a, T: Ord>(tree: &'a mut Tree<T>, interval: &Interval<T>) -> Option<&'a mut Node<T>> {
    let mut at = tree.as_deref_mut();
    while let Some(node) = at {
        at = match interval.cmp(&node.interval) {
            std::cmp::Ordering::Equal => return Some(node),
            std::cmp::Ordering::Less => node.left.as_deref_mut(),
            std::cmp::Ordering::Greater => node.right.as_deref_mut(),
        };
    }
    None
}

fn collect<T, Q: Ord + ?Sized>(tree: &Tree<T>, from: &Q, to: &Q, into: &mut Vec<Slot>)
where
    T: Borrow<Q>,
{
    let reaches = |end: &End<T>| match end {
        End::At(end) => end.borrow() >= from,
        End::Open => true,
    };
    let mut at = tree.as_deref();
    while let Some(node) = at.filter(|node| reaches(&node.reach)) {
        collect(&node.left, from, to, into);
        let begin = node.interval.0.as_ref();
        if begin.is_some_and(|begin| begin.borrow() > to) {
            return;
        }
        if reaches(&node.interval.1) {
            into.extend(&node.slots);
        }
        at = node.right.as_deref();
    }
}

/// What comes before an interval that is not there, and what behind it.
fn split<T: Ord + Clone>(tree: Tree<T>, at: &Interval<T>) -> (Tree<T>, Tree<T>) {
    let Some(mut node) = tree else {
        return (None, None);
    };
    let (before, after);
    if node.interval < *at {
        (node.right, after) = split(node.right.take(), at);
        node.measure();
        before = Some(node);
    } else {
        (before, node.left) = split(node.left.take(), at);
        node.measure();
        after = Some(node);
    }
    (before, after)
}

/// One tree of two, of which the second is behind the first.
fn merge<T: Ord + Clone>(before: Tree<T>, after: Tree<T>) -> Tree<T> {
    let (mut before, mut after) = match (before, after) {
        (one, None) | (None, one) => return one,
        (Some(before), Some(after)) => (before, after),
    };
    if before.height > after.height {
        before.right = merge(before.right.take(), Some(after));
        before.measure();
        Some(before)
    } else {
        after.left = merge(Some(before), after.left.take());
        after.measure();
        Some(after)
    }
}

fn take_out<T: Ord + Clone>(tree: &mut Tree<T>, interval: &Interval<T>) {
    let Some(mut node) = tree.take() else {
        return;
    };
    *tree = match interval.cmp(&node.interval) {
        std::cmp::Ordering::Equal => merge(node.left.take(), node.right.take()),
        order => {
            let below = match order {
                std::cmp::Ordering::Less => &mut node.left,
                _ => &mut node.right,
            };
            take_out(below, interval);
            node.measure();
            Some(node)
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(intervals: &Intervals<i64>, from: i64, to: i64) -> Vec<Slot> {
        let mut slots = Vec::new();
        intervals.collect(&from, &to, &mut slots);
        slots.sort_unstable();
        slots
    }

    #[test]
    fn exactly_the_intervals_that_meet_a_place_are_found() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut intervals = Intervals::default();
        let mut there: Vec<(Option<i64>, Option<i64>, Slot)> = Vec::new();
        for slot in 0..2_000 {
            let mut end = || random.bool().then(|| random.i64(0..100));
            let (min, max) = match (end(), end()) {
                (Some(a), Some(b)) => (Some(a.min(b)), Some(a.max(b))),
                ends => ends,
            };
            intervals.insert(min, max, slot);
            there.push((min, max, slot));
            if random.u8(..) < 100 {
                let (min, max, slot) = there.swap_remove(random.usize(..there.len()));
                intervals.remove(min, max, slot);
            }
            let from = random.i64(-1..=100);
            let to = from + random.i64(0..3);
            let meets = |(min, max, _): &&(Option<i64>, Option<i64>, Slot)| {
                min.is_none_or(|min| min <= to) && max.is_none_or(|max| max >= from)
            };
            let mut expected: Vec<Slot> = there.iter().filter(meets).map(|of| of.2).collect();
            expected.sort_unstable();
            assert_eq!(found(&intervals, from, to), expected);
        }
        for (min, max, slot) in there {
            intervals.remove(min, max, slot);
        }
        assert!(intervals.root.is_none());
    }

    #[test]
    fn intervals_in_order_do_not_make_it_deep() {
        fn depth<T>(tree: &Tree<T>) -> usize {
            let below = |node: &Node<T>| depth(&node.left).max(depth(&node.right));
            tree.as_deref().map_or(0, |node| 1 + below(node))
        }
        let mut intervals = Intervals::default();
        for at in 0..10_000 {
            intervals.insert(Some(i64::from(at)), Some(i64::from(at) + 5), at);
        }
        assert!(depth(&intervals.root) < 80);
        assert_eq!(found(&intervals, 500, 500), (495..=500).collect::<Vec<_>>());
    }
}
