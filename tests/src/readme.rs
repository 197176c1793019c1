//! The README's tour, run as it stands there: only the addresses are those of this test, and the
//! deadline is nearer.

use crate::process::Installation;
use crate::receivers::Mails;
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use tokio::process::{Child, Command};

const README: &str = include_str!("../../README.md");

/// The shell blocks of the tour, without the one that starts the service.
fn blocks() -> Vec<&'static str> {
    let (_, tour) = README
        .split_once("## A tour of five minutes")
        .expect("the tour");
    let (tour, _) = tour.split_once("\n## ").expect("what follows the tour");
    tour.split("```sh\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .filter(|block| !block.starts_with("cargo run"))
        .collect()
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

fn background(directory: &Path, script: &str) -> Child {
    Command::new("bash")
        .args(["-c", script])
        .current_dir(directory)
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn the_tour_of_the_readme_works_as_it_is_written() {
    let mails = Mails::start().await;
    // Without a mail server, as on the first day.
    let installation = Installation::new(&mails).with("SMTP_URL", "");
    let process = installation.start().await;
    process.ready().await;
    let data = installation.data();
    let directory = data.parent().unwrap();

    let port = free_port().to_string();
    let (receiver, steps): (Vec<_>, Vec<_>) = blocks()
        .into_iter()
        .partition(|block| block.starts_with("python3"));
    assert_eq!(
        (receiver.len(), steps.len()),
        (1, 6),
        "the tour has changed its steps"
    );
    // `exec` so that what is ended at the end is the receiver and not its shell.
    let receiver = format!(
        "exec {} > received 2>&1",
        receiver[0].trim().replace("9000", &port)
    );
    let receiver = receiver.replace(
        "self.send_response",
        "sys.stdout.flush(); self.send_response",
    );
    let receiver = receiver.replace(
        "from http.server import *",
        "import sys\nfrom http.server import *",
    );
    let _receiver = background(directory, &receiver);

    let mut script = "set -euo pipefail\nuntil_true() { for _ in $(seq 200); do if \"$@\"; then return; fi; sleep 0.1; done; echo \"gave up: $*\" >&2; exit 1; }\n\
        mails() { [ \"$(ls data/mail | wc -l)\" -ge \"$1\" ]; }\n\
        listens() { (: < /dev/tcp/127.0.0.1/$1) 2> /dev/null; }\n".to_owned();
    for step in steps {
        if step.contains("grep -h ^Subject") {
            script.push_str("until_true mails 2\n");
        }
        if step.contains("$api/endpoints") {
            script.push_str(&format!("until_true listens {port}\n"));
        }
        if step.contains("$api/runs") {
            script.push_str("until_true grep -q webhook-signature received\n");
        }
        script.push_str(step);
    }
    let script = script
        .replace("127.0.0.1:8080", &process.address().to_string())
        .replace("9000", &port)
        .replace("+10 seconds", "+1 second");
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let (said, wrong) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{said}\n{wrong}");
    for expected in [
        "Subject: New task: Renew certificate",
        "Subject: Overdue: Renew certificate",
        "whsec_",
        "\"action\": \"webhook\"",
        "\"channel\": \"webhook\"",
    ] {
        assert!(
            said.contains(expected),
            "no {expected:?} in\n{said}\n{wrong}"
        );
    }
    let received = std::fs::read_to_string(directory.join("received")).unwrap();
    assert!(received.contains("Call the registrar"), "{received}");
    assert_eq!(process.stop().await.code(), Some(0));
}
