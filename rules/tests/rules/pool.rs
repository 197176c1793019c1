//! Work handed over to threads.

use crate::support::World;
use smarttasks_rules::Pool;
use std::sync::Arc;
use std::sync::mpsc::channel;

#[test]
fn one_program_serves_many_threads_at_once() {
    let world = World::new();
    let pool = Pool::new(world.language.clone(), 4).unwrap();
    let program = Arc::new(
        world
            .language
            .compile("task.tag(rule.name); log(task.id)")
            .unwrap(),
    );
    let (send, receive) = channel();
    for _ in 0..40 {
        let (send, program, inputs) = (send.clone(), program.clone(), world.inputs.clone());
        pool.run(move || {
            for _ in 0..5 {
                send.send(program.evaluate(inputs.clone())).unwrap();
            }
        });
    }
    drop(send);
    let outcomes: Vec<_> = receive.into_iter().collect();
    assert_eq!(outcomes.len(), 200);
    assert!(
        outcomes
            .iter()
            .all(|outcome| outcome.actions == outcomes[0].actions && outcome.error.is_none())
    );
}

#[test]
fn a_pool_analyses_and_outlives_a_job_that_panics() {
    let world = World::new();
    let pool = Pool::new(world.language.clone(), 1).unwrap();
    let (send, receive) = channel();
    pool.run(|| panic!("a job that panics"));
    pool.analyse("task.tag(\"x\")".to_owned(), Vec::new(), move |analysis| {
        send.send(analysis.actions == ["task.tag"]).unwrap();
    });
    assert_eq!(receive.into_iter().collect::<Vec<_>>(), [true]);
}
