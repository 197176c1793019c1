//! The maps that calls take: `task.update(#{ … })` and the like.

use super::flow::Flow;
use super::types::{Entry, Kind};
use super::values::{self, Problem};
use crate::Diagnostic;
use crate::diagnostic::Code;
use crate::nearest::did_you_mean;
use rhai::{Ident, Position};

impl Flow<'_> {
    /// Keys that the call does not take, and values that it refuses.
    pub(super) fn keys(&mut self, call: &str, entries: &[Entry], at: Position) {
        let known = values::keys(call);
        if known.is_empty() {
            return;
        }
        for entry in entries {
            if known.contains(&entry.key.name.as_str()) {
                self.value(call, entry);
            } else {
                self.unknown_key(call, &entry.key, &known);
            }
        }
        for needed in needed(call) {
            if entries.iter().all(|entry| entry.key.name != *needed) {
                let message = format!("`{call}` needs `{needed}`");
                let found = Diagnostic::error(Code::MissingKey, at, message);
                self.say(found.hint(format!("add it: `#{{ {needed}: … }}`")));
            }
        }
    }

    fn unknown_key(&mut self, call: &str, key: &Ident, known: &[&str]) {
        let found = Diagnostic::error(
            Code::UnknownKey,
            key.pos,
            format!("`{call}` does not take `{}`", key.name),
        );
        let hint = did_you_mean(&key.name, known.iter().copied())
            .unwrap_or_else(|| format!("it takes {}", known.join(", ")));
        self.say(found.hint(hint));
    }

    fn value(&mut self, call: &str, entry: &Entry) {
        let (key, value) = (entry.key.name.as_str(), &entry.value);
        let takes = values::key_kinds(call, key);
        let fits = |kind: &Kind| takes.iter().any(|take| take.type_id() == kind.type_id());
        if !takes.is_empty()
            && let Some(kinds) = value.kinds()
            && !kinds.iter().any(fits)
        {
            let expected = values::expected(takes);
            let got = values::given(value.kind);
            let message = format!("`{key}` of `{call}` must be {expected}, not {got}");
            let found = Diagnostic::error(Code::WrongType, entry.at, message);
            self.say(found.hint(values::instead(takes, value)));
            return;
        }
        let one = std::slice::from_ref(value);
        let each = value.items.as_deref().unwrap_or(one);
        for text in each.iter().filter_map(|value| value.text.clone()) {
            match key {
                "status" => self.refuse(Code::UnknownStatus, entry.at, values::status(&text)),
                "priority" => self.refuse(Code::InvalidValue, entry.at, values::priority(&text)),
                "url" => self.refuse(Code::InvalidValue, entry.at, values::url(&text)),
                "method" => self.refuse(Code::InvalidValue, entry.at, values::method(&text)),
                "assignee" | "creator" => self.user(Some(text), entry.at),
                _ => {}
            }
        }
    }

    /// Says what is wrong with a value, if anything is.
    pub(super) fn refuse(&mut self, code: Code, at: Position, problem: Option<Problem>) {
        if let Some(Problem { message, hint }) = problem {
            let found = Diagnostic::error(code, at, message);
            self.say(match hint {
                Some(hint) => found.hint(hint),
                None => found,
            });
        }
    }
}

/// The keys without which a call fails.
fn needed(call: &str) -> &'static [&'static str] {
    match call {
        "create_task" => &["title"],
        "email" => &["subject", "text"],
        "http" => &["url"],
        _ => &[],
    }
}
