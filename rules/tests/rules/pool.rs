//! Batches handed over to threads.

use crate::support::World;
use smarttasks_rules::Pool;
use std::sync::Arc;
use std::sync::mpsc::channel;

#[test]
fn a_batch_is_answered_whole_and_in_order() {
    let world = World::new();
    let pool = Pool::new(world.language.clone(), 2).unwrap();
    let (send, receive) = channel();
    let batch = (0..50)
        .map(|number| {
            let program = world.language.compile(&format!("log({number})")).unwrap();
            (Arc::new(program), world.inputs.clone())
        })
        .collect();
    pool.evaluate(batch, move |outcomes| send.send(outcomes).unwrap());
    let logs: Vec<_> = receive
        .recv()
        .unwrap()
        .into_iter()
        .flat_map(|outcome| outcome.log)
        .collect();
    let expected: Vec<_> = (0..50).map(|number| number.to_string()).collect();
    assert_eq!(logs, expected);
}

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
        let send = send.clone();
        let batch = vec![(program.clone(), world.inputs.clone()); 5];
        pool.evaluate(batch, move |outcomes| send.send(outcomes).unwrap());
    }
    drop(send);
    let outcomes: Vec<_> = receive.into_iter().flatten().collect();
    assert_eq!(outcomes.len(), 200);
    assert!(
        outcomes
            .iter()
            .all(|outcome| outcome.actions == outcomes[0].actions && outcome.error.is_none())
    );
}

#[test]
fn a_pool_compiles_and_analyses_and_outlives_a_job_that_panics() {
    let world = World::new();
    let pool = Pool::new(world.language.clone(), 1).unwrap();
    let (send, receive) = channel();
    let sender = send.clone();
    pool.compile("let x = ;".to_owned(), move |result| {
        sender.send(result.is_err()).unwrap()
    });
    pool.run(|| panic!("a job that panics"));
    pool.analyse("task.tag(\"x\")".to_owned(), Vec::new(), move |analysis| {
        send.send(analysis.actions == ["task.tag"]).unwrap();
    });
    assert_eq!(receive.into_iter().collect::<Vec<_>>(), [true, true]);
}
