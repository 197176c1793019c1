//! Trying leaves no trace: every row of every table is as it was.

use super::{ann_alone, escalation, ok, rule};
use crate::harness::{TestApp, hours};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};
use serde_json::json;
use std::collections::BTreeMap;

/// Every row, by the table, but the signs of life that a process gives.
async fn everything(app: &TestApp) -> BTreeMap<String, Vec<String>> {
    let db = Database::connect(app.database_url()).await.unwrap();
    let mut all = BTreeMap::new();
    for table in tables(&db).await {
        if table == "instances" {
            continue;
        }
        let rows = rows(&db, &table).await;
        all.insert(table, rows);
    }
    db.close().await.unwrap();
    all
}

async fn texts(db: &DatabaseConnection, sql: String) -> Vec<String> {
    let statement = Statement::from_string(db.get_database_backend(), sql);
    let rows = db.query_all_raw(statement).await.unwrap();
    rows.iter()
        .map(|row| row.try_get_by_index(0).unwrap())
        .collect()
}

async fn tables(db: &DatabaseConnection) -> Vec<String> {
    let sql = match db.get_database_backend() {
        DbBackend::Sqlite => "SELECT name FROM sqlite_master WHERE type = 'table'",
        _ => "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'",
    };
    texts(db, sql.to_owned()).await
}

async fn rows(db: &DatabaseConnection, table: &str) -> Vec<String> {
    let row = match db.get_database_backend() {
        DbBackend::Sqlite => {
            let sql = format!("SELECT name FROM pragma_table_info('{table}')");
            let columns = texts(db, sql).await;
            let quoted: Vec<String> = columns
                .iter()
                .map(|of| format!("quote(\"{of}\")"))
                .collect();
            quoted.join(" || ',' || ")
        }
        _ => "CAST(t AS text)".to_owned(),
    };
    texts(db, format!("SELECT {row} FROM \"{table}\" AS t ORDER BY 1")).await
}

#[tokio::test]
async fn all_four_leave_every_row_as_it_was() {
    let (app, ann) = ann_alone().await;
    let rule = rule(&ann, escalation()).await;
    let due = json!({ "title": "Pay", "priority": "high", "due_at": app.later(hours(1)) });
    let task = ann.create_task(due).await;
    app.pass(hours(2)).await;
    // A login that is renewed meanwhile would be a trace of its own.
    let ann = app.log_in("ann@example.com").await;
    app.settle().await;
    let before = everything(&app).await;
    assert!(
        before["runs"].len() == 1 && before["events"].len() > 1,
        "{before:?}"
    );
    let of_rule = |what: &str| format!("/api/v1/rules/{rule}/{what}");
    let id = task["id"].as_str().unwrap();
    let told = ok(ann.get(&of_rule(&format!("why?task={id}"))).await);
    assert_eq!(told["matches"], true);
    ok(ann.get(&of_rule("explain")).await);
    let simulated = ok(ann
        .post(&of_rule("simulate"), json!({ "task_id": id }))
        .await);
    assert_eq!(simulated["timeline"].as_array().unwrap().len(), 4);
    let draft = json!({ "script": "state.set(\"a\", 1); create_task(#{ title: \"x\" }); emit(\"ci.x\", 1);",
        "triggers": [{ "event": "task.created" }] });
    let simulated = ok(ann.post("/api/v1/rules/simulate", draft).await);
    assert_eq!(simulated["state"], json!({ "a": 1 }));
    let replayed = ok(ann
        .post(
            &of_rule("backtest"),
            json!({ "since": "2026-03-01T00:00:00Z" }),
        )
        .await);
    assert_eq!(replayed["matches"], 1);
    app.settle().await;
    assert_eq!(everything(&app).await, before);
}
