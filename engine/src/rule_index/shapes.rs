//! Event patterns by where their stars stand, so that those of an event's type are looked up and not
//! tried one by one: for each shape that occurs, the type with stars in the same places is the
//! pattern that matches it.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// How many segments a pattern has, and which of them are stars, as bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Shape {
    segments: usize,
    stars: u32,
}

impl Shape {
    fn of(pattern: &str) -> Self {
        let segments = pattern.split('.').enumerate();
        segments.fold(
            Self {
                segments: 0,
                stars: 0,
            },
            |shape, (at, segment)| Self {
                segments: at + 1,
                stars: shape.stars | u32::from(segment == "*") << at,
            },
        )
    }

    fn pattern_of(self, kind: &str) -> Cow<'_, str> {
        if self.stars == 0 {
            return Cow::Borrowed(kind);
        }
        let segments = kind.split('.').enumerate().map(|(at, segment)| {
            let star = self.stars >> at & 1 == 1;
            if star { "*" } else { segment }
        });
        Cow::Owned(segments.collect::<Vec<_>>().join("."))
    }
}

/// The shapes of a set of patterns, and of how many.
#[derive(Default)]
pub(super) struct Shapes(BTreeMap<Shape, usize>);

impl Shapes {
    pub(super) fn add(&mut self, pattern: &str) {
        *self.0.entry(Shape::of(pattern)).or_default() += 1;
    }

    pub(super) fn remove(&mut self, pattern: &str) {
        let shape = Shape::of(pattern);
        if let Some(count) = self.0.get_mut(&shape) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&shape);
            }
        }
    }

    /// The patterns of these shapes that match a type, whether they are there or not.
    pub(super) fn patterns_of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = Cow<'a, str>> {
        let segments = Shape::of(kind).segments;
        let all = self
            .0
            .keys()
            .filter(move |shape| shape.segments == segments);
        all.map(|shape| shape.pattern_of(kind))
    }
}
