//! Every function that a script can call, called with the most extreme arguments that there are.
//!
//! In a process of its own, because what is looked for may end it: a panic in a native becomes an
//! `internal_error`, but an abort, a hang or a stack overflow takes the process along.
//!
//! `SMARTTASKS_FUZZ_CALLS` says how many combinations of arguments each function gets at most, and
//! `SMARTTASKS_FUZZ_SEED` repeats a choice of them.

mod values;

use crate::child::{self, peak_kib};
use crate::support::World;
use smarttasks_rules::{Limits, Native, Pool};
use std::fmt::Write;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// The most that the child may hold: as for a hostile script, and for the fuzz's own lists.
const MOST_KIB: u64 = 112 * 1024;

/// Combinations of arguments that each function gets, unless said otherwise.
const CALLS: usize = 16;

const CALLS_VARIABLE: &str = "SMARTTASKS_FUZZ_CALLS";
const SEED_VARIABLE: &str = "SMARTTASKS_FUZZ_SEED";

/// The environment variable that makes this binary the child.
const CHILD: &str = "SMARTTASKS_FUZZ_CHILD";

/// What the interpreter itself knows and no module holds: calls with `a`, `b`, `c` for arguments.
const BUILT_IN: &[(&str, &[&str])] = &[
    ("a[b]", &["list", "int"]),
    ("a[b]", &["list", "range"]),
    ("a[b]", &["string", "int"]),
    ("a[b]", &["string", "range"]),
    ("a[b]", &["string", "inclusive range"]),
    ("a[b]", &["int", "int"]),
    ("a[b]", &["int", "range"]),
    ("a[b]", &["bytes", "int"]),
    ("a[b]", &["bytes", "range"]),
    ("a[b]", &["map", "string"]),
    ("a[b] = c", &["list", "int", "any"]),
    ("a[b] = c", &["string", "int", "char"]),
    ("a[b] = c", &["int", "int", "bool"]),
    ("a[b] = c", &["int", "range", "int"]),
    ("a[b] = c", &["bytes", "int", "int"]),
    ("a[b] = c", &["map", "string", "any"]),
    ("a in b", &["any", "any"]),
    ("a ?? b", &["any", "any"]),
    ("a == b", &["any", "any"]),
    ("a < b", &["any", "any"]),
    ("a += b", &["any", "any"]),
    ("a -= b", &["any", "any"]),
    ("a **= b", &["any", "any"]),
    ("a <<= b", &["any", "any"]),
    ("a & b", &["any", "any"]),
    ("`${a}${b}`", &["any", "any"]),
    ("for x in a { if x == b { break; } }", &["any", "any"]),
    ("switch a { 1 => b, _ => a }", &["any", "any"]),
    ("Fn(a)", &["any"]),
    ("Fn(a).call(b, c)", &["string", "any", "any"]),
    ("a.call(b)", &["function", "any"]),
    ("call(a, b, c)", &["function", "any", "any"]),
    ("a.curry(b).call(c)", &["function", "any", "any"]),
    ("type_of(a)", &["any"]),
    ("throw a", &["any"]),
];

/// Words of the language that cannot be called as methods.
const FUNCTIONS_ONLY: &[&str] = &["debug", "print"];

/// A call of a native, with its arguments as `a`, `b`, `c`, `d`; as a method too, where it can be.
fn calls(native: &Native) -> Vec<String> {
    let name = &native.name;
    let letters = ["a", "b", "c", "d", "e", "f"];
    let arguments = &letters[..native.parameters.len()];
    if let Some(field) = name.strip_prefix("get$") {
        return vec![format!("a.{field}")];
    }
    if let Some(field) = name.strip_prefix("set$") {
        return vec![format!("a.{field} = b")];
    }
    if name == "index$get$" {
        return vec!["a[b]".to_owned()];
    }
    if name == "index$set$" {
        return vec!["a[b] = c".to_owned()];
    }
    if !name.starts_with(|first: char| first.is_alphabetic() || first == '_') {
        return vec![match arguments.len() {
            1 => format!("{name}a"),
            _ => format!("a {name} b"),
        }];
    }
    let mut calls = vec![format!("{name}({})", arguments.join(", "))];
    if let [first, rest @ ..] = arguments
        && !FUNCTIONS_ONLY.contains(&&**name)
    {
        calls.push(format!("{first}.{name}({})", rest.join(", ")));
    }
    calls
}

/// The script: its arguments come out of functions, so that no analysis knows their types; what is
/// returned and what is left of the arguments is then written out.
fn script(calls: &[String], arguments: &[&str]) -> String {
    let mut script = String::new();
    let letters = ["a", "b", "c", "d", "e", "f"];
    for (letter, value) in letters.iter().zip(arguments) {
        let _ = writeln!(script, "fn give_{letter}() {{ {value} }}");
    }
    for call in calls {
        for letter in &letters[..arguments.len()] {
            let _ = writeln!(script, "let {letter} = give_{letter}();");
        }
        let _ = writeln!(
            script,
            "let result = (); try {{ result = {{ {call} }}; }} catch (error) {{ log(error); }}\n\
             try {{ log(result); webhook(\"x\", result); }} catch {{ }}",
        );
        if !arguments.is_empty() {
            script += "try { log(a); webhook(\"x\", a); } catch { }\n";
        }
    }
    script
}

