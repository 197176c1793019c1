//! Runs that cannot go on, through no fault of their script.

use super::{ann_alone, edit, rule, the_run};
use crate::harness::hours;
use serde_json::json;
use smarttasks_store::runs;

#[tokio::test]
async fn a_run_whose_wake_becomes_a_dead_letter_is_paused_and_its_owner_told() {
    let (app, ann) = ann_alone().await;
    let script = "task.tag(\"one\");\nsleep(hours(1));\ntask.tag(\"two\");";
    rule(&ann, "task.created", script, json!({})).await;
    ann.create_task(json!({ "title": "Pay" })).await;
    app.settle().await;
    let waiting = the_run(&ann).await;
    let workspace = ann.user["personal_workspace_id"].as_str().unwrap();
    let workspace = workspace.parse().unwrap();
    let id = waiting["id"].as_str().unwrap().parse().unwrap();
    let run = runs::get(app.db(), workspace, id).await.unwrap();
    app.db()
        .write(move |tx| {
            let run = run.clone();
            Box::pin(async move {
                runs::add_segment(tx, &run, 7, "what nobody can read".to_owned());
                Ok(())
            })
        })
        .await
        .unwrap();
    app.pass(hours(1)).await;

    let runs = ann.list("/api/v1/runs?status=paused").await;
    assert_eq!(runs.len(), 1, "{runs:?}");
    let message = runs[0]["error"]["message"].as_str().unwrap();
    assert!(message.contains("journal"), "{message}");
    assert_eq!(app.subjects_to("ann"), ["Run paused: flow"]);
    let path = format!("/api/v1/runs/{}/cancel", waiting["id"].as_str().unwrap());
    let cancelled = ann.post(&path, json!({})).await;
    assert_eq!(cancelled.body["status"], "cancelled", "{}", cancelled.body);
}

#[tokio::test]
async fn failures_of_runs_that_began_with_an_earlier_version_do_not_count_against_the_present_one()
{
    let (app, ann) = ann_alone().await;
    let fails = "sleep(hours(1));\nif task.title != \"Good\" { throw \"not good\"; }";
    let flow = rule(&ann, "task.created", fails, json!({})).await;
    for number in 0..12 {
        let title = format!("Task {number}");
        ann.create_task(json!({ "title": title })).await;
    }
    app.settle().await;
    let mended = json!({ "script": "sleep(hours(3));\ntask.tag(\"seen\");" });
    edit(&ann, "rules", &flow, mended).await;
    app.pass(hours(1)).await;
    let failed = ann.list("/api/v1/runs?status=failed").await;
    assert_eq!(failed.len(), 12);
    let path = format!("/api/v1/rules/{}", flow["id"].as_str().unwrap());
    let flow = ann.get(&path).await.body;
    assert_eq!(flow["enabled"], true, "{flow}");
    assert_eq!(flow["stats"]["failures"], 12);
    assert_eq!(flow["stats"]["failures_in_row"], 0);
}
