//! Which rules an event concerns: the index over rules against evaluating every rule.
//!
//! `cargo run --release -p smarttasks-benches --bin index [most rules]` needs no server. For each
//! case and number of rules it says what an event costs on one thread, from its JSON on: until the
//! rules are known that it concerns, until their scripts are evaluated, and when every script is.

mod cases;

use cases::{CASES, Case};
use smarttasks_benches::Failure;
use smarttasks_engine::RuleIndex;
use smarttasks_model::predicate::{Facts, Predicate};
use smarttasks_model::{
    Clock, Event, EventPattern, RuleId, RunId, TimeZone, Timestamp, UserId, WorkspaceId,
};
use smarttasks_rules::{Inputs, Language, Limits, Program, RuleFacts, WorkspaceFacts};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Write as _;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[global_allocator]
static HEAP: smarttasks_heap::Counting = smarttasks_heap::Counting;

/// Numbers of rules.
const COUNTS: &[usize] = &[1, 100, 1_000, 10_000, 100_000];
/// How long each figure is measured.
const LENGTH: Duration = Duration::from_millis(500);
/// What strangers' scripts may need, as in the product.
const STACK_BYTES: usize = 256 * 1024 * 1024;

fn main() -> Result<(), Failure> {
    let most = match std::env::args().nth(1) {
        None => usize::MAX,
        Some(text) => text.parse().map_err(|_| format!("{text:?} is no number"))?,
    };
    let bench = std::thread::Builder::new()
        .stack_size(STACK_BYTES)
        .spawn(move || measure(most))?;
    bench.join().map_err(|_| "the benchmark panicked")?
}

fn measure(most: usize) -> Result<(), Failure> {
    let language = Language::new(Limits::default());
    let mut out = std::io::stdout();
    for case in CASES {
        writeln!(out, "\n{}", case.name)?;
        writeln!(
            out,
            "  rules |  asked | matched | µs until known | µs evaluated too | µs every rule | µs parsing"
        )?;
        for count in COUNTS.iter().copied().filter(|count| *count <= most) {
            let rules = Rules::of(&language, case, count)?;
            writeln!(out, "{}", rules.row(case)?)?;
            if Some(&count) == COUNTS.last() || count == most {
                writeln!(out, "{}", rules.costs)?;
            }
        }
    }
    Ok(())
}

/// Rules, ready to be looked for and to be evaluated.
struct Rules {
    index: RuleIndex<Arc<Program>>,
    programs: Vec<Arc<Program>>,
    costs: String,
    now: Timestamp,
}

impl Rules {
    /// Rules whose scripts are the same share what is compiled, as in the product.
    fn of(language: &Arc<Language>, case: &Case, count: usize) -> Result<Self, Failure> {
        let (started, mut distinct) = (Instant::now(), HashMap::new());
        let mut programs = Vec::with_capacity(count);
        for script in (0..count).map(case.script) {
            let program = match distinct.entry(script) {
                Entry::Occupied(known) => Arc::clone(known.get()),
                Entry::Vacant(new) => {
                    let program = language.compile(new.key());
                    let program = program.map_err(|found| format!("{found:?}"))?;
                    Arc::clone(new.insert(Arc::new(program)))
                }
            };
            programs.push(program);
        }
        let compiling = started.elapsed();
        let held = smarttasks_heap::live();
        let copies: Vec<Predicate> = distinct
            .values()
            .map(|program| Predicate::clone(program.predicate()))
            .collect();
        let of_predicates = smarttasks_heap::live() - held;
        let scripts = copies.len();
        drop(copies);
        let patterns: [EventPattern; 1] = ["task.*".parse()?];
        let held = smarttasks_heap::live();
        let (started, mut index) = (Instant::now(), RuleIndex::default());
        for (number, program) in programs.iter().enumerate() {
            let predicate = Arc::clone(program.predicate());
            index.insert(id(number), &patterns, predicate, Arc::clone(program));
        }
        let indexing = started.elapsed();
        let of_index = smarttasks_heap::live() - held;
        let mut costs = format!(
            "  to compile and analyse {scripts} scripts: {compiling:.1?}; to index the rules: \
             {indexing:.1?}\n  memory: predicates {} kB, index {} kB\n",
            of_predicates / 1_000,
            of_index / 1_000
        );
        changes(&mut index, &programs, &patterns, &mut costs)?;
        Ok(Self {
            index,
            programs,
            costs,
            now: Clock::system().now(),
        })
    }

