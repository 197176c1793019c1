//! Measures one evaluation, in processor time, so that a busy machine does not blur it: `cargo run --release -p smarttasks-rules --example evaluate`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a measurement that cannot be made should stop and say where"
)]

#[path = "../tests/rules/support.rs"]
#[expect(
    dead_code,
    reason = "the tests' fixture holds more than a measurement needs"
)]
mod support;

use std::hint::black_box;
use support::World;

#[global_allocator]
static HEAP: smarttasks_heap::Counting = smarttasks_heap::Counting;

#[expect(clippy::print_stdout, reason = "a measurement is there to be read")]
fn main() {
    const ROUNDS: u64 = 200_000;
    let world = World::new();
    let overdue = include_str!("../library/task-overdue.rhai");
    let created = include_str!("../library/task-created.rhai");
    for (name, script) in [
        ("empty", ""),
        (
            "no match: a priority",
            "if task.priority == LOW { webhook(\"ops\", #{ task: task.id }); }",
        ),
        (
            "no match: four conditions",
            "if task.is_open && task.priority >= HIGH && task.project == \"website\" && task.due_at > now() { task.tag(\"x\"); }",
        ),
        (
            "match: a webhook",
            "if task.priority == HIGH { webhook(\"ops\", #{ task: task.id, title: task.title }); }",
        ),
        (
            "match: a change",
            "if task.is_open { task.update(#{ priority: URGENT }); }",
        ),
        ("starter: overdue", overdue),
        ("starter: created", created),
    ] {
        if std::env::args()
            .nth(1)
            .is_some_and(|wanted| !name.contains(&wanted))
        {
            continue;
        }
        let program = world.language.compile(script).expect("it compiles");
        let evaluating = cpu_nanos();
        for _ in 0..ROUNDS {
            black_box(program.evaluate(world.inputs.clone()));
        }
        let evaluation = (cpu_nanos() - evaluating) / ROUNDS;
        let compiling = cpu_nanos();
        for _ in 0..ROUNDS / 100 {
            black_box(world.language.compile(script).is_ok());
        }
        let compilation = (cpu_nanos() - compiling) / (ROUNDS / 100);
        println!("{name:26} {evaluation:>7} ns an evaluation, {compilation:>7} ns to compile");
    }
}

/// Processor time of this thread so far (proc(5), schedstat).
fn cpu_nanos() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let first = text.split(' ').next().expect("it has three numbers");
    first.parse().expect("a number")
}
