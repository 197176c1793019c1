use super::*;
use smarttasks_model::{Clock, WorkspaceId};
use smarttasks_store::runs::{Kept, Run};
use smarttasks_store::{Location, Settings, Vault, timers};
use std::path::PathBuf;
use uuid::Uuid;

struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("smarttasks-engine-{}", Uuid::new_v4()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn open(directory: &Directory) -> Db {
    let settings = Settings {
        location: Location::File {
            path: directory.0.join("smarttasks.db"),
            readers: 2,
        },
        max_pending: 100,
    };
    let clock = Clock::fake("2026-03-02T09:00:00Z".parse().unwrap());
    Db::open(&settings, clock, Vault::new([1; 32]))
        .await
        .unwrap()
}

/// At the wait of this number.
fn wake(run: &Run, number: u32) -> Wake {
    Wake {
        workspace_id: run.workspace_id,
        wait: WaitId {
            run_id: run.id,
            number,
        },
        because: Because::Time,
        failures: 0,
    }
}

/// A run at its second wait, which ends at that time.
async fn waiting(db: &Db, until: Timestamp) -> Run {
    let now = db.clock().now();
    let run = Run {
        id: RunId::new(now),
        workspace_id: WorkspaceId::new(now),
        rule_id: RuleId::new(now),
        rule_version: 1,
        task_id: None,
        event_id: EventId::new(now),
        status: RunStatus::Suspended,
        trigger: json!({}),
        actions: Vec::new(),
        log: Vec::new(),
        error: None,
        traceparent: None,
        started_at: now,
        finished_at: None,
        duration_us: 0,
        resumes_at: Some(until),
        retry_of: None,
        waits: 2,
        waiting: None,
    };
    let recorded = run.clone();
    db.write(move |tx| {
        let run = recorded.clone();
        Box::pin(async move {
            tx.schedule(Timer::of_run(wake(&run, 1), until));
            runs::record(tx, &run, &Kept::default())
        })
    })
    .await
    .unwrap();
    run
}

#[tokio::test]
async fn who_comes_late_does_not_move_the_timer_of_a_later_wait() {
    let directory = Directory::new();
    let db = open(&directory).await;
    let now = db.clock().now();
    let until = now + Duration::from_secs(3_600);
    let run = waiting(&db, until).await;
    let again = now + Duration::from_secs(60);
    for (number, next) in [(0, until), (2, until), (1, again)] {
        let resumed = Resumed {
            later: vec![(wake(&run, number), again)],
            ..Resumed::default()
        };
        write(&db, resumed, Batch::default(), false).await.unwrap();
        let found = timers::next_instant(&db).await.unwrap();
        assert_eq!(found, Some(next), "for wait {number}");
    }
}
