//! What the standard packages of Rhai bring: registered there, told here.
//!
//! A test holds that this tells of every function that the packages have.

mod lists;
mod maps;
mod numbers;
mod operators;
mod texts;
mod values;

use super::{WordKind, Words};

/// A signature, what it does, and an example.
type Told = (&'static str, &'static str, &'static str);

pub(super) fn define(words: &mut Words) {
    words.topic("Texts");
    tell(words, texts::WORDS);
    words.topic("Lists");
    tell(words, lists::WORDS);
    tell(words, lists::CUTTING);
    words.topic("Maps");
    tell(words, maps::WORDS);
    words.topic("Numbers");
    tell(words, numbers::WORDS);
    tell(words, numbers::TRIGONOMETRY);
    words.topic("Values");
    tell(words, values::WORDS);
    words.topic("Operators");
    for (signature, doc, example) in operators::WORDS {
        words.define(WordKind::Operator, signature, doc, example);
    }
}

fn tell(words: &mut Words, told: &[Told]) {
    for (signature, doc, example) in told {
        words.function(signature, doc, example);
    }
}
