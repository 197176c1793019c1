//! Lists: pages, orders, filters.

use super::{TASKS, app_and_ann, path_of, titles};
use crate::harness::{Client, TestApp, seconds};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// 120 tasks of which many are alike in what they are sorted by.
async fn many_tasks(app: &TestApp, ann: &Client) {
    let titles = ["b", "B", "a", "ä", "ω", "emoji 🎉", "a a"];
    let priorities = ["low", "normal", "high", "urgent"];
    for number in 0..120_usize {
        let due_at = match number % 3 {
            0 => None,
            day => Some(format!("2027-01-0{day}T00:00:00Z")),
        };
        ann.create_task(json!({
            "title": titles[number % titles.len()],
            "priority": priorities[number % priorities.len()],
            "due_at": due_at,
        }))
        .await;
        if number % 10 == 0 {
            app.clock.advance(seconds(1));
        }
    }
    app.settle().await;
}

/// Every page of a list, by its cursors.
async fn walk(ann: &Client, path: &str) -> Vec<Vec<Value>> {
    let mut pages = Vec::new();
    let mut next = path.to_owned();
    loop {
        let page = ann.get(&next).await;
        assert_eq!(page.status, 200, "{next}: {}", page.body);
        pages.push(page.body["data"].as_array().unwrap().clone());
        let Some(cursor) = page.body["next_cursor"].as_str() else {
            assert_eq!(page.header("link"), None);
            return pages;
        };
        let link = page.header("link").unwrap();
        let target = link.strip_prefix('<').unwrap();
        let target = target.strip_suffix(">; rel=\"next\"").unwrap();
        assert_eq!(target, format!("{path}&cursor={cursor}"));
        next = target.to_owned();
    }
}

/// What a list is sorted by.
fn sort_key(task: &Value, column: &str) -> (i64, String) {
    let text = task[column].as_str();
    match (column, text) {
        ("priority", Some(name)) => {
            let ranks = ["low", "normal", "high", "urgent"];
            let rank = ranks.iter().position(|rank| *rank == name).unwrap();
            (rank.try_into().unwrap(), String::new())
        }
        // Without a deadline: after all deadlines.
        (_, None) => (1, String::new()),
        (_, Some(text)) => (0, text.to_owned()),
    }
}

#[tokio::test]
async fn every_order_visits_every_task_once() {
    let (app, ann) = app_and_ann().await;
    many_tasks(&app, &ann).await;
    for column in ["created_at", "updated_at", "due_at", "priority", "title"] {
        for direction in ["", "-"] {
            let path = format!("{TASKS}?sort={direction}{column}&limit=7");
            let pages = walk(&ann, &path).await;
            assert_eq!(pages.len(), 18, "{path}");
            assert!(pages[..17].iter().all(|page| page.len() == 7), "{path}");
            let tasks = pages.concat();
            let ids: BTreeSet<_> = tasks.iter().map(|task| task["id"].as_str()).collect();
            assert_eq!((tasks.len(), ids.len()), (120, 120), "{path}");
            let keys: Vec<_> = tasks.iter().map(|task| sort_key(task, column)).collect();
            let mut sorted = keys.clone();
            sorted.sort();
            if direction == "-" {
                sorted.reverse();
            }
            assert_eq!(keys, sorted, "{path}");
        }
    }
    assert_eq!(ann.list("/api/v1/tasks?limit=250").await.len(), 120);
    assert_eq!(ann.list(TASKS).await.len(), 50);
    let newest = ann
        .list(&format!("{TASKS}?sort=-created_at&limit=250"))
        .await;
    assert_eq!(ann.list(&format!("{TASKS}?limit=250")).await, newest);
}

#[tokio::test]
async fn a_walk_keeps_its_filters_and_minds_nobody_who_comes_or_goes() {
    let (app, ann) = app_and_ann().await;
    for number in 10..30 {
        let project = if number % 2 == 0 { "a&b" } else { "other" };
        ann.create_task(json!({ "title": format!("{number}"), "project": project }))
            .await;
    }
    let list = format!("{TASKS}?project=a%26b&sort=title&limit=4");
    let first = ann.get(&list).await;
    let seen = first.body["data"].as_array().unwrap();
    assert_eq!(titles(seen), ["10", "12", "14", "16"]);
    assert_eq!(ann.delete(&path_of(&seen[0])).await.status, 204);
    assert_eq!(ann.delete(&path_of(&seen[3])).await.status, 204);
    ann.create_task(json!({ "title": "09", "project": "a&b" }))
        .await;
    let next = first.header("link").unwrap().to_owned();
    let next = next.trim_start_matches('<').split('>').next().unwrap();
    assert_eq!(titles(&ann.list(next).await), ["18", "20", "22", "24"]);
    app.settle().await;
}

