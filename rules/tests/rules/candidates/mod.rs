//! When a script may act, as a predicate.

mod algebra;
mod property;
mod words;
