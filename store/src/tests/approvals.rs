//! Questions: what an answer causes, and how they are closed.

use super::{Directory, open};
use crate::approvals::{self, NewApproval, Status};
use crate::{Db, Error, Payload, Tx, outbox};
use serde_json::json;
use smarttasks_model::{
    ApprovalId, Because, Message, RuleId, RunId, UserId, WaitId, Wake, WorkspaceId,
};
use std::time::Duration;
use uuid::Uuid;

const WORKSPACE: WorkspaceId = WorkspaceId(Uuid::from_u128(1));
const BOB: UserId = UserId(Uuid::from_u128(2));
const HOUR: Duration = Duration::from_secs(3600);

fn wait(run: u128) -> WaitId {
    WaitId {
        run_id: RunId(Uuid::from_u128(run)),
        number: 3,
    }
}

/// A question of a run, to be answered within an hour.
async fn ask(db: &Db, run: u128) -> ApprovalId {
    let new = NewApproval {
        id: ApprovalId::derived(db.clock().now(), &[&run.to_be_bytes()]),
        workspace_id: WORKSPACE,
        wait: wait(run),
        rule_id: RuleId(Uuid::from_u128(4)),
        rule_name: "Asks".to_owned(),
        task_id: None,
        task_title: None,
        user_id: BOB,
        question: "Well?".to_owned(),
        expires_at: db.clock().now() + HOUR,
    };
    let id = new.id;
    db.write(move |tx: &mut Tx| {
        approvals::ask(tx, new.clone());
        Box::pin(async { Ok(()) })
    })
    .await
    .unwrap();
    id
}

async fn answer(
    db: &Db,
    workspace: WorkspaceId,
    id: ApprovalId,
    approved: bool,
) -> Result<Status, Error> {
    db.write(move |tx| {
        Box::pin(async move {
            let answered = approvals::answer(tx, workspace, id, approved, BOB).await?;
            Ok(answered.status)
        })
    })
    .await
}

async fn status(db: &Db, id: ApprovalId) -> Status {
    approvals::get(db, WORKSPACE, id).await.unwrap().status
}

async fn wakes(db: &Db) -> Vec<Wake> {
    let page = outbox::page(db, 0, 100).await.unwrap();
    let wakes = page.into_iter().map(|outgoing| match outgoing.payload {
        Payload::Here(Ok(message)) => match &*message {
            Message::Wake(wake) => (**wake).clone(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    });
    wakes.collect()
}

#[tokio::test]
async fn an_answer_wakes_its_run_once_and_is_known_from_then_on() {
    let directory = Directory::new();
    let db = open(&directory.0).await;
    let id = ask(&db, 7).await;
    assert_eq!(approvals::answered(&db, wait(7)).await.unwrap(), None);
    let elsewhere = answer(&db, WorkspaceId(Uuid::nil()), id, true).await;
    assert!(matches!(elsewhere, Err(Error::NotFound(_))));
    assert_eq!(
        answer(&db, WORKSPACE, id, false).await.unwrap(),
        Status::Denied
    );
    let again = answer(&db, WORKSPACE, id, true).await;
    assert!(matches!(again, Err(Error::Closed(was)) if was.status == Status::Denied));
    let value = json!({ "approved": false, "by": BOB });
    let wake = Wake {
        workspace_id: WORKSPACE,
        wait: wait(7),
        because: Because::Answer {
            value: value.clone(),
        },
        failures: 0,
    };
    assert_eq!(wakes(&db).await, [wake]);
    assert_eq!(
        approvals::answered(&db, wait(7)).await.unwrap(),
        Some(value)
    );
}

#[tokio::test]
async fn what_nobody_answers_is_closed_and_stays_as_it_is() {
    let directory = Directory::new();
    let db = open(&directory.0).await;
    let early = ask(&db, 7).await;
    let answered = ask(&db, 8).await;
    answer(&db, WORKSPACE, answered, true).await.unwrap();
    let close = async |run| {
        let runs = [wait(run).run_id];
        let closed = db.write(move |tx| Box::pin(approvals::close(tx, runs)));
        closed.await.unwrap();
    };
    close(7).await;
    close(8).await;
    db.clock().advance(HOUR);
    let late = ask(&db, 9).await;
    db.clock().advance(HOUR);
    assert_eq!(status(&db, late).await, Status::Pending);
    for _ in 0..2 {
        close(7).await;
        close(9).await;
        assert_eq!(status(&db, early).await, Status::Cancelled);
        assert_eq!(status(&db, answered).await, Status::Approved);
        assert_eq!(status(&db, late).await, Status::Expired);
        let too_late = answer(&db, WORKSPACE, late, true).await;
        assert!(matches!(too_late, Err(Error::Closed(_))));
    }
    for (run, is) in [(7, false), (8, true), (9, false)] {
        let any = db.write(move |tx| Box::pin(approvals::any_answered(tx, [wait(run)])));
        assert_eq!(any.await.unwrap(), is, "{run}");
    }
    assert_eq!(wakes(&db).await.len(), 1);
}
