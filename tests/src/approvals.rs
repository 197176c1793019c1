//! Questions to people: asked by mail, answered once, by a link or over the API, and by nobody who
//! was not asked.

use crate::harness::{Answer, Client, Mail, TestApp, hours, seconds};
use axum::body::Body;
use http::{Method, Request};
use serde_json::{Value, json};

/// Asks the creator of the task within two hours, and says what came of it.
const SCRIPT: &str = r#"
let answer = approve(task.creator, `May "${task.title}" be closed?`, hours(2));
task.comment(switch answer { true => "yes", false => "no", _ => "nobody" });
"#;

struct Asked {
    app: TestApp,
    ann: Client,
    task: Value,
    mail: Mail,
}

impl Asked {
    async fn new(title: &str) -> Self {
        Self::with(title, &[]).await
    }

    async fn with(title: &str, settings: &[(&str, &str)]) -> Self {
        let app = TestApp::start_with(settings).await;
        let ann = app.register("ann").await;
        ann.remove_starter_rules().await;
        ann.create_rule("Ask <first>", "task.created", SCRIPT).await;
        let task = ann.create_task(json!({ "title": title })).await;
        app.settle().await;
        let mut mails = app.mails();
        let mail = mails.pop().expect("a mail that asks");
        assert!(mails.is_empty());
        Self {
            app,
            ann,
            task,
            mail,
        }
    }

    /// The path and query of the link for `yes` or `no`.
    fn link(&self, answer: &str) -> String {
        let mut words = self.mail.text.split_whitespace();
        let marker = format!("?answer={answer}&token=");
        let link = words.find(|word| word.contains(&marker)).unwrap();
        let path = link.find("/approvals/").unwrap();
        link[path..].to_owned()
    }

    async fn open(&self, link: &str) -> Answer {
        let request = Request::get(link).body(Body::empty()).unwrap();
        self.app.send(request).await
    }

    /// Presses the button of the page of a link.
    async fn press(&self, link: &str) -> Answer {
        let (path, form) = link.split_once('?').unwrap();
        let request = Request::post(path)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(form.to_owned()))
            .unwrap();
        let answer = self.app.send(request).await;
        self.app.settle().await;
        answer
    }

    async fn approval(&self) -> Value {
        let mut all = self.ann.list("/api/v1/approvals").await;
        assert_eq!(all.len(), 1);
        all.remove(0)
    }

    /// What the run has said of the answer.
    async fn said(&self) -> Vec<String> {
        let id = self.task["id"].as_str().unwrap();
        let comments = self.ann.list(&format!("/api/v1/tasks/{id}/comments")).await;
        let texts = comments.iter().map(|comment| comment["text"].as_str());
        texts.map(|text| text.unwrap().to_owned()).collect()
    }
}

fn page(answer: &Answer) -> &str {
    let kind = answer.header("content-type").unwrap();
    assert!(kind.starts_with("text/html"), "{kind}: {}", answer.body);
    answer.body.as_str().unwrap()
}

