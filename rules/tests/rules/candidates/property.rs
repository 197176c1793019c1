//! Whatever a script does, its predicate has held; and where the predicate of one that is exact holds,
//! it does something.
//!
//! `SMARTTASKS_PREDICATE_CASES` says how many cases are tried; a million takes minutes.
//! `SMARTTASKS_PREDICATE_SEED` repeats the script of a failure.

use fastrand::Rng;
use smarttasks_rules::samples::{World, acts, acts_or_fails, script};
use smarttasks_rules::{Language, Limits};
use std::sync::Arc;
use std::time::Duration;

/// Unless said otherwise: some seconds of a slow build.
const CASES: u64 = 20_000;

/// Worlds in which each script is tried.
const WORLDS: u64 = 8;

const CASES_VARIABLE: &str = "SMARTTASKS_PREDICATE_CASES";
const SEED_VARIABLE: &str = "SMARTTASKS_PREDICATE_SEED";

/// What came of the cases.
#[derive(Debug, Default)]
struct Tried {
    cases: u64,
    acted: u64,
    excluded: u64,
    /// Where an exact one held.
    exact: u64,
}

fn variable(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    let number = value.parse();
    Some(number.unwrap_or_else(|_| panic!("{name} must be a number, not `{value}`")))
}

fn language() -> Arc<Language> {
    Language::new(Limits {
        wall: Duration::from_secs(60),
        // Loops of random conditions may never end by themselves.
        operations: 2_000,
        ..Limits::default()
    })
}

fn try_script(language: &Arc<Language>, seed: u64, tried: &mut Tried) {
    let mut random = Rng::with_seed(seed);
    let source = script(&mut random);
    let program = language
        .compile(&source)
        .unwrap_or_else(|found| panic!("seed {seed}: {found:?}\n{source}"));
    for _ in 0..WORLDS {
        let world = World::random(&mut random);
        let holds = program.predicate().holds(&world.facts());
        let acted = acts(&program, world.inputs());
        tried.cases += 1;
        tried.acted += u64::from(acted);
        tried.excluded += u64::from(!holds);
        assert!(
            holds || !acted,
            "after {} cases: {SEED_VARIABLE}={seed}: the script acts where its predicate does not hold\n\
             {source}\npredicate: {}\n{world:#?}",
            tried.cases,
            program.predicate(),
        );
        if program.is_exact() && holds && world.task.is_some() {
            tried.exact += 1;
            assert!(
                acted || acts_or_fails(&program, world.inputs()),
                "after {} cases: {SEED_VARIABLE}={seed}: the script does nothing where its exact \
                 predicate holds\n{source}\npredicate: {}\n{world:#?}",
                tried.cases,
                program.predicate(),
            );
        }
    }
}

#[test]
fn a_script_acts_only_where_its_predicate_holds() {
    let language = language();
    let mut tried = Tried::default();
    if let Some(seed) = variable(SEED_VARIABLE) {
        return try_script(&language, seed, &mut tried);
    }
    let first = fastrand::u64(..);
    let cases = variable(CASES_VARIABLE).unwrap_or(CASES);
    for number in 0..cases.div_ceil(WORLDS) {
        try_script(&language, first.wrapping_add(number), &mut tried);
    }
    assert!(
        tried.acted * 10 >= tried.cases,
        "few scripts act: {tried:?}"
    );
    assert!(
        tried.exact * 100 >= tried.cases,
        "few predicates are exact: {tried:?}"
    );
    assert!(
        tried.excluded * 5 >= tried.cases,
        "the predicates exclude little: {tried:?}"
    );
}
