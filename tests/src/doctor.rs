//! `smarttasks doctor`, as an operator calls it: embedded and on servers, whichever the other tests
//! run on. (Dead letters of a broker are shown and replayed by the tests of the bus.)

use crate::backend::{Backend, server};
use crate::harness::TestApp;
use crate::process::binary;
use serde_json::json;
use smarttasks_store::{Payload, outbox};
use std::process::Stdio;
use tokio::process::Command;

/// What it said, and whether it found everything well.
struct Visit {
    said: String,
    well: bool,
}

impl Visit {
    fn line(&self, part: &str) -> &str {
        let mut lines = self.said.lines();
        lines
            .find(|line| line.get(6..).is_some_and(|rest| rest.starts_with(part)))
            .unwrap_or_else(|| panic!("nothing about {part} in\n{}", self.said))
    }
}

async fn visit(settings: &[(String, String)], arguments: &[&str]) -> Visit {
    let mut command = Command::new(binary().unwrap());
    command.arg("doctor").args(arguments);
    for (key, value) in settings {
        command.arg("--set").arg(format!("{key}={value}"));
    }
    let output = command.stdin(Stdio::null()).output().await.unwrap();
    let said = [output.stdout, output.stderr].concat();
    Visit {
        said: String::from_utf8(said).unwrap(),
        well: output.status.success(),
    }
}

fn set(key: &str, value: impl ToString) -> (String, String) {
    (key.to_owned(), value.to_string())
}

/// A port on which nobody listens.
async fn nobody() -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}

#[tokio::test]
async fn before_the_first_start_nothing_is_wrong() {
    let app = TestApp::start().await;
    let settings = [
        set("data_dir", app.directory().join("another").display()),
        set("http.listen", format!("127.0.0.1:{}", nobody().await)),
    ];
    let visit = visit(&settings, &[]).await;
    assert!(visit.well, "{}", visit.said);
    assert!(visit.line("database").contains("does not exist yet"));
    assert!(visit.line("service").contains("does not answer"));
    assert!(visit.line("mail").contains("no SMTP_URL"));
}

#[tokio::test]
async fn dead_letters_are_shown_and_given_back() {
    let mut app = TestApp::start().await;
    app.leaves_messages_unsent();
    let ann = app.register("ann").await;
    ann.create_rule(
        "R",
        "parcel.lost",
        "email(\"ann@example.com\", \"Lost\", \"x\");",
    )
    .await;
    app.settle().await;
    app.stop().await;

    // What a consumer that fails five times leaves behind.
    let db = app.open_database().await;
    let event = ann.event(db.clock().now(), "parcel.lost", json!({}));
    db.write(move |tx| {
        let event = event.clone();
        Box::pin(async move { tx.raise(event) })
    })
    .await
    .unwrap();
    let pending = outbox::page(&db, 0, 10).await.unwrap();
    let [message] = &pending[..] else {
        panic!("{pending:?}");
    };
    assert!(matches!(message.payload, Payload::Here(Ok(_))));
    let id = message.id;
    db.write(move |tx| Box::pin(async move { outbox::bury(tx, id, "it was unlucky").await }))
        .await
        .unwrap();
    drop(db);

    let settings = [set("data_dir", app.directory().display())];
    let seen = visit(&settings, &[]).await;
    assert!(!seen.well, "{}", seen.said);
    let letter = seen.line("dead letter ");
    assert!(
        letter.contains("it was unlucky") && letter.contains("parcel.lost"),
        "{letter}"
    );
    let replayed = visit(&settings, &["--replay"]).await;
    assert!(replayed.well, "{}", replayed.said);
    assert!(replayed.line("dead letters").contains("1 replayed"));

    app.restart().await;
    app.settle().await;
    assert_eq!(app.subjects_to("ann"), ["Lost"]);
}

#[tokio::test]
async fn servers_that_are_well_are_named_and_secrets_are_not() {
    let mut settings = Backend::Servers.settings().await;
    settings.push(set("data_dir", "/nonexistent"));
    let fine = visit(&settings, &[]).await;
    assert!(fine.well, "{}", fine.said);
    for part in [
        "database",
        "migrations",
        "clock",
        "outbox",
        "broker",
        "queue",
        "dead letters",
        "cache",
    ] {
        assert!(fine.line(part).starts_with("ok"), "{}", fine.said);
    }
    let key = settings
        .iter()
        .find(|(key, _)| key == "secret_key")
        .unwrap();
    assert!(!fine.said.contains(&key.1) && !fine.said.contains("guest:guest"));
}

#[tokio::test]
async fn every_server_that_is_gone_is_named_with_what_it_said() {
    let port = nobody().await;
    let settings = [
        set(
            "database_url",
            format!("postgres://u:hunter2@127.0.0.1:{port}/d"),
        ),
        set("amqp_url", server("SMARTTASKS_TEST_AMQP_URL")),
        set("redis_url", format!("redis://:hunter2@127.0.0.1:{port}/")),
        set("smtp_url", format!("smtp://127.0.0.1:{port}")),
        set("secret_key", "c21hcnR0YXNrcyB0ZXN0cywgbm90IGEgc2VjcmV0ISE="),
    ];
    let visit = visit(&settings, &[]).await;
    assert!(!visit.well, "{}", visit.said);
    for part in ["database", "cache", "mail"] {
        let line = visit.line(part);
        assert!(line.starts_with("FAIL"), "{line}");
    }
    assert!(
        visit.said.contains("3 parts need attention"),
        "{}",
        visit.said
    );
    assert!(!visit.said.contains("hunter2"), "{}", visit.said);
}
