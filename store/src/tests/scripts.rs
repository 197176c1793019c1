//! From a script to the rows: what a script acts upon, its predicate holds of, and a database
//! returns.
//!
//! A failure says the seed; `SMARTTASKS_TEST_SEED` repeats it, and `SMARTTASKS_TEST_CASES` sets how many
//! pairs of a script and a task are tried, a million in some minutes.

use super::predicates::{kept, returned, setting};
use super::server::Database;
use super::{Directory, open};
use crate::Db;
use fastrand::Rng;
use smarttasks_model::{Task, TaskId, WorkspaceId, derive_id};
use smarttasks_rules::samples::{World, acts, script};
use smarttasks_rules::{Language, Limits};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Tasks that each script is evaluated for.
const TASKS: usize = 100;
const CASES: usize = 100_000;

/// A database and the tasks as it keeps them.
struct Kept {
    db: Db,
    tasks: BTreeMap<TaskId, Task>,
}

fn tasks(random: &mut Rng, workspace: WorkspaceId) -> Vec<Task> {
    let mut tasks = Vec::new();
    while tasks.len() < TASKS {
        let world = World::random(random);
        let id = derive_id(world.now, &[&tasks.len().to_be_bytes()]);
        tasks.extend(world.task.map(|task| Task {
            id: TaskId(id),
            workspace_id: workspace,
            ..task
        }));
    }
    tasks
}

#[tokio::test]
async fn what_a_script_acts_upon_a_file_and_a_server_return() {
    let seed = setting("SMARTTASKS_TEST_SEED").unwrap_or_else(|| fastrand::u64(..));
    let cases = setting("SMARTTASKS_TEST_CASES").map_or(CASES, |cases| cases as usize);
    let mut random = Rng::with_seed(seed);
    let language = Language::new(Limits {
        wall: Duration::from_secs(60),
        // Loops of random conditions may never end by themselves.
        operations: 2_000,
        ..Limits::default()
    });
    let (directory, server) = (Directory::new(), Database::new().await);
    let workspace = World::random(&mut random).event.workspace_id;
    let tasks = tasks(&mut random, workspace);
    let mut both = Vec::new();
    for db in [open(&directory.0).await, server.open().await] {
        let tasks = kept(&db, tasks.clone()).await;
        both.push(Kept { db, tasks });
    }
    let (mut acted, mut left_out) = (0, 0);
    for number in 0..cases.div_ceil(TASKS) {
        let source = script(&mut random);
        let program = language
            .compile(&source)
            .unwrap_or_else(|found| panic!("{found:?}\n{source}"));
        let world = World::random(&mut random);
        let predicate = program.predicate().for_event(&world.event, world.now);
        let mut seen: BTreeMap<TaskId, (Task, bool)> = BTreeMap::new();
        for of in &both {
            let mut acted_upon = BTreeSet::new();
            for (id, task) in &of.tasks {
                // Numbers may come back from one database otherwise than from the other.
                let known = seen.get(id).filter(|(same, _)| same == task);
                let acts = known.map_or_else(
                    || {
                        let world = World {
                            task: Some(task.clone()),
                            ..world.clone()
                        };
                        acts(&program, world.inputs())
                    },
                    |(_, acts)| *acts,
                );
                seen.insert(*id, (task.clone(), acts));
                acted_upon.extend(acts.then_some(*id));
            }
            let returned = returned(&of.db, workspace, &predicate, world.now).await;
            let missing = acted_upon.difference(&returned).next();
            assert!(
                missing.is_none(),
                "SMARTTASKS_TEST_SEED={seed}, script {number}, embedded: {}: not returned: {:#?}\n\
                 {source}\npredicate: {predicate}\nevent: {:#?}",
                of.db.is_embedded(),
                missing.map(|id| &of.tasks[id]),
                world.event,
            );
            acted += acted_upon.len();
            left_out += of.tasks.len() - returned.len();
        }
    }
    assert!(acted > cases / 5, "few scripts act: {acted}");
    assert!(left_out > cases / 5, "little is left out: {left_out}");
}
