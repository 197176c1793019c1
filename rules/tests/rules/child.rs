//! Tests whose subject may take the process with it: they run in a child, which is this binary
//! again, asked for one test and told by its environment what to do.

use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

/// What precedes the child's answer in its output.
const ANSWER: &str = "the answer: ";

/// On the child's side: its answer, one line.
pub fn answer(text: &str) {
    report(&format!("{ANSWER}{text}"));
}

/// A line for whoever reads the output: the parent, or a person who asked for it.
#[expect(
    clippy::print_stdout,
    reason = "the harness shows it when asked, and a child answers so"
)]
pub fn report(line: &str) {
    println!("{line}");
}

/// The most memory that this process has held so far.
pub fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Runs `test` of this binary in a child, which must [`answer`] and end well within `hang`.
/// `what` says in failures whom it was about.
pub fn ask(what: &str, test: &str, environment: &[(&str, &str)], hang: Duration) -> String {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .envs(environment.iter().copied())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let (send, receive) = channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        let _ = send.send(stdout.read_to_string(&mut text).map(|_| text));
    });
    let Ok(text) = receive.recv_timeout(hang) else {
        child.kill().unwrap();
        child.wait().unwrap();
        panic!("{what} hangs");
    };
    let status = child.wait().unwrap();
    let text = text.unwrap();
    assert!(
        status.success(),
        "{what} ended its process: {status}; its last words were {}",
        last_words(&text)
    );
    let answer = text
        .split(ANSWER)
        .nth(1)
        .unwrap_or_else(|| panic!("{what} gave no answer: {}", last_words(&text)));
    answer.lines().next().unwrap().to_owned()
}

fn last_words(text: &str) -> String {
    const MOST: usize = 2_000;
    let from = text.chars().count().saturating_sub(MOST);
    text.chars().skip(from).collect()
}
