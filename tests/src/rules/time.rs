//! Rules that time starts: offsets from deadlines, and schedules.

use super::runs_of;
use crate::harness::{TestApp, hours, seconds};
use serde_json::{Value, json};

#[tokio::test]
async fn a_rule_starts_at_its_offsets_from_a_deadline() {
    let app = TestApp::start().await;
    let ann = app.register("ann").await;
    ann.remove_starter_rules().await;
    let before = json!({ "title": "Before the rule", "due_at": app.later(hours(4)) });
    ann.create_task(before).await;
    let rule = json!({
        "name": "offsets",
        "triggers": [{ "due": "-1h" }, { "due": "2h" }],
        "script": "email(task.owner, `${task.title} ${event.data.offset}`, \"\");",
    });
    let rule = ann.post("/api/v1/rules", rule).await;
    assert_eq!(rule.status, 201, "{}", rule.body);
    ann.create_task(json!({ "title": "After", "due_at": app.later(hours(4)) }))
        .await;
    ann.create_task(json!({ "title": "Past", "due_at": app.later(hours(0)) }))
        .await;
    app.pass(hours(3)).await;
    assert_eq!(
        app.subjects_to("ann"),
        ["After -1h", "Before the rule -1h", "Past 2h"],
        "an offset before the deadline that has passed already is skipped"
    );
    app.pass(hours(3)).await;
    assert_eq!(app.subjects_to("ann").len(), 5);

    // Disabled, its timers are gone.
    ann.create_task(json!({ "title": "Later", "due_at": app.later(hours(4)) }))
        .await;
    let path = format!("/api/v1/rules/{}", rule.body["id"].as_str().unwrap());
    assert_eq!(
        ann.patch(&path, json!({ "enabled": false })).await.status,
        200
    );
    app.pass(hours(12)).await;
    assert_eq!(app.subjects_to("ann").len(), 5);
}

#[tokio::test]
async fn a_schedule_starts_a_rule_at_each_occurrence_once() {
    let app = TestApp::start().await;
    let ann = app.register("ann").await;
    ann.remove_starter_rules().await;
    let rule = json!({
        "name": "stand-up",
        "triggers": [{ "cron": "30 9 * * MON-FRI", "timezone": "Europe/Berlin", "for_each": "once" }],
        "script": "emit(\"team.standup\", #{ at: now() });",
    });
    let rule = ann.post("/api/v1/rules", rule).await;
    assert_eq!(rule.status, 201, "{}", rule.body);
    assert_eq!(rule.body["next_occurrences"][0], "2026-03-03T08:30:00Z");
    for _ in 0..48 {
        app.pass(hours(1)).await;
    }
    let events = ann.list("/api/v1/events?type=team.standup").await;
    assert_eq!(events.len(), 2);
    let runs = runs_of(&ann, &rule.body).await;
    assert_eq!(runs[0]["trigger"]["scheduled_at"], "2026-03-04T08:30:00Z");
    assert_eq!(runs[0]["task_id"], Value::Null);
}

#[tokio::test]
async fn schedules_follow_a_person_into_another_time_zone() {
    let app = TestApp::start().await;
    let ann = app.register("ann").await;
    let triggers = json!([{ "cron": "0 12 * * *", "for_each": "once" }]);
    let rule = json!({ "name": "noon", "triggers": triggers, "script": "emit(\"a.noon\", 1);" });
    assert_eq!(ann.post("/api/v1/rules", rule).await.status, 201);
    let moved = ann
        .patch("/api/v1/users/me", json!({ "timezone": "Asia/Tokyo" }))
        .await;
    assert_eq!(moved.status, 200, "{}", moved.body);
    // Noon in Tokyo is 03:00 in UTC, and it is 09:00 in UTC now.
    app.pass(hours(4)).await;
    assert!(ann.list("/api/v1/events?type=a.noon").await.is_empty());
    app.pass(hours(14)).await;
    assert_eq!(ann.list("/api/v1/events?type=a.noon").await.len(), 1);
}

#[tokio::test]
async fn how_often_a_schedule_may_fire_is_configured() {
    let app = TestApp::start_with(&[("rules.min_cron_interval", "10m")]).await;
    let ann = app.register("ann").await;
    app.settle().await;
    for (cron, status) in [("*/5 * * * *", 422), ("*/10 * * * *", 200)] {
        let preview = json!({ "cron": cron });
        let preview = ann.post("/api/v1/schedules/preview", preview).await;
        assert_eq!(preview.status, status, "{}", preview.body);
    }
    let triggers = json!([{ "cron": "0,5 * * * *", "for_each": "once" }]);
    let rule = json!({ "name": "often", "triggers": triggers, "script": "emit(\"a.b\", 1);" });
    let refused = ann.post("/api/v1/rules", rule).await;
    assert_eq!(refused.refused(422), "invalid");
    assert_eq!(refused.pointers(), ["/triggers/0/cron"]);
}

#[tokio::test]
async fn after_an_outage_a_schedule_makes_up_for_its_last_occurrence_only() {
    let mut app = TestApp::start().await;
    let ann = app.register("ann").await;
    ann.remove_starter_rules().await;
    for misfire in ["last", "skip", "all"] {
        let rule = json!({
            "name": misfire,
            "triggers": [{ "cron": "@hourly", "for_each": "once" }],
            "script": "emit(`made_up.${rule.name}`, 1);",
            "misfire": misfire,
        });
        assert_eq!(ann.post("/api/v1/rules", rule).await.status, 201);
    }
    app.settle().await;
    app.restart_after(hours(6) + seconds(600)).await;
    app.settle().await;
    let ann = app.log_in("ann@example.com").await;
    for (misfire, count) in [("last", 1), ("skip", 0), ("all", 6)] {
        let events = ann
            .list(&format!("/api/v1/events?type=made_up.{misfire}"))
            .await;
        assert_eq!(events.len(), count, "{misfire}");
    }
}
