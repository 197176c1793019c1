//! Which metrics and labels a PromQL expression speaks of. Not what it means: that takes Prometheus.

use std::collections::BTreeSet;

/// What stands before a parenthesis with labels.
const GROUPINGS: [&str; 6] = [
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
];
/// Words that are neither functions nor metrics.
const KEYWORDS: [&str; 5] = ["and", "or", "unless", "bool", "offset"];

/// An expression's metrics and labels.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// The metrics, in the order in which they stand there.
    pub selectors: Vec<Selector>,
    /// The labels by which it groups.
    pub grouping: BTreeSet<String>,
}

/// A metric, and the labels by which its series are chosen.
#[derive(Debug, PartialEq, Eq)]
pub struct Selector {
    /// The name.
    pub metric: String,
    /// The labels' names.
    pub labels: BTreeSet<String>,
}

impl Query {
    /// Reads an expression, or the name and labels of a series.
    pub fn parse(text: &str) -> Self {
        let mut query = Self::default();
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            rest = match next {
                '"' => after_string(rest),
                '[' => after(rest, ']'),
                // Grafana's variables.
                '$' => word(&rest[1..]).1,
                '0'..='9' => word(rest).1,
                _ if is_of_a_word(next) => query.take_word(rest),
                _ => &rest[next.len_utf8()..],
            };
        }
        query
    }

    fn take_word<'a>(&mut self, text: &'a str) -> &'a str {
        let (name, rest) = word(text);
        let next = rest.trim_start();
        if GROUPINGS.contains(&name) && next.starts_with('(') {
            let rest = after(next, ')');
            let inside = &next[1..next.len() - rest.len() - 1];
            let labels = inside.split(',').map(|label| label.trim().to_owned());
            self.grouping
                .extend(labels.filter(|label| !label.is_empty()));
            return rest;
        }
        // A function, or an aggregation that says its labels before what it aggregates.
        let is_called = next.starts_with('(') || ["by", "without"].contains(&word(next).0);
        if KEYWORDS.contains(&name) || is_called {
            return rest;
        }
        let (labels, rest) = match next.strip_prefix('{') {
            Some(matchers) => labels(matchers),
            None => (BTreeSet::new(), rest),
        };
        self.selectors.push(Selector {
            metric: name.to_owned(),
            labels,
        });
        rest
    }
}

/// The labels of matchers up to the closing brace, and what follows it. Values may hold braces.
fn labels(matchers: &str) -> (BTreeSet<String>, &str) {
    let mut labels = BTreeSet::new();
    let mut rest = matchers;
    while let Some(next) = rest.chars().next() {
        rest = match next {
            '}' => return (labels, &rest[1..]),
            '"' => after_string(rest),
            _ if is_of_a_word(next) => {
                let (label, rest) = word(rest);
                labels.insert(label.to_owned());
                rest
            }
            _ => &rest[next.len_utf8()..],
        };
    }
    panic!("a brace is not closed: {{{matchers}");
}

fn is_of_a_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

fn word(text: &str) -> (&str, &str) {
    let end = text.find(|c| !is_of_a_word(c)).unwrap_or(text.len());
    text.split_at(end)
}

fn after(text: &str, end: char) -> &str {
    let (_, rest) = text
        .split_once(end)
        .unwrap_or_else(|| panic!("no {end} in {text}"));
    rest
}

fn after_string(text: &str) -> &str {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '"' if !escaped => return &text[at + 1..],
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    panic!("a string is not closed: {text}");
}

#[test]
fn metrics_and_labels_of_an_expression_are_found() {
    let selector = |metric: &str, labels: &[&str]| Selector {
        metric: metric.to_owned(),
        labels: labels.iter().map(|label| (*label).to_owned()).collect(),
    };
    let query = Query::parse(
        "topk(10, histogram_quantile(0.99, sum by (le, route) (rate(a_bucket{b=~\"x|}\", c!=\"\\\"d\"}[$__rate_interval])))) \
         > 0 or vector(0) unless on (e) f == bool 1e3",
    );
    assert_eq!(
        query.selectors,
        [selector("a_bucket", &["b", "c"]), selector("f", &[])]
    );
    assert_eq!(
        query.grouping,
        ["e", "le", "route"].map(String::from).into()
    );
    let series = Query::parse("requests_total{route=\"/tasks/{id}\",status=\"2xx\"} 12");
    assert_eq!(
        series.selectors,
        [selector("requests_total", &["route", "status"])]
    );
}
