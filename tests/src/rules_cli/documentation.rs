//! The commands of docs/rules-as-code.md, run as they stand there.

use crate::harness::PASSWORD;
use crate::process::{Installation, binary};
use crate::receivers::Mails;
use std::process::Stdio;
use tokio::process::Command;

const GUIDE: &str = include_str!("../../../docs/rules-as-code.md");

fn blocks(kind: &str) -> Vec<&'static str> {
    GUIDE
        .split(&format!("```{kind}\n"))
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect()
}

#[tokio::test]
async fn the_guide_to_rules_as_code_works_as_it_is_written() {
    let mails = Mails::start().await;
    let installation = Installation::new(&mails);
    let process = installation.start().await;
    process.register("ann").await;
    let data = installation.data();
    let directory = data.parent().unwrap();

    let script = format!("set -euo pipefail\n{}", blocks("sh").concat())
        .replace("127.0.0.1:8080", &process.address().to_string())
        .replace("correct horse battery", PASSWORD);
    let binaries = binary().unwrap();
    let path = format!(
        "{}:{}",
        binaries.parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    let output = Command::new("bash")
        .args(["-c", &script])
        .env("PATH", path)
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let wrong = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{wrong}");
    for expected in [
        "2 new, 0 unchanged",
        "3 files: 0 errors, 0 warnings",
        "1 rule: 2 passed, 0 failed",
        "create     \"Urgent work without an owner\" (rules/urgent.rhai)",
        "created \"Urgent work without an owner\", version 1",
        "3 unchanged",
    ] {
        assert!(
            said.contains(expected),
            "no {expected:?} in\n{said}\n{wrong}"
        );
    }

    // The rule at its beginning is one too.
    let rules = directory.join("example");
    std::fs::create_dir(&rules).unwrap();
    std::fs::write(rules.join("chase.rhai"), blocks("rhai").concat()).unwrap();
    let checked = Command::new(binaries)
        .args(["rules", "check", "--deny-warnings", "example"])
        .current_dir(directory)
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&checked.stdout);
    assert!(checked.status.success(), "{said}");
    assert_eq!(process.stop().await.code(), Some(0));
}
