//! The dashboard and the alert rules speak of metrics and labels that the running product has.

use super::files::{text, yaml};
use super::promql::{Query, Selector};
use crate::receivers::{Answers, Mails, Webhooks};
use crate::roles::{Cluster, Replica, Role, Urls};
use crate::servers::Servers;
use futures_util::future::join_all;
use http::StatusCode;
use serde_json::{Value, json};
use smarttasks_model::Clock;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What Prometheus says of its targets and rules, and RabbitMQ of its queues
/// (`/metrics/detailed?family=queue_coarse_metrics`), each with its labels.
const OF_OTHERS: [(&str, &[&str]); 4] = [
    ("up", &[]),
    ("ALERTS", &["alertname", "alertstate", "channel", "queue"]),
    ("rabbitmq_detailed_queue_messages_ready", &["queue"]),
    ("rabbitmq_detailed_queue_messages_unacked", &["queue"]),
];
/// What Prometheus adds to each series.
const OF_TARGETS: [&str; 3] = ["instance", "job", "role"];
/// More than it takes to open the breaker of an endpoint that fails, so that some are put off.
const TASKS: usize = 12;

/// Metrics with their labels.
type Metrics = BTreeMap<String, BTreeSet<String>>;

/// An expression, and where it stands.
struct Expression {
    place: String,
    text: String,
    /// The labels that its legend shows.
    legend: Vec<String>,
}

/// The expressions of the dashboard.
fn dashboard() -> Vec<Expression> {
    let dashboard = text("deploy/grafana/dashboards/smarttasks.json");
    let dashboard: Value = serde_json::from_str(&dashboard).unwrap();
    let mut found = Vec::new();
    expressions_in(&dashboard, "dashboard", &mut found);
    found
}

fn expressions_in(value: &Value, place: &str, found: &mut Vec<Expression>) {
    let place = value["title"].as_str().unwrap_or(place);
    if let Some(text) = value["expr"].as_str() {
        found.push(Expression {
            place: place.to_owned(),
            text: text.to_owned(),
            legend: legend(value["legendFormat"].as_str().unwrap_or_default()),
        });
    }
    let parts = value.as_array().into_iter().flatten();
    let parts = parts.chain(value.as_object().into_iter().flat_map(|it| it.values()));
    for part in parts {
        expressions_in(part, place, found);
    }
}

fn legend(format: &str) -> Vec<String> {
    let labels = format.split("{{").skip(1);
    labels
        .map(|rest| rest.split("}}").next().unwrap().trim().to_owned())
        .collect()
}

/// The expressions of the alert rules.
fn alerts() -> Vec<Expression> {
    let rules = yaml("deploy/prometheus/alerts.yml");
    let groups = rules["groups"].as_array().unwrap();
    groups
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap())
        .map(|rule| Expression {
            place: rule["alert"].as_str().unwrap().to_owned(),
            text: rule["expr"].as_str().unwrap().to_owned(),
            legend: Vec::new(),
        })
        .collect()
}

/// Adds those of an answer of `/metrics`.
fn add_metrics(exposition: &str, metrics: &mut Metrics) {
    for line in exposition.lines().filter(|line| !line.starts_with('#')) {
        for Selector { metric, labels } in Query::parse(line).selectors {
            metrics.entry(metric).or_default().extend(labels);
        }
    }
}