    fn row(&self, case: &Case) -> Result<String, Failure> {
        let json = case.event(self.now)?;
        let parsing = each(|| Ok(usize::from(self.inputs(&json)?.task.is_some())))?;
        let mut asked = 0;
        let known = each(|| {
            let inputs = self.inputs(&json)?;
            let candidates = self.index.candidates(&self.facts(&inputs));
            asked = candidates.asked;
            Ok(candidates.rules.len())
        })?;
        let evaluated = each(|| {
            let inputs = self.inputs(&json)?;
            let candidates = self.index.candidates(&self.facts(&inputs));
            Ok(matching(&inputs, candidates.rules.into_iter()))
        })?;
        let every = each(|| Ok(matching(&self.inputs(&json)?, self.programs.iter())))?;
        if evaluated.found != every.found {
            return Err(format!("{} match, not {}", every.found, evaluated.found).into());
        }
        Ok(format!(
            "{:>7} | {asked:>6} | {:>7} | {:>14.2} | {:>16.2} | {:>13.2} | {:>10.2}",
            self.programs.len(),
            evaluated.found,
            known.micros,
            evaluated.micros,
            every.micros,
            parsing.micros
        ))
    }

    fn facts<'a>(&self, inputs: &'a Inputs) -> Facts<'a> {
        Facts {
            task: inputs.task.as_deref(),
            event: &inputs.event,
            now: self.now,
        }
    }

    fn inputs(&self, json: &str) -> Result<Inputs, Failure> {
        let event: Event = serde_json::from_str(json)?;
        Ok(Inputs {
            now: self.now,
            run_id: RunId(uuid::Uuid::nil()),
            workspace: Arc::new(WorkspaceFacts {
                id: WorkspaceId(uuid::Uuid::nil()),
                name: String::new(),
                timezone: TimeZone::default(),
            }),
            rule: Arc::new(RuleFacts {
                id: id(0),
                name: String::new(),
                version: 1,
                owner_id: UserId(uuid::Uuid::nil()),
            }),
            task: event.task().cloned().map(Arc::new),
            event: Arc::new(event),
            users: Arc::default(),
            state: Arc::default(),
            journal: Arc::default(),
            answers: Arc::default(),
            spent: Duration::ZERO,
        })
    }
}

fn id(number: usize) -> RuleId {
    RuleId(uuid::Uuid::from_u128(number as u128))
}

fn matching<'a>(inputs: &Inputs, programs: impl Iterator<Item = &'a Arc<Program>>) -> usize {
    let outcomes = programs.map(|program| program.evaluate(inputs.clone()));
    outcomes
        .filter(|outcome| !outcome.actions.is_empty())
        .count()
}

/// What one more rule costs, one that changes and one that goes, of many.
fn changes(
    index: &mut RuleIndex<Arc<Program>>,
    programs: &[Arc<Program>],
    patterns: &[EventPattern],
    costs: &mut String,
) -> Result<(), Failure> {
    let some: Vec<&Arc<Program>> = programs.iter().rev().take(1_000).collect();
    let mut time = |what: &str, change: &mut dyn FnMut(usize, &Arc<Program>)| {
        let started = Instant::now();
        for (number, program) in some.iter().enumerate() {
            change(programs.len() + number, program);
        }
        let each = started.elapsed() / u32::try_from(some.len()).unwrap_or(1);
        write!(costs, "  to {what} one: {each:.1?}")
    };
    let insert = |index: &mut RuleIndex<_>, number, program: &Arc<Program>| {
        let predicate = Arc::clone(program.predicate());
        index.insert(id(number), patterns, predicate, Arc::clone(program));
    };
    time("add", &mut |number, program| insert(index, number, program))?;
    time("change", &mut |number, program| {
        insert(index, number, program)
    })?;
    time("remove", &mut |number, _| drop(index.remove(id(number))))?;
    Ok(())
}

/// How long something takes, and what it finds.
struct Took {
    micros: f64,
    found: usize,
}

fn each(mut what: impl FnMut() -> Result<usize, Failure>) -> Result<Took, Failure> {
    // Once to warm up, and to know how often it goes between two looks at the clock.
    let started = Instant::now();
    let mut found = what()?;
    let once = started.elapsed().max(Duration::from_nanos(100));
    let (started, mut times) = (Instant::now(), 0_u32);
    let between = (LENGTH.as_nanos() / once.as_nanos() / 10).clamp(1, 10_000);
    while started.elapsed() < LENGTH {
        for _ in 0..between {
            found = what()?;
            times += 1;
        }
    }
    let micros = started.elapsed().as_secs_f64() * 1e6 / f64::from(times);
    Ok(Took { micros, found })
}
