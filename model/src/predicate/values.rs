//! Sets of values that take no more memory than what is in them: nearly every rule has some of one
//! or two values, and all rules are held in memory.

use super::Value;
use std::collections::BTreeSet;

/// Values in order, each once.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Values(Box<[Value]>);

impl Values {
    /// The values in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Value> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this is one of them.
    pub fn contains(&self, value: &Value) -> bool {
        self.0.binary_search(value).is_ok()
    }

    pub(super) fn is_subset(&self, of: &Self) -> bool {
        self.iter().all(|value| of.contains(value))
    }

    pub(super) fn is_disjoint(&self, of: &Self) -> bool {
        !self.iter().any(|value| of.contains(value))
    }

    pub(super) fn union(&self, with: &Self) -> Self {
        self.iter().chain(with.iter()).cloned().collect()
    }

    pub(super) fn intersection(&self, with: &Self) -> Self {
        let both = self.iter().filter(|value| with.contains(value));
        both.cloned().collect()
    }

    pub(super) fn difference(&self, without: &Self) -> Self {
        let left = self.iter().filter(|value| !without.contains(value));
        left.cloned().collect()
    }
}

impl FromIterator<Value> for Values {
    fn from_iter<I: IntoIterator<Item = Value>>(values: I) -> Self {
        let values: BTreeSet<Value> = values.into_iter().collect();
        Self(values.into_iter().collect())
    }
}

impl<'a> IntoIterator for &'a Values {
    type Item = &'a Value;
    type IntoIter = std::slice::Iter<'a, Value>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(texts: &[&str]) -> Values {
        let texts = texts.iter().map(|text| Value::Text((*text).to_owned()));
        texts.collect()
    }

    #[test]
    fn they_are_sets() {
        let (some, others) = (of(&["c", "a", "b", "a"]), of(&["b", "d"]));
        assert_eq!(some, of(&["a", "b", "c"]));
        assert_eq!((some.len(), some.is_empty()), (3, false));
        assert_eq!(some.union(&others), of(&["a", "b", "c", "d"]));
        assert_eq!(some.intersection(&others), of(&["b"]));
        assert_eq!(some.difference(&others), of(&["a", "c"]));
        assert!(of(&["a", "c"]).is_subset(&some) && !others.is_subset(&some));
        assert!(of(&["d"]).is_disjoint(&some) && !others.is_disjoint(&some));
        assert!(of(&[]).is_empty() && of(&[]).is_subset(&some) && of(&[]).is_disjoint(&some));
    }
}
