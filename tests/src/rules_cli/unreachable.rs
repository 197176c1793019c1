//! Servers that are not there, not SmartTasks, or not the author's.

use super::{Desk, rule};
use axum::Router;
use tokio::net::TcpListener;

async fn desk() -> Desk {
    let desk = Desk::new().await;
    desk.write("a.rhai", &rule("A", "email(task.owner, \"a\", \"b\");"));
    desk
}

#[tokio::test]
async fn what_is_needed_and_not_said_is_named() {
    let desk = desk().await;
    let said = desk.rules_with(&[], &["push", "rules"]).await;
    said.told(
        1,
        &["smarttasks: which server? Say --server URL, or set SMARTTASKS_SERVER"],
    );
    let server = desk.server.as_str();
    let said = desk
        .rules_with(&[], &["push", "rules", "--server", server])
        .await;
    said.told(1, &["an access token is needed; say --token-file FILE"]);
    // What cannot be compared is another thing than what differs.
    let said = desk
        .rules_with(&[], &["diff", "rules", "--server", server])
        .await;
    said.told(2, &["an access token is needed"]);
    let environment = [
        ("SMARTTASKS_SERVER", "tasks.example.com"),
        ("SMARTTASKS_TOKEN", "t"),
    ];
    let said = desk.rules_with(&environment, &["push", "rules"]).await;
    said.told(
        1,
        &["\"tasks.example.com\" is no server: expected an http or https URL"],
    );
    desk.rules(&["push", "rules", "--workspace", "home"])
        .await
        .told(1, &["\"home\" is no workspace"]);
    desk.rules(&["push", "rules", "--token-file", "gone"])
        .await
        .told(1, &["cannot read the token in gone"]);
    desk.rules(&["push", "gone"])
        .await
        .told(1, &["cannot list gone"]);
    std::fs::remove_file(desk.path("a.rhai")).unwrap();
    desk.rules(&["push", "rules", "--prune", "--yes"])
        .await
        .told(1, &["there are no rule files (*.rhai) in rules"]);
    desk.rules(&["push"]).await.told(2, &["DIR"]);
}

#[tokio::test]
async fn a_token_that_is_not_accepted_says_how_to_get_one() {
    let desk = desk().await;
    std::fs::write(desk.app.directory().join("token"), "hunter2\n").unwrap();
    for command in ["push", "pull"] {
        let said = desk
            .rules(&[command, "rules", "--token-file", "token"])
            .await;
        said.told(
            1,
            &[
                "the token is not accepted by http://127.0.0.1",
                "/api/v1/auth/token -d",
            ],
        );
        assert!(!format!("{said:?}").contains("hunter2"), "{said:?}");
    }
    let said = desk
        .rules(&["diff", "rules", "--token-file", "token"])
        .await;
    said.told(2, &["the token is not accepted"]);
}

#[tokio::test]
async fn a_workspace_is_named_by_its_id_and_another_team_has_none_to_show() {
    let desk = desk().await;
    let task = desk
        .ann
        .create_task(serde_json::json!({ "title": "t" }))
        .await;
    desk.app.settle().await;
    let own = task["workspace_id"].as_str().unwrap();
    let said = desk
        .rules(&["push", "rules", "--yes", "--workspace", own])
        .await;
    said.told(0, &["created \"A\""]);
    desk.rules(&["diff", "rules", "--workspace", own])
        .await
        .told(0, &["1 unchanged"]);
    let foreign = "0193a1b2-0000-7000-8000-000000000001";
    let said = desk.rules(&["pull", "rules", "--workspace", foreign]).await;
    said.told(1, &["the server refuses: ", "(not_found)"]);
}

#[tokio::test]
async fn a_server_that_is_not_there_or_is_another_is_named() {
    let desk = desk().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let said = desk.rules(&["push", "rules", "--server", &address]).await;
    said.told(
        1,
        &[
            &format!("{address} does not answer: "),
            "Connection refused",
        ],
    );

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let other = Router::new().fallback(|| async { "It works!" });
    tokio::spawn(async move { axum::serve(listener, other).await });
    let said = desk.rules(&["pull", "rules", "--server", &address]).await;
    said.told(
        1,
        &[&format!("{address} does not answer JSON; is it SmartTasks")],
    );
}
