//! What a database returns for a filter is what passes it in memory.
//!
//! A failure says the seed; `SMARTTASKS_TEST_SEED` repeats it.

use super::predicates::{Source, kept, setting};
use super::server::Database;
use super::{Directory, open};
use crate::{Db, tasks};
use smarttasks_model::{Task, TaskFilter, TaskId, UserId, WorkspaceId};
use std::collections::BTreeSet;

const TASKS: usize = 200;
const FILTERS: usize = 1_000;
/// What is asked for of 17 things, so that some tasks pass and others do not.
const ASKED: f64 = 0.12;

fn filter(of: &mut Source) -> TaskFilter {
    let mut is = || of.rng.f64() < ASKED;
    let asked: [bool; 17] = std::array::from_fn(|_| is());
    let many = |of: &mut Source| of.rng.usize(1..4);
    TaskFilter {
        status: match asked[0] {
            true => (0..many(of)).map(|_| of.status()).collect(),
            false => Vec::new(),
        },
        priority: match asked[1] {
            true => (0..many(of)).map(|_| of.priority()).collect(),
            false => Vec::new(),
        },
        open: asked[2].then(|| of.rng.bool()),
        project: asked[3].then(|| of.text()),
        tag: asked[4].then(|| of.text()),
        assignee_id: asked[5].then(|| UserId(of.id())),
        unassigned: asked[6].then(|| of.rng.bool()),
        creator_id: asked[7].then(|| UserId(of.id())),
        parent_id: asked[8].then(|| TaskId(of.id())),
        due_before: asked[9].then(|| of.time()),
        due_after: asked[10].then(|| of.time()),
        overdue: asked[11].then(|| of.rng.bool()),
        created_before: asked[12].then(|| of.time()),
        created_after: asked[13].then(|| of.time()),
        completed_after: asked[14].then(|| of.time()),
        status_changed_before: asked[15].then(|| of.time()),
        updated_since: asked[16].then(|| of.time()),
        q: (of.rng.f64() < ASKED).then(|| of.text()),
    }
}

async fn each_filter_returns_what_passes_it(db: &Db) {
    let seed = setting("SMARTTASKS_TEST_SEED").unwrap_or_else(|| fastrand::u64(..));
    let now = db.clock().now();
    let mut source = Source::new(seed, now);
    let workspace = WorkspaceId(source.id());
    let all = (0..TASKS).map(|number| source.task(number, workspace));
    let all = kept(db, all.collect()).await;
    let mut some = 0;
    for number in 0..FILTERS {
        let filter = filter(&mut source);
        let passes = |task: &&Task| filter.matches(task, now);
        let expected: BTreeSet<TaskId> = all.values().filter(passes).map(|of| of.id).collect();
        let most = TASKS as u64;
        let found = tasks::select(db, workspace, &filter, None, most, now).await;
        let found: BTreeSet<TaskId> = found.unwrap().iter().map(|task| task.id).collect();
        let told = |id: &TaskId| {
            let task = serde_json::to_string(&all[id]).unwrap();
            format!("SMARTTASKS_TEST_SEED={seed}, filter {number}: {filter:?}\n{task}")
        };
        let other = expected.symmetric_difference(&found).next();
        assert!(other.is_none(), "{:?}", other.map(told));
        let count = tasks::count(db, workspace, &filter, now).await.unwrap();
        assert_eq!(count, expected.len() as u64);
        some += usize::from(!expected.is_empty() && expected.len() < all.len());
    }
    assert!(some > FILTERS / 10, "{some} of {FILTERS} tell tasks apart");
}

#[tokio::test]
async fn a_file_returns_each_task_that_passes_a_filter() {
    let directory = Directory::new();
    each_filter_returns_what_passes_it(&open(&directory.0).await).await;
}

#[tokio::test]
async fn a_server_returns_each_task_that_passes_a_filter() {
    let database = Database::new().await;
    each_filter_returns_what_passes_it(&database.open().await).await;
}
