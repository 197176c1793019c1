//! Scripts that mean harm.
//!
//! Each runs in a process of its own, because what they aim at is the process: its stack, its
//! memory, its end. The child reports what became of the script, how long it took and how much
//! memory the process held at most.

mod scripts;

use crate::child::{self, peak_kib};
use crate::support::{World, ended};
use scripts::{Script, scripts};
use smarttasks_rules::{Limits, Pool};
use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// The most that a child may have held, over what the test binary holds by itself: the cap of
/// 32 MiB, what one native function may take beyond it, and the stack that was touched.
const MOST_KIB: u64 = 96 * 1024;

/// No script takes this long; one that does hangs.
const HANG: Duration = Duration::from_secs(60);

/// Children at a time.
const AT_ONCE: usize = 2;

/// The environment variable that makes this binary a child.
const SCRIPT: &str = "SMARTTASKS_HOSTILE_SCRIPT";

/// Not a test of its own: the child's side of [`ending`]. Without its variable it has nothing to
/// do.
#[test]
fn child() {
    let Ok(number) = std::env::var(SCRIPT) else {
        return;
    };
    let number: usize = number.parse().unwrap();
    let (_, _, script) = scripts().swap_remove(number);
    // Which end an endless run comes to takes as long as the square of its length.
    let world = World::within(Limits {
        journal_entries: 300,
        ..Limits::default()
    });
    let pool = Pool::new(world.language.clone(), 1).unwrap();
    let (answer, answered) = channel();
    pool.run(move || {
        let begun = Instant::now();
        // As when it is saved. Whatever that says, it runs: what harms is not always wrong.
        let analysis = world.language.analyse(&script, &[]);
        assert!(analysis.diagnostics.len() <= 100);
        let fate = match world.language.compile(&script) {
            Err(found) => format!("refused {}", found[0].code),
            Ok(program) => {
                let walk = world.clone().walked(&program, ended);
                match walk.error {
                    Some(error) => format!("failed {}", error.code),
                    None => format!("ended {}", walk.actions.len()),
                }
            }
        };
        let took = begun.elapsed();
        // The language is as good as new.
        let mut last = world.run("task.tag(\"fine\")");
        assert_eq!(last.actions.pop().unwrap().name(), "task.tag");
        let _ = answer.send((fate, took));
    });
    let (fate, took) = answered.recv().unwrap();
    child::answer(&format!("{fate};{};{}", took.as_millis(), peak_kib()));
}

/// What became of a script.
struct Ending {
    number: usize,
    fate: String,
    /// Compiling and evaluating it.
    took_ms: u64,
    peak_kib: u64,
}

/// Runs a script in a child.
fn ending(number: usize, name: &str) -> Ending {
    let number_text = number.to_string();
    let answer = child::ask(name, "hostile::child", &[(SCRIPT, &number_text)], HANG);
    let mut parts = answer.split(';');
    let mut next = || parts.next().unwrap();
    Ending {
        number,
        fate: next().to_owned(),
        took_ms: next().parse().unwrap(),
        peak_kib: next().parse().unwrap(),
    }
}

/// Runs them all, a few at a time.
fn endings(scripts: &[Script]) -> Vec<Ending> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut endings = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some((name, ..)) = scripts.get(number) else {
                return endings;
            };
            endings.push(ending(number, name));
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap())
            .collect()
    })
}

#[test]
fn no_script_harms_its_process() {
    let scripts = scripts();
    let endings = endings(&scripts);
    let mut wrong = Vec::new();
    for ending in &endings {
        let (name, expected, _) = &scripts[ending.number];
        let fate = &ending.fate;
        // On a busy machine the wall clock may stop any of them first.
        let stopped = fate == "failed limit_time";
        if !stopped && !expected.split('|').any(|expected| fate == expected) {
            wrong.push(format!("{name}: {fate}, not {expected}"));
        }
        if ending.peak_kib > MOST_KIB {
            wrong.push(format!("{name}: held {} KiB", ending.peak_kib));
        }
    }
    let slowest = endings.iter().max_by_key(|ending| ending.took_ms).unwrap();
    let largest = endings.iter().max_by_key(|ending| ending.peak_kib).unwrap();
    child::report(&format!(
        "{} hostile scripts; the slowest took {} ms ({}); the most memory held by a process was {} KiB ({})",
        endings.len(),
        slowest.took_ms,
        scripts[slowest.number].0,
        largest.peak_kib,
        scripts[largest.number].0,
    ));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn there_are_at_least_a_hundred_of_them_and_no_two_are_the_same() {
    let scripts = scripts();
    let distinct: HashSet<&str> = scripts.iter().map(|(_, _, script)| &**script).collect();
    assert_eq!(distinct.len(), scripts.len());
    let names: HashSet<&str> = scripts.iter().map(|(name, ..)| *name).collect();
    assert_eq!(names.len(), scripts.len(), "each has a name of its own");
    assert!(distinct.len() >= 100, "{}", distinct.len());
}
