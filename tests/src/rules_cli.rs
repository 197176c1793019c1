//! `smarttasks rules`, as authors and pipelines call it: the binary beside a server on a real socket.

mod check;
mod documentation;
mod pull;
mod push;
mod test;
mod unreachable;

use crate::harness::{Client, TestApp};
use crate::process::binary;
use axum::Router;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use tokio::net::TcpListener;
use tokio::process::Command;

/// An author with a directory of rules, and a server that has none yet.
struct Desk {
    app: TestApp,
    ann: Client,
    server: String,
}

/// What a command said, and how it ended.
#[derive(Debug)]
struct Said {
    code: i32,
    out: String,
    wrong: String,
}

impl Desk {
    async fn new() -> Self {
        Self::with(&[], |router, _| router).await
    }

    /// With settings of the server, and something between it and the author.
    async fn with(
        settings: &[(&str, &str)],
        between: impl FnOnce(Router, &Client) -> Router,
    ) -> Self {
        let mut app = TestApp::start_with(settings).await;
        let ann = app.register("ann").await;
        ann.remove_starter_rules().await;
        app.settle().await;
        let router = between(app.service().router(), &ann);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        std::fs::create_dir(app.directory().join("rules")).unwrap();
        Self { app, ann, server }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.app.directory().join("rules").join(file)
    }

    fn write(&self, file: &str, text: &str) {
        std::fs::write(self.path(file), text).unwrap();
    }

    /// The files and what is in them.
    fn files(&self) -> BTreeMap<String, String> {
        std::fs::read_dir(self.path(""))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                (name, std::fs::read_to_string(path).unwrap())
            })
            .collect()
    }

    /// `smarttasks rules …`, with the server and the token in the environment.
    async fn rules(&self, arguments: &[&str]) -> Said {
        let token = [
            ("SMARTTASKS_SERVER", self.server.as_str()),
            ("SMARTTASKS_TOKEN", &self.ann.token),
        ];
        let said = self.rules_with(&token, arguments).await;
        assert!(!format!("{said:?}").contains(&self.ann.token), "{said:?}");
        said
    }

    async fn rules_with(&self, environment: &[(&str, &str)], arguments: &[&str]) -> Said {
        let output = Command::new(binary().unwrap())
            .arg("rules")
            .args(arguments)
            .env_clear()
            .envs(environment.iter().copied())
            .current_dir(self.app.directory())
            .stdin(Stdio::null())
            .output()
            .await
            .unwrap();
        Said {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            wrong: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The rules of the server by their names.
    async fn stored(&self) -> BTreeMap<String, Value> {
        let rules = self.ann.list("/api/v1/rules?limit=250").await;
        let named = rules.into_iter();
        named
            .map(|rule| (rule["name"].as_str().unwrap().to_owned(), rule))
            .collect()
    }
}

impl Said {
    /// It ended with this code and said all of this.
    #[track_caller]
    fn told(&self, code: i32, expected: &[&str]) -> &Self {
        let Self { out, wrong, .. } = self;
        assert_eq!(self.code, code, "{out}\n{wrong}");
        for expected in expected {
            let said = out.contains(expected) || wrong.contains(expected);
            assert!(said, "no {expected:?} in\n{out}\n{wrong}");
        }
        self
    }
}

/// A rule file.
fn rule(name: &str, script: &str) -> String {
    format!(
        "//! name     = \"{name}\"\n//! triggers = [{{ event = \"task.created\" }}]\n{script}\n"
    )
}

/// A rule as one posts it without a header.
fn posted(name: &str, script: &str) -> Value {
    json!({ "name": name, "triggers": [{ "event": "task.created" }], "script": script })
}
