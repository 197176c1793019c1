//! Calls: whether there is such a function, and whether it takes what it is given.

use super::Reference;
use super::flow::Flow;
use super::signatures::Fit;
use super::types::{self, Kind, Type};
use super::values;
use crate::diagnostic::Code;
use crate::nearest::did_you_mean;
use crate::{Diagnostic, action, waiting};
use rhai::{Expr, FnCallExpr, Position};
use std::collections::BTreeSet;

/// Words that look like calls and are syntax to Rhai.
const KEYWORDS: &[&str] = &[
    "Fn",
    "call",
    "curry",
    "type_of",
    "is_def_var",
    "is_def_fn",
    "print",
    "debug",
];

/// A call with what is known of its arguments; a method's subject is the first of them.
struct Call<'c> {
    name: &'c str,
    written: &'c [Expr],
    arguments: Vec<Type>,
    method: bool,
    at: Position,
}

impl Call<'_> {
    /// As the documentation calls it.
    fn spoken(&self) -> String {
        match action_of(self.name, self.method) {
            Some(action) => action.to_owned(),
            None if self.method && self.arguments[0].kind == Kind::State => {
                format!("state.{}", self.name)
            }
            None => self.name.to_owned(),
        }
    }

    /// Where an argument stands.
    fn place(&self, argument: usize) -> Position {
        let written = argument.checked_sub(usize::from(self.method));
        written
            .and_then(|index| self.written.get(index))
            .map_or(self.at, Expr::start_position)
    }
}

