//! Scripts that mean harm.
//!
//! Each runs in a process of its own, because what they aim at is the process: its stack, its
//! memory, its end. The child reports what became of the script and how much memory it took.

mod scripts;

use crate::support::World;
use scripts::scripts;
use smarttasks_rules::Limits;
use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

/// The most that a child may have held, over what the test binary holds by itself: the cap of
/// 32 MiB, what one native function may take beyond it, and the stack that was touched.
const MOST_KIB: u64 = 96 * 1024;

/// No script takes this long; one that does hangs.
const HANG: Duration = Duration::from_secs(60);

/// The environment variable that makes this binary a child.
const SCRIPT: &str = "SMARTTASKS_HOSTILE_SCRIPT";

/// Not a test of its own: the child's side of [`fate`]. Without its variable it has nothing to do.
#[test]
fn child() {
    let Ok(number) = std::env::var(SCRIPT) else {
        return;
    };
    let number: usize = number.parse().unwrap();
    let script = scripts().swap_remove(number).2;
    let world = World::within(Limits::default());
    let (answer, answered) = channel();
    let pool = smarttasks_rules::Pool::new(world.language.clone(), 1).unwrap();
    let (inputs, language) = (world.inputs.clone(), world.language.clone());
    pool.run(move || {
        let fate = match language.compile(&script) {
            Err(found) => format!("refused {}", found[0].code),
            Ok(program) => {
                let outcome = program.evaluate(inputs);
                assert!(outcome.error.is_none() || outcome.actions.is_empty());
                match outcome.error {
                    Some(error) => format!("failed {}", error.code),
                    None => format!("ended {}", outcome.actions.len()),
                }
            }
        };
        // The language is as good as new.
        let after = language.compile("task.tag(\"fine\")").unwrap();
        let _ = answer.send(fate);
        drop(after);
    });
    let fate = answered.recv().unwrap();
    let mut last = world.run("task.tag(\"fine\")");
    assert_eq!(last.actions.pop().unwrap().name(), "task.tag");
    #[expect(clippy::print_stdout, reason = "this is how the child answers")]
    {
        println!("fate: {fate}; peak: {}", peak_kib());
    }
}

fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Runs a script in a child: what became of it, and the child's peak memory in KiB.
fn fate(number: usize, name: &str) -> (String, u64) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "hostile::child", "--nocapture"])
        .env(SCRIPT, number.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let (send, receive) = channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        let _ = send.send(stdout.read_to_string(&mut text).map(|_| text));
    });
    let Ok(text) = receive.recv_timeout(HANG) else {
        child.kill().unwrap();
        panic!("{name} hangs");
    };
    let status = child.wait().unwrap();
    assert!(status.success(), "{name} ended its process: {status}");
    let text = text.unwrap();
    let line = text
        .split("fate: ")
        .nth(1)
        .unwrap_or_else(|| panic!("{name} gave no answer: {text}"));
    let line = line.lines().next().unwrap();
    let (fate, peak) = line.split_once("; peak: ").unwrap();
    (fate.to_owned(), peak.parse().unwrap())
}

#[test]
fn no_script_harms_its_process() {
    let mut wrong = Vec::new();
    for (number, (name, expected, _)) in scripts().iter().enumerate() {
        let (fate, peak) = fate(number, name);
        // On a busy machine the wall clock may stop any of them first.
        let stopped = fate == "failed limit_time";
        if !stopped && !expected.split('|').any(|expected| fate == expected) {
            wrong.push(format!("{name}: {fate}, not {expected}"));
        }
        if peak > MOST_KIB {
            wrong.push(format!("{name}: held {peak} KiB"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
