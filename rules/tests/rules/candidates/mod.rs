//! When a script may act, as a predicate.

mod property;
mod words;