/// What is wrong with an expression.
fn complaints(expression: &Expression, metrics: &Metrics) -> Vec<String> {
    let query = Query::parse(&expression.text);
    let mut complaints = Vec::new();
    let mut known: BTreeSet<&str> = OF_TARGETS.into();
    for selector in &query.selectors {
        let Some(labels) = metrics.get(&selector.metric) else {
            complaints.push(format!("there is no {}", selector.metric));
            continue;
        };
        known.extend(labels.iter().map(String::as_str));
        let unknown =
            |label: &&String| !labels.contains(*label) && !OF_TARGETS.contains(&label.as_str());
        let unknown = selector.labels.iter().filter(unknown);
        complaints.extend(unknown.map(|label| format!("{} has no {label}", selector.metric)));
    }
    if query.selectors.is_empty() {
        complaints.push("it speaks of no metric".to_owned());
    }
    let grouping = query.grouping.iter();
    let unknown = grouping.filter(|label| !known.contains(label.as_str()));
    complaints.extend(unknown.map(|label| format!("no metric has {label}")));
    let gone = |label: &&String| !query.grouping.contains(*label);
    let gone = expression.legend.iter().filter(gone);
    complaints.extend(gone.map(|label| format!("the result has no {label}")));
    let place = |what| format!("{}: {what}", expression.place);
    complaints.into_iter().map(place).collect()
}

/// Makes the product do everything that is counted.
async fn make_traffic(api: &Replica, mails: &Mails, webhooks: &Webhooks) {
    let token = api.connect("").await.register("ann").await;
    let mut ann = api.connect(&token).await;
    webhooks.from_now_on(Answers::Status(StatusCode::INTERNAL_SERVER_ERROR));
    let endpoint = json!({ "name": "ops", "url": webhooks.url("/ops") });
    ann.create("/api/v1/endpoints", &endpoint).await;
    let rule = json!({
        "name": "Tell ops",
        "triggers": [{ "event": "task.created" }],
        "script": r#"webhook("ops", #{ title: task.title });"#,
    });
    ann.create("/api/v1/rules", &rule).await;
    let due_at = Clock::system().now() + Duration::from_secs(1);
    let task = json!({ "title": "Pay", "due_at": due_at });
    for _ in 0..TASKS {
        ann.create("/api/v1/tasks", &task).await;
    }
    // Each is announced, and each is overdue.
    mails.inbox.until_count(2 * TASKS).await;
}

/// What all processes together answer at `/metrics` once a delivery was put off: the last thing to
/// happen.
async fn scraped(replicas: &[Replica]) -> Metrics {
    let look = async {
        loop {
            let mut metrics = Metrics::new();
            for replica in replicas {
                let answer = replica.connect("").await.get("/metrics").await;
                assert_eq!(answer.status, 200, "{:?}", replica.role);
                add_metrics(answer.body.as_str().expect("text"), &mut metrics);
            }
            if metrics.contains_key("smarttasks_deliveries_put_off_total") {
                return metrics;
            }
        }
    };
    let looked = tokio::time::timeout(Duration::from_secs(60), look).await;
    looked.expect("a delivery is put off within a minute")
}

#[tokio::test]
async fn every_metric_and_label_of_the_dashboard_and_the_alerts_is_one_that_the_product_has() {
    let (mails, webhooks) = (Mails::start().await, Webhooks::start().await);
    let servers = Servers::start().await;
    let urls = Urls {
        database: servers.database_url.clone(),
        amqp: servers.amqp_url.clone(),
        redis: servers.redis_url.clone(),
    };
    let cluster = Cluster::new(&urls, &mails);
    let mut replicas = Role::ALL.map(|role| cluster.spawn(role));
    join_all(replicas.iter_mut().map(Replica::ready)).await;
    make_traffic(&replicas[0], &mails, &webhooks).await;
    let mut metrics = scraped(&replicas).await;
    for (metric, labels) in OF_OTHERS {
        let labels = labels.iter().map(|label| (*label).to_owned());
        metrics.insert(metric.to_owned(), labels.collect());
    }
    let (dashboard, alerts) = (dashboard(), alerts());
    assert!(dashboard.len() > 20 && alerts.len() > 5);
    let complaints: Vec<_> = dashboard
        .iter()
        .chain(&alerts)
        .flat_map(|expression| complaints(expression, &metrics))
        .collect();
    assert!(
        complaints.is_empty(),
        "{complaints:#?}\nThe product has {:#?}",
        metrics.keys()
    );
}