/// Each of them, or as many as are wanted, chosen at random.
fn combinations(
    choices: &[Vec<&'static str>],
    most: usize,
    random: &mut fastrand::Rng,
) -> Vec<Vec<&'static str>> {
    let all: usize = choices.iter().map(Vec::len).product();
    let nth = |mut number: usize| {
        choices
            .iter()
            .map(|values| {
                let value = values[number % values.len()];
                number /= values.len();
                value
            })
            .collect()
    };
    if all <= most {
        (0..all).map(nth).collect()
    } else {
        (0..most).map(|_| nth(random.usize(..all))).collect()
    }
}

/// Calls with the types of their arguments.
fn subjects(natives: Vec<Native>) -> Vec<(Vec<String>, Vec<&'static str>)> {
    let natives = natives
        .into_iter()
        .map(|native| (calls(&native), native.parameters));
    let built_in = BUILT_IN
        .iter()
        .map(|(call, parameters)| (vec![(*call).to_owned()], parameters.to_vec()));
    natives.chain(built_in).collect()
}

#[derive(Default)]
struct Tally {
    functions: usize,
    calls: usize,
    refused: usize,
    slowest: Duration,
    slowest_script: String,
}

impl Tally {
    fn evaluate(&mut self, world: &World, script: &str) {
        // The last line of a child that dies says of what.
        child::report(&script.replace('\n', " "));
        let begun = Instant::now();
        let walk = world.walk(script);
        let duration = begun.elapsed();
        self.calls += 1;
        if let Some(error) = walk.error {
            assert_ne!(error.code, "internal_error", "{script}");
            self.refused += 1;
        }
        if duration > self.slowest {
            self.slowest = duration;
            self.slowest_script = script.replace('\n', " ");
        }
    }
}

/// Calls everything, in the child.
fn call_everything(world: &World, most: usize, random: &mut fastrand::Rng) -> Tally {
    let mut tally = Tally::default();
    for (calls, parameters) in subjects(world.language.natives()) {
        let choices: Vec<_> = parameters
            .iter()
            .map(|name| {
                values::of_type(name)
                    .unwrap_or_else(|| panic!("no values of type {name}, for {calls:?}"))
            })
            .collect();
        for arguments in combinations(&choices, most, random) {
            tally.evaluate(world, &script(&calls, &arguments));
        }
        tally.functions += 1;
    }
    tally
}

/// Not a test of its own: the child's side of the next.
#[test]
fn child() {
    if std::env::var(CHILD).is_err() {
        return;
    }
    let number = |name| std::env::var(name).unwrap().parse::<u64>().unwrap();
    let (seed, most) = (number(SEED_VARIABLE), number(CALLS_VARIABLE));
    let (send, receive) = channel();
    let pool = Pool::new(World::new().language, 1).unwrap();
    pool.run(move || {
        let world = World::within(Limits::default());
        let mut random = fastrand::Rng::with_seed(seed);
        let _ = send.send(call_everything(&world, most as usize, &mut random));
    });
    let tally = receive.recv().unwrap();
    child::answer(&format!(
        "{} functions called {} times, {} of them to an error; the slowest evaluation took {} ms ({:.300});{}",
        tally.functions,
        tally.calls,
        tally.refused,
        tally.slowest.as_millis(),
        tally.slowest_script,
        peak_kib(),
    ));
}

#[test]
fn no_function_harms_the_process_whatever_it_is_given() {
    let number = |name, otherwise| match std::env::var(name) {
        Ok(text) => text.parse::<u64>().unwrap(),
        Err(_) => otherwise,
    };
    let seed = number(SEED_VARIABLE, fastrand::u64(..));
    let most = number(CALLS_VARIABLE, CALLS as u64);
    child::report(&format!("{SEED_VARIABLE}={seed} {CALLS_VARIABLE}={most}"));
    let answer = child::ask(
        "a call",
        "fuzz::child",
        &[
            (CHILD, "1"),
            (SEED_VARIABLE, &seed.to_string()),
            (CALLS_VARIABLE, &most.to_string()),
        ],
        // For each call more than it may take, so that only what hangs is cut off.
        Duration::from_secs(300 + 60 * most),
    );
    let (answer, peak) = answer.rsplit_once(';').unwrap();
    child::report(&format!("{answer}; the most memory held was {peak} KiB"));
    assert!(peak.parse::<u64>().unwrap() <= MOST_KIB, "{peak} KiB");
}
