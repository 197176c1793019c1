//! Who may answer a question: whoever is asked, and who runs the workspace.

use super::{Person, Site};
use crate::Sharing;
use axum::body::Body;
use http::{Method, Request};
use serde_json::json;
use smarttasks_model::{ApprovalId, RuleId, RunId, WaitId};
use smarttasks_store::approvals::{self, Links, NewApproval};
use smarttasks_store::{Tx, Vault};
use std::time::Duration;
use tower::ServiceExt;
use uuid::Uuid;

/// A question to `asked` in the workspace of `owner`.
async fn ask(site: &Site, owner: &Person, asked: &Person) -> NewApproval {
    let now = site.db.clock().now();
    let new = NewApproval {
        id: ApprovalId::new(now),
        workspace_id: owner.workspace,
        wait: WaitId {
            run_id: RunId(Uuid::new_v4()),
            number: 0,
        },
        rule_id: RuleId(Uuid::new_v4()),
        rule_name: "Asks".to_owned(),
        task_id: None,
        task_title: None,
        user_id: asked.id,
        question: "Well?".to_owned(),
        expires_at: now + Duration::from_secs(3600),
    };
    let asked = new.clone();
    site.db
        .write(move |tx: &mut Tx| {
            approvals::ask(tx, asked.clone());
            Box::pin(async { Ok(()) })
        })
        .await
        .unwrap();
    new
}

async fn join(site: &Site, owner: &Person, person: &Person, role: &str) {
    let hex = |id: Uuid| format!("X'{}'", id.simple());
    let (workspace, user) = (hex(owner.workspace.0), hex(person.id.0));
    site.sql(&format!(
        "INSERT INTO members (workspace_id, user_id, role, created_at)
         VALUES ({workspace}, {user}, '{role}', 0)"
    ))
    .await;
}

#[tokio::test]
async fn whoever_is_asked_may_answer_and_who_runs_the_workspace() {
    let site = Site::new().await;
    let here = site.replica(Sharing::Database, None).await;
    let ann = here.register("ann").await;
    for (number, (role, asked, expected)) in [
        ("viewer", true, 200),
        ("viewer", false, 403),
        ("member", false, 403),
        ("admin", false, 200),
    ]
    .into_iter()
    .enumerate()
    {
        let bob = here.register(&format!("bob{number}")).await;
        join(&site, &ann, &bob, role).await;
        let new = ask(&site, &ann, if asked { &bob } else { &ann }).await;
        let path = format!("/api/v1/approvals/{}", new.id);
        let of_ann = format!("?workspace_id={}", ann.workspace);
        let seen = here.get(&format!("{path}{of_ann}"), &bob.token).await;
        assert_eq!(seen.body["question"], "Well?");
        let path = format!("{path}/answer{of_ann}");
        let yes = json!({ "approved": true });
        let answer = here.call(Method::POST, &path, &bob.token, &yes).await;
        assert_eq!(answer.status, expected, "{role}: {}", answer.body);
        if expected == 200 {
            assert_eq!(answer.body["answered_by"], json!(bob.id));
        }
    }
}

#[tokio::test]
async fn the_link_of_somebody_who_has_left_leads_nowhere() {
    let site = Site::new().await;
    let here = site.replica(Sharing::Database, None).await;
    let (ann, bob) = (here.register("ann").await, here.register("bob").await);
    let links = Links::new(&Vault::new([1; 32]), "");
    let open = async |new: &NewApproval| {
        let link = links.url(new.id, new.expires_at, true);
        let request = Request::get(link).body(Body::empty()).unwrap();
        let answer = here.router.clone().oneshot(request).await.unwrap();
        answer.status().as_u16()
    };
    let new = ask(&site, &ann, &bob).await;
    assert_eq!(open(&new).await, 404);
    join(&site, &ann, &bob, "viewer").await;
    assert_eq!(open(&new).await, 200);
}