/// What belongs to every page: nothing from elsewhere, no script, nothing kept or told.
fn is_guarded(answer: &Answer) {
    let policy = answer.header("content-security-policy").unwrap();
    for part in [
        "default-src 'none'",
        "style-src 'sha256-",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let page = page(answer);
    for foreign in ["<script", "http://", "https://", "<img", "<link"] {
        assert!(!page.contains(foreign), "{page}");
    }
}

#[tokio::test]
async fn a_link_leads_to_a_page_that_asks_again_and_its_button_decides() {
    for (answer, status, said, told) in [
        (
            "yes",
            "approved",
            "yes",
            "ann said yes on Monday, 2 March 2026, 09:00 (UTC).",
        ),
        (
            "no",
            "denied",
            "no",
            "ann said no on Monday, 2 March 2026, 09:00 (UTC).",
        ),
    ] {
        let asked = Asked::new("The <b>report</b> & \"more\"").await;
        assert_eq!(asked.mail.to, "ann@example.com");
        assert_eq!(
            asked.mail.subject,
            "Please decide: May \"The <b>report</b> & \"more\"\" be closed?"
        );
        let link = asked.link(answer);

        // Programs look at links, some of them more than once.
        for _ in 0..3 {
            let opened = asked.open(&link).await;
            assert_eq!(opened.status, 200);
            is_guarded(&opened);
            let page = page(&opened);
            for shown in [
                "May &quot;The &lt;b&gt;report&lt;/b&gt; &amp; &quot;more&quot;&quot; be closed?",
                "the rule “Ask &lt;first&gt;” (ann)",
                "Monday, 2 March 2026, 11:00 (UTC)",
                "<form method=\"post\"",
            ] {
                assert!(page.contains(shown), "{shown}: {page}");
            }
            asked.app.settle().await;
        }
        assert_eq!(asked.approval().await["status"], "pending");
        assert_eq!(asked.said().await, [""; 0]);

        let pressed = asked.press(&link).await;
        assert_eq!(pressed.status, 200, "{}", pressed.body);
        is_guarded(&pressed);
        assert!(page(&pressed).contains(told), "{}", pressed.body);
        assert_eq!(asked.said().await, [said]);
        let approval = asked.approval().await;
        assert_eq!(approval["status"], status);
        assert_eq!(approval["answered_by"], asked.ann.id());
        assert_eq!(approval["answered_at"], "2026-03-02T09:00:00Z");
    }
}

#[tokio::test]
async fn a_question_is_answered_once() {
    let asked = Asked::new("Report").await;
    let (yes, no) = (asked.link("yes"), asked.link("no"));
    assert_eq!(asked.press(&yes).await.status, 200);
    for link in [&yes, &no] {
        let again = asked.press(link).await;
        assert_eq!(again.status, 409);
        is_guarded(&again);
        let told = "It was answered before. ann said yes on Monday";
        assert!(page(&again).contains(told), "{}", again.body);
        let opened = asked.open(link).await;
        assert_eq!(opened.status, 200);
        assert!(page(&opened).contains("ann said yes on Monday"));
        assert!(!page(&opened).contains("<form"));
    }
    let path = format!("/api/v1/approvals/{}/answer", id(&asked.approval().await));
    let refused = asked.ann.post(&path, json!({ "approved": false })).await;
    assert_eq!(refused.refused(409), "conflict");
    assert!(
        refused
            .text("detail")
            .contains("ann said yes on Monday, 2 March 2026, 09:00 (UTC)")
    );
    assert_eq!(asked.said().await, ["yes"]);
}

#[tokio::test]
async fn of_two_answers_at_once_one_counts() {
    let asked = Asked::new("Report").await;
    let (yes, no) = (asked.link("yes"), asked.link("no"));
    let (first, second) = tokio::join!(asked.press(&yes), asked.press(&no));
    let mut statuses = [first.status.as_u16(), second.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    assert_eq!(asked.said().await.len(), 1);
}

#[tokio::test]
async fn after_its_time_nobody_decides() {
    let asked = Asked::new("Report").await;
    let link = asked.link("yes");
    asked.app.pass(hours(2)).await;
    assert_eq!(asked.said().await, ["nobody"]);
    for answer in [asked.press(&link).await, asked.open(&link).await] {
        assert_eq!(answer.status, 410);
        is_guarded(&answer);
        assert!(page(&answer).contains("Nobody answered until Monday"));
        assert!(!page(&answer).contains("<form"));
    }
    let approval = asked.approval().await;
    assert_eq!(
        (&approval["status"], &approval["answered_by"]),
        (&json!("expired"), &Value::Null)
    );
    let path = format!("/api/v1/approvals/{}/answer", id(&approval));
    let refused = asked.ann.post(&path, json!({ "approved": true })).await;
    assert_eq!(refused.refused(409), "conflict");
    assert_eq!(asked.said().await, ["nobody"]);
}

#[tokio::test]
async fn a_question_whose_run_is_gone_is_not_asked_any_more() {
    let asked = Asked::new("Report").await;
    let link = asked.link("yes");
    let path = format!("/api/v1/tasks/{}", id(&asked.task));
    assert_eq!(asked.ann.delete(&path).await.status, 204);
    asked.app.settle().await;
    assert_eq!(asked.approval().await["status"], "cancelled");
    for answer in [asked.press(&link).await, asked.open(&link).await] {
        assert_eq!(answer.status, 410);
        assert!(page(&answer).contains("It is not asked any more"));
    }
}

#[tokio::test]
async fn a_link_that_is_not_ours_leads_nowhere_whatever_is_wrong_with_it() {
    let asked = Asked::new("Report").await;
    let (yes, no) = (asked.link("yes"), asked.link("no"));
    let (path, token) = yes.split_once("?answer=yes&token=").unwrap();
    let other = path.replace(&path[path.len() - 12..], "000000000000");
    let mut flipped = token.to_owned();
    flipped.replace_range(0..1, if token.starts_with('A') { "B" } else { "A" });
    let wrong = [
        format!("{path}?answer=no&token={token}"),
        format!("{path}?answer=yes&token={flipped}"),
        format!("{path}?answer=yes&token="),
        format!("{path}?answer=yes"),
        format!("{path}?answer=maybe&token={token}"),
        format!("{path}?token={token}"),
        format!("{other}?answer=yes&token={token}"),
        format!("/approvals/nonsense?answer=yes&token={token}"),
    ];
    let mut pages = std::collections::BTreeSet::new();
    for link in &wrong {
        for answer in [asked.open(link).await, asked.press(link).await] {
            assert_eq!(answer.status, 404, "{link}");
            is_guarded(&answer);
            pages.insert(page(&answer).to_owned());
        }
    }
    assert_eq!(pages.len(), 1, "{pages:?}");
    assert_eq!(asked.approval().await["status"], "pending");
    assert_eq!(asked.press(&no).await.status, 200);
}

#[tokio::test]
async fn the_links_stand_in_the_mail_alone() {
    let asked = Asked::new("Report").await;
    let yes = asked.link("yes");
    let token = yes.split_once("token=").unwrap().1;
    let delivery = &asked.ann.list("/api/v1/deliveries").await[0];
    let path = format!("/api/v1/deliveries/{}", id(delivery));
    let shown = asked.ann.get(&path).await.body;
    assert_eq!(shown["channel"], "email");
    let text = shown["content"]["text"].as_str().unwrap();
    assert!(text.contains("Yes: [the link for yes]"), "{text}");
    for path in [
        &*path,
        "/api/v1/runs",
        "/api/v1/approvals",
        "/api/v1/events",
    ] {
        let seen = asked.ann.get(path).await.body.to_string();
        assert!(
            !seen.contains(token) && !seen.contains("token="),
            "{path}: {seen}"
        );
    }
    asked.press(&yes).await;
}

#[tokio::test]
async fn whoever_is_asked_answers_over_the_api_and_nobody_else_does() {
    let asked = Asked::new("Report").await;
    let bob = asked.app.register("bob").await;
    let approval = asked.approval().await;
    for (name, expected) in [
        ("question", json!("May \"Report\" be closed?")),
        ("status", json!("pending")),
        ("rule_name", json!("Ask <first>")),
        ("task_title", json!("Report")),
        ("task_id", asked.task["id"].clone()),
        ("user_id", json!(asked.ann.id())),
        ("expires_at", json!("2026-03-02T11:00:00Z")),
        ("answered_at", Value::Null),
    ] {
        assert_eq!(approval[name], expected, "{name}");
    }
    let path = format!("/api/v1/approvals/{}", id(&approval));
    assert_eq!(asked.ann.get(&path).await.body, approval);
    let answer = format!("{path}/answer");
    let yes = json!({ "approved": true });
    let nobody = asked
        .app
        .call(Method::POST, &answer, None, Some(&yes))
        .await;
    assert_eq!(nobody.refused(401), "unauthenticated");
    assert_eq!(
        bob.post(&answer, yes.clone()).await.refused(404),
        "not_found"
    );
    let unsaid = asked.ann.post(&answer, json!({})).await;
    assert_eq!(
        (unsaid.refused(422), unsaid.pointers()),
        ("invalid", vec!["/approved"])
    );

    let headers = [("idempotency-key", "once")];
    for _ in 0..2 {
        let done = asked
            .ann
            .ask(Method::POST, &answer, Some(&yes), &headers)
            .await;
        assert_eq!(
            (done.status.as_u16(), &done.body["status"]),
            (200, &json!("approved"))
        );
    }
    asked.app.settle().await;
    assert_eq!(asked.said().await, ["yes"]);
}

#[tokio::test]
async fn questions_are_found_by_whom_they_ask_where_they_stand_and_their_run() {
    let asked = Asked::new("Report").await;
    asked.app.pass(seconds(1)).await;
    asked.ann.create_task(json!({ "title": "Second" })).await;
    asked.app.settle().await;
    asked.press(&asked.link("no")).await;
    let run = asked.ann.list("/api/v1/approvals?status=denied").await[0]["run_id"].clone();
    let nobody = uuid::Uuid::nil();
    for (query, found) in [
        ("", 2),
        ("user_id=me", 2),
        (&*format!("user_id={}", asked.ann.id()), 2),
        (&*format!("user_id={nobody}"), 0),
        ("status=pending", 1),
        ("status=denied&user_id=me", 1),
        ("status=expired", 0),
        (&*format!("run_id={}", run.as_str().unwrap()), 1),
    ] {
        let list = asked.ann.list(&format!("/api/v1/approvals?{query}")).await;
        assert_eq!(list.len(), found, "{query}");
    }
    let first = asked.ann.get("/api/v1/approvals?limit=1").await.body;
    assert_eq!(first["data"][0]["task_title"], "Second");
    let wrong = asked.ann.get("/api/v1/approvals?status=maybe").await;
    assert_eq!(wrong.pointers(), ["?status"]);
    asked.app.pass(hours(2)).await;
}

#[tokio::test]
async fn a_question_goes_with_its_run() {
    let asked = Asked::with("Report", &[("retention.runs", "1d")]).await;
    let link = asked.link("yes");
    assert_eq!(asked.press(&link).await.status, 200);
    asked.app.pass(hours(20)).await;
    assert_eq!(asked.approval().await["status"], "approved");
    asked.app.pass(hours(6)).await;
    assert_eq!(asked.ann.list("/api/v1/approvals").await.len(), 0);
    assert_eq!(asked.open(&link).await.status, 404);
}

fn id(of: &Value) -> String {
    of["id"].as_str().unwrap().to_owned()
}
