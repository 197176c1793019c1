//! Which rules an event concerns: the index over rules against evaluating every rule.
//!
//! `cargo run --release -p smarttasks-benches --bin index [most rules]` needs no server. For each
//! case and number of rules it says what an event costs on one thread, from its JSON on: until the
//! rules are known that it concerns, until their scripts are evaluated, and when every script is:
//! microseconds of processor time.

use smarttasks_benches::rules::{CASES, Rules, by_count};
use smarttasks_benches::{Failure, each, thread_time};
use smarttasks_model::Clock;
use smarttasks_rules::{Language, Limits};
use std::io::Write;
use std::time::Duration;

#[global_allocator]
static HEAP: smarttasks_heap::Counting = smarttasks_heap::Counting;

/// Rules that are added, changed and removed.
const CHANGES: usize = 20_000;

fn main() -> Result<(), Failure> {
    by_count(measure)
}

fn measure(counts: &[usize]) -> Result<(), Failure> {
    let (language, now) = (Language::new(Limits::default()), Clock::system().now());
    let mut out = std::io::stdout();
    for case in CASES {
        writeln!(out, "\n{}", case.name)?;
        writeln!(
            out,
            "  rules |  asked | matched | µs until known | µs evaluated too | µs every rule | µs parsing"
        )?;
        let mut last = None;
        for count in counts {
            let rules = Rules::of(&language, case, *count, now)?;
            writeln!(out, "{}", row(&rules, &case.event(now)?)?)?;
            last = Some(rules);
        }
        if let Some(rules) = last {
            writeln!(out, "{}", costs(rules)?)?;
        }
    }
    Ok(())
}

fn row(rules: &Rules, json: &str) -> Result<String, Failure> {
    let parsing = each(|| Ok(rules.inputs(json)?.task.is_some()))?;
    let known = each(|| rules.find(json))?;
    let evaluated = each(|| rules.evaluate(json))?;
    let every = each(|| rules.evaluate_all(json))?;
    if evaluated.found != every.found {
        return Err(format!("{} match, not {}", every.found, evaluated.found).into());
    }
    Ok(format!(
        "{:>7} | {:>6} | {:>7} | {:>14.2} | {:>16.2} | {:>13.2} | {:>10.2}",
        rules.count(),
        known.found.asked,
        evaluated.found,
        known.micros,
        evaluated.micros,
        every.micros,
        parsing.micros
    ))
}

fn costs(mut rules: Rules) -> Result<String, Failure> {
    let [added, changed, removed] = changes(&mut rules)?;
    let made = &rules.costs;
    Ok(format!(
        "  to compile and analyse {} scripts: {:.1?}; to index the rules: {:.1?}\n  \
         memory: index {} kB, predicates {} kB; programs {} kB while they are kept\n  \
         to add one: {added:.1?}; to change one: {changed:.1?}; to remove one: {removed:.1?}",
        made.scripts,
        made.compiling,
        made.indexing,
        made.index / 1_000,
        made.predicates / 1_000,
        made.programs / 1_000,
    ))
}

/// What one more rule costs, one that changes and one that goes, of many.
fn changes(rules: &mut Rules) -> Result<[Duration; 3], Failure> {
    let (count, some) = (rules.count(), CHANGES.min(rules.count()));
    let each = |change: &mut dyn FnMut(usize)| {
        let started = thread_time()?;
        (0..some).for_each(change);
        let took = thread_time()?.saturating_sub(started);
        Ok::<_, Failure>(took / u32::try_from(some)?)
    };
    Ok([
        each(&mut |number| rules.insert(count + number, number))?,
        each(&mut |number| rules.insert(count + number, count - 1 - number))?,
        each(&mut |number| rules.remove(count + number))?,
    ])
}
