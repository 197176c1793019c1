//! A rule as a file that says the same.

use super::header::{BYTE_ORDER_MARK, Header, MARK};
use super::parse_rule_file;
use serde_json::Value;
use smarttasks_model::{ForEach, Misfire, Overlap, Repeat, RuleSpec, Trigger};
use std::fmt::Display;

/// The file of a rule: its script, under a header that says what the rule is. A header that says
/// so already is left as it is; of one that says something else the comments are kept.
pub fn rule_file(spec: &RuleSpec) -> String {
    if parse_rule_file(&spec.script).as_ref() == Ok(spec) {
        return spec.script.clone();
    }
    let old = Header::of(&spec.script);
    let newline = match spec.script.split_once('\n') {
        Some((first, _)) if first.ends_with('\r') => "\r\n",
        _ => "\n",
    };
    let mut file = String::new();
    if spec.script.starts_with(BYTE_ORDER_MARK) {
        file.push(BYTE_ORDER_MARK);
    }
    let comments = comments(&old.toml).into_iter().map(str::to_owned);
    for line in comments.chain(fields(spec)) {
        file.push_str(&format!("{MARK} {line}{newline}"));
    }
    file + old.body
}

/// The lines that are comments to TOML. In a text of several lines `#` begins none.
fn comments(toml: &str) -> Vec<&str> {
    if toml.contains("\"\"\"") || toml.contains("'''") {
        return Vec::new();
    }
    toml.lines()
        .map(str::trim)
        .filter(|line| line.starts_with('#'))
        .collect()
}

/// The fields that are not what they are without being said.
fn fields(spec: &RuleSpec) -> Vec<String> {
    let text = |text: String| Some(toml(&Value::String(text)));
    let word = |differs: bool, value: Value| differs.then(|| toml(&value));
    let fields = [
        ("name", text(spec.name.clone())),
        (
            "description",
            word(
                !spec.description.is_empty(),
                spec.description.as_str().into(),
            ),
        ),
        ("enabled", word(!spec.enabled, false.into())),
        ("triggers", Some(triggers(&spec.triggers))),
        (
            "repeat",
            word(
                spec.repeat != Repeat::default(),
                spec.repeat.to_string().into(),
            ),
        ),
        ("hold", spec.hold.and_then(|hold| text(hold.to_string()))),
        (
            "overlap",
            word(spec.overlap != Overlap::default(), json(&spec.overlap)),
        ),
        (
            "misfire",
            word(spec.misfire != Misfire::default(), json(&spec.misfire)),
        ),
    ];
    let width = fields.iter().filter(|(_, value)| value.is_some());
    let width = width.map(|(name, _)| name.len()).max().unwrap_or(0);
    fields
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .flat_map(|(name, value)| {
            let field = format!("{name:width$} = {value}");
            field.lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .collect()
}

/// One on the line of its name; several on lines of their own.
fn triggers(triggers: &[Trigger]) -> String {
    let triggers: Vec<String> = triggers.iter().map(trigger).collect();
    match &triggers[..] {
        [] | [_] => format!("[{}]", triggers.concat()),
        many => format!("[\n    {},\n]", many.join(",\n    ")),
    }
}

fn trigger(trigger: &Trigger) -> String {
    let text =
        |name: &str, value: &dyn Display| format!("{name} = {}", toml(&json(&value.to_string())));
    let fields = match trigger {
        Trigger::Event(pattern) => vec![text("event", &pattern.as_str())],
        Trigger::Due(offset) => vec![text("due", offset)],
        Trigger::Cron {
            cron,
            timezone,
            for_each,
        } => {
            let mut fields = vec![text("cron", cron)];
            fields.extend(timezone.map(|zone| text("timezone", &zone)));
            if *for_each != ForEach::default() {
                fields.push(format!("for_each = {}", toml(&json(for_each))));
            }
            fields
        }
    };
    format!("{{ {} }}", fields.join(", "))
}

/// Plain data: it is always JSON.
fn json(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

/// A text, number or word of JSON is one of TOML, but for a control character that JSON leaves as
/// it is.
fn toml(value: &Value) -> String {
    value.to_string().replace('\u{7f}', "\\u007f")
}