#[tokio::test]
async fn each_filter_finds_its_tasks() {
    let (app, ann) = app_and_ann().await;
    let first = json!({
        "title": "Renew certificate", "description": "100% by Friday", "project": "website",
        "status": "in_progress", "priority": "urgent", "tags": ["tls", "a\"b"],
        "assignee_id": ann.id(), "due_at": "2026-03-02T08:00:00Z"
    });
    ann.create_task(first).await;
    app.pass(seconds(60)).await;
    let second = json!({
        "title": "Über uns", "description": "renew the TEXT", "project": "Website",
        "status": "done", "priority": "low", "tags": ["tlsx"], "due_at": "2026-03-02T08:00:00Z"
    });
    ann.create_task(second).await;
    let third = json!({ "title": "Sleep", "due_at": "2026-03-04T00:00:00Z" });
    ann.create_task(third).await;
    app.settle().await;

    let (one, two, three) = ("Renew certificate", "Über uns", "Sleep");
    let since = app.clock.now().to_string();
    let since = format!("updated_since={since}");
    for (query, expected) in [
        ("status=done", &[two][..]),
        ("status=done,in_progress", &[one, two]),
        ("status=cancelled", &[]),
        ("priority=urgent", &[one]),
        ("priority=low,normal", &[three, two]),
        ("project=website", &[one]),
        ("project=", &[]),
        ("tag=tls", &[one]),
        ("tag=a%22b", &[one]),
        ("tag=tl%25", &[]),
        ("tag=tl_", &[]),
        ("assignee_id=me", &[one]),
        ("creator_id=me", &[one, three, two]),
        ("due_before=2026-03-02T08:00:00Z", &[]),
        ("due_before=2026-03-02T08:00:00.001Z", &[one, two]),
        ("due_after=2026-03-02T08:00:00Z", &[one, three, two]),
        ("due_after=2026-03-02T09:00:00%2B01:00", &[one, three, two]),
        ("due_after=2026-03-03T00:00:00Z", &[three]),
        ("overdue=true", &[one]),
        ("overdue=false", &[three, two]),
        ("q=renew", &[one, two]),
        ("q=RENEW", &[one, two]),
        ("q=text", &[two]),
        ("q=%25", &[one]),
        ("q=_", &[]),
        ("q=", &[one, three, two]),
        (&since, &[three, two]),
        ("q=renew&status=done&tag=tlsx&assignee_id=me", &[]),
        ("q=renew&status=done&tag=tlsx", &[two]),
    ] {
        let found = ann.list(&format!("{TASKS}?sort=title&{query}")).await;
        assert_eq!(titles(&found), expected, "{query}");
    }
}

#[tokio::test]
async fn a_tag_is_the_whole_tag_and_its_case_matters() {
    let (app, ann) = app_and_ann().await;
    for (title, tag) in [("a", "tls"), ("b", "TLS"), ("c", "tls2"), ("d", "über")] {
        ann.create_task(json!({ "title": title, "tags": [tag] }))
            .await;
    }
    for (tag, expected) in [
        ("tls", "a"),
        ("TLS", "b"),
        ("tls2", "c"),
        ("%C3%BCber", "d"),
    ] {
        let found = ann.list(&format!("{TASKS}?tag={tag}")).await;
        assert_eq!(titles(&found), [expected], "{tag}");
    }
    app.settle().await;
}

#[tokio::test]
async fn a_search_disregards_case_in_every_script() {
    let (app, ann) = app_and_ann().await;
    ann.create_task(json!({ "title": "Über uns", "description": "ΩΜΕΓΑ" }))
        .await;
    for q in ["%C3%9Cber", "%C3%BCBER", "%CF%89%CE%BC%CE%B5%CE%B3%CE%B1"] {
        let found = ann.list(&format!("{TASKS}?q={q}")).await;
        assert_eq!(titles(&found), ["Über uns"], "{q}");
    }
    app.settle().await;
}

#[tokio::test]
async fn a_filter_that_cannot_be_is_refused() {
    let (_app, ann) = app_and_ann().await;
    for (query, pointer) in [
        ("status=open", "?status"),
        ("status=todo,open", "?status"),
        ("status=", "?status"),
        ("priority=asap", "?priority"),
        ("assignee_id=ann", "?assignee_id"),
        ("creator_id=1", "?creator_id"),
        ("due_before=tomorrow", "?due_before"),
        ("due_after=2026-13-01T00:00:00Z", "?due_after"),
        ("updated_since=0", "?updated_since"),
        ("overdue=maybe", "?overdue"),
        ("sort=colour", "?sort"),
        ("sort=", "?sort"),
        ("sort=title,due_at", "?sort"),
        ("workspace_id=mine", "?workspace_id"),
        ("project=%00", "?project"),
        ("q=%ff", "?q"),
    ] {
        let refused = ann.get(&format!("{TASKS}?{query}")).await;
        assert_eq!(refused.refused(422), "invalid", "{query}");
        assert_eq!(refused.pointers(), [pointer], "{query}");
    }
}