impl Flow<'_> {
    pub(super) fn call(&mut self, call: &FnCallExpr, at: Position) -> Type {
        let arguments: Vec<Type> = call
            .args
            .iter()
            .map(|argument| self.expr(argument))
            .collect();
        if call.op_token.is_some() {
            return self.operator(call, &arguments, at);
        }
        let call = Call {
            name: &call.name,
            written: &call.args,
            arguments,
            method: false,
            at,
        };
        self.called(&call)
    }

    pub(super) fn method(&mut self, of: &Type, call: &FnCallExpr, at: Position) -> Type {
        let mut arguments = vec![of.clone()];
        arguments.extend(call.args.iter().map(|argument| self.expr(argument)));
        let call = Call {
            name: &call.name,
            written: &call.args,
            arguments,
            method: true,
            at,
        };
        // A closure under a key of a map is called like a method.
        if self.names.keys.contains(call.name)
            && of.kind.type_id().is_none_or(|_| !of.kind.is_host())
        {
            self.deeds.calls_any();
            self.act(&call);
            return Type::UNKNOWN;
        }
        self.called(&call)
    }

    fn called(&mut self, call: &Call<'_>) -> Type {
        if let Some(value) = self.keyword(call) {
            return value;
        }
        if self.is_own(call) {
            self.deeds.calls(call.name, self.is_dead());
            // It may have done anything to the task.
            self.facts.doubt();
            return Type::UNKNOWN;
        }
        if self.is_known(call) {
            self.arguments(call);
            self.details(call);
        }
        self.act(call);
        let first = call.arguments.first().unwrap_or(&Type::UNKNOWN);
        types::of_call(call.name, first)
    }

    fn keyword(&mut self, call: &Call<'_>) -> Option<Type> {
        if !KEYWORDS.contains(&call.name) {
            return None;
        }
        if call.name == "Fn" {
            match call.arguments.first().and_then(|name| name.text.as_ref()) {
                Some(name) => self.deeds.calls(name, self.is_dead()),
                None => self.deeds.calls_any(),
            }
        }
        Some(match call.name {
            "type_of" => Type::of(Kind::Text),
            "is_def_var" | "is_def_fn" => Type::of(Kind::Bool),
            _ => Type::UNKNOWN,
        })
    }

    /// A script's own function, called like a method, has its subject as `this`.
    fn is_own(&self, call: &Call<'_>) -> bool {
        self.names.own.get(call.name).is_some_and(|own| {
            own.contains(&call.arguments.len()) || own.contains(&call.written.len())
        })
    }

    /// Whether there is such a function with so many arguments.
    fn is_known(&mut self, call: &Call<'_>) -> bool {
        let known = self.context.language.functions.get(call.name);
        let own = self.names.own.get(call.name);
        if known.is_some_and(|known| known.contains(&call.arguments.len())) {
            return true;
        }
        if known.is_none() && own.is_none() {
            self.unknown_function(call);
            return false;
        }
        let subject = usize::from(call.method);
        let counts: BTreeSet<String> = known
            .into_iter()
            .chain(own)
            .flatten()
            .map(|count| count.saturating_sub(subject).to_string())
            .collect();
        let counts: Vec<String> = counts.into_iter().collect();
        if own.is_some() {
            self.deeds.calls(call.name, self.is_dead());
        }
        let message = format!(
            "`{}` does not take {}; it takes {}",
            call.spoken(),
            counted(call.written.len()),
            counts.join(" or ")
        );
        let found = Diagnostic::error(Code::WrongArguments, call.at, message);
        self.say(found.hint(match action_of(call.name, call.method) {
            Some("email") => "write `email(to, subject, text)` or `email(#{ to, subject, text })`",
            Some("webhook") => "write `webhook(endpoint, payload)`",
            _ if call.name == "wait_for" => {
                "say how long at most: `wait_for(\"task.completed\", days(3))`"
            }
            _ if call.name == "approve" => "write `approve(user, question, timeout)`",
            _ => "give as many as it takes",
        }));
        false
    }

    fn unknown_function(&mut self, call: &Call<'_>) {
        let found = Diagnostic::error(
            Code::UnknownFunction,
            call.at,
            format!("there is no function `{}`", call.name),
        );
        let of = call.arguments.first().map_or(Kind::Unknown, |of| of.kind);
        if call.method && self.signatures().fields(of).contains(&call.name) {
            let hint = format!("it is a field: `.{}` without parentheses", call.name);
            return self.say(found.hint(hint));
        }
        // What fits the subject is nearer than what does not.
        let methods = self.signatures().methods(of);
        let of_subject = did_you_mean(call.name, methods).filter(|_| call.method);
        let all = self
            .context
            .language
            .functions
            .keys()
            .chain(self.names.own.keys())
            .map(String::as_str)
            .filter(|name| name.starts_with(char::is_alphabetic) && !name.contains('$'));
        let hint = of_subject.or_else(|| did_you_mean(call.name, all));
        self.say(match hint {
            Some(hint) => found.hint(hint),
            None => found.hint("the reference has every function: docs/rule-language.md"),
        });
    }

    /// Whether the arguments are of kinds that it takes.
    fn arguments(&mut self, call: &Call<'_>) {
        if call.name == "contains" {
            self.membership(call.written, &call.arguments, call.method, call.at);
            return;
        }
        let parameters = values::parameters(call.name, call.arguments.len());
        for (place, takes) in parameters.iter().enumerate() {
            let argument = &call.arguments[place];
            let Some(kinds) = argument.kinds() else {
                continue;
            };
            let fits = |kind: &Kind| takes.iter().any(|take| take.type_id() == kind.type_id());
            if !takes.is_empty() && !kinds.iter().any(fits) {
                return self.wrong_type(call, place, takes);
            }
        }
        let kinds: Vec<Option<Vec<Kind>>> = call.arguments.iter().map(Type::kinds).collect();
        match self.signatures().fit(call.name, &kinds) {
            Fit::Fits => {}
            Fit::Wrong(place, takes) => self.wrong_type(call, place, &takes),
            Fit::WrongTogether => {
                let kinds: Vec<&str> = call.arguments.iter().map(|of| of.kind.words()).collect();
                let message = format!("`{}` does not take {}", call.spoken(), kinds.join(" and "));
                let found = Diagnostic::error(Code::WrongType, call.at, message);
                self.say(found.hint("give values of other kinds"));
            }
        }
    }

    fn wrong_type(&mut self, call: &Call<'_>, place: usize, takes: &[Kind]) {
        let argument = &call.arguments[place];
        let expected = values::expected(takes);
        let (name, got) = (call.spoken(), values::given(argument.kind));
        let number = place + usize::from(!call.method);
        let message = if call.method && place == 0 {
            format!("`{}` is for {expected}, not for {got}", call.name)
        } else if call.written.len() == 1 {
            format!("`{name}` takes {expected}, not {got}")
        } else {
            format!(
                "`{name}` takes {expected} as its {} argument, not {got}",
                ordinal(number)
            )
        };
        let found = Diagnostic::error(Code::WrongType, call.place(place), message);
        self.say(found.hint(values::instead(takes, argument)));
    }

    /// Remembers an action, and what it does to what was tested.
    fn act(&mut self, call: &Call<'_>) {
        if let Some(action) = action_of(call.name, call.method) {
            self.deeds.acts(action, call.at, self.is_dead());
        }
        if let Some(wait) = waiting::CALLS.iter().find(|wait| **wait == call.name) {
            self.deeds.acts(wait, call.at, self.is_dead());
            // Much may happen meanwhile.
            self.facts.forget_task();
        }
        if matches!(call.name, "assign" | "update") {
            self.facts.doubt();
        }
        let state = call
            .arguments
            .first()
            .is_some_and(|of| of.kind == Kind::State);
        if state && matches!(call.name, "set" | "remove") {
            self.deeds.keeps();
        }
    }

    /// What is particular to one function.
    fn details(&mut self, call: &Call<'_>) {
        let text = |place: usize| call.arguments.get(place).and_then(|of| of.text.clone());
        match (call.name, call.arguments.len()) {
            ("email" | "notify", 3) => {
                self.recipient(call.place(0), &call.arguments[0]);
            }
            ("email", 1) => {
                let entries = call.arguments[0].entries.as_deref().unwrap_or_default();
                if let Some(to) = entries.iter().find(|entry| entry.key.name == "to") {
                    self.recipient(to.at, &to.value);
                }
            }
            ("webhook", 2) => {
                if let Some(name) = text(0).filter(|name| !name.contains("://")) {
                    let reference = Reference::new(&name, call.place(0));
                    self.found.endpoints.push(reference);
                }
            }
            ("user", 1) | ("approve", 3) => self.user(text(0), call.place(0)),
            ("assign", 2) => self.user(text(1), call.place(1)),
            ("changed", 1) => self.changed(text(0), call),
            _ => {}
        }
        if call.name == "notify" {
            self.user(text(0), call.place(0));
        }
        let map = call.arguments.get(usize::from(call.method));
        if let Some(entries) = map.and_then(|map| map.entries.clone()) {
            let map_at = call.place(usize::from(call.method));
            self.keys(&call.spoken(), &entries, map_at);
        }
        if let Some((place, problem)) = values::invalid(call.name, &call.arguments) {
            self.refuse(Code::InvalidValue, call.place(place), Some(problem));
        }
    }

    pub(super) fn user(&mut self, name: Option<rhai::ImmutableString>, at: Position) {
        if let Some(name) = name {
            self.found.users.push(Reference::new(&name, at));
        }
    }

    /// `changed("stauts")`.
    fn changed(&mut self, field: Option<rhai::ImmutableString>, call: &Call<'_>) {
        self.found.changes.push((call.at, "`changed(…)`"));
        let Some(field) = field else {
            return;
        };
        let fields = self.signatures().fields(Kind::Task);
        if !fields.contains(&field.as_str()) {
            let found = Diagnostic::error(
                Code::UnknownField,
                call.place(0),
                format!("a task has no field `{field}`, so it never changes"),
            );
            self.say(match did_you_mean(&field, fields.iter().copied()) {
                Some(hint) => found.hint(hint),
                None => found.hint(format!("it has {}", fields.join(", "))),
            });
        }
    }

    /// Warns where it may be that nobody gets the message.
    fn recipient(&mut self, at: Position, to: &Type) {
        let one = std::slice::from_ref(to);
        let all = match to.kind {
            Kind::List => to.items.as_deref().unwrap_or_default(),
            _ => one,
        };
        let may_lack = |of: &Type| of.absent || of.kind == Kind::Absent;
        let Some(path) = all.iter().find_map(|of| of.path.as_deref()) else {
            return;
        };
        if !all.iter().all(may_lack) || !path.contains('.') {
            return;
        }
        let may = match to.kind {
            Kind::Absent => "is",
            _ => "may be",
        };
        let found = Diagnostic::warning(
            Code::AbsentRecipient,
            at,
            format!("`{path}` {may} absent, and then nobody gets it"),
        );
        self.say(match path {
            "task.assignee" | "previous.assignee" => {
                let task = path.trim_end_matches(".assignee");
                found.hint(format!(
                    "use `{task}.owner`, which is the assignee or else the creator; or test `{path} != ()` first"
                ))
            }
            _ => found.hint(format!("test `{path} != ()` first")),
        });
    }
}

/// The action that a call is, by the name that the record of a run gives it.
fn action_of(name: &str, method: bool) -> Option<&'static str> {
    action::CALLS
        .iter()
        .find(|(call, _)| *call == name)
        .filter(|(_, action)| method || !action.starts_with("task."))
        .map(|(_, action)| *action)
}

fn counted(arguments: usize) -> String {
    match arguments {
        1 => "1 argument".to_owned(),
        more => format!("{more} arguments"),
    }
}

fn ordinal(number: usize) -> String {
    match number {
        1 => "first".to_owned(),
        2 => "second".to_owned(),
        3 => "third".to_owned(),
        more => format!("{more}th"),
    }
}
