//! Calls: those that act, and those whose value is understood.

use super::Walk;
use super::compare::Operator;
use super::times::{self, DAY, HOUR, MINUTE, SECOND, WEEK};
use super::unclear::Why;
use super::value::{Length, Pair, Point, Value, Which};
use crate::world;
use rhai::{Expr, FnCallExpr};
use smarttasks_model::Timestamp;
use smarttasks_model::predicate::{Check, Predicate, Subject, Value as Stored};

impl Walk<'_> {
    pub(super) fn call(&mut self, call: &FnCallExpr) -> Value {
        if call.name == "!" && call.args.len() == 1 {
            return self.negation(&call.args[0]);
        }
        let arguments: Vec<Value> = call.args.iter().map(|of| self.expr(of)).collect();
        let sure = self.acts.is_sure(&call.name) && self.local(&call.name).is_none();
        self.called(call, &arguments, sure)
    }

    pub(super) fn method(&mut self, of: Value, call: &FnCallExpr) -> Value {
        let mut arguments = vec![of];
        arguments.extend(call.args.iter().map(|of| self.expr(of)));
        let of_task = matches!(arguments.first(), Some(Value::Task(Which::Current)));
        self.called(
            call,
            &arguments,
            of_task && self.acts.is_sure_of_task(&call.name),
        )
    }

    fn negation(&mut self, of: &Expr) -> Value {
        match self.expr(of) {
            Value::Unknown(why) => Value::Unknown(why),
            value => Value::truth(self.truth_of(value).negated()),
        }
    }

    /// A call, of which it may be sure that it acts.
    fn called(&mut self, call: &FnCallExpr, arguments: &[Value], sure: bool) -> Value {
        let name = call.name.as_str();
        // What sees the variables round its call may change them.
        let anything = call.capture_parent_scope || self.acts.calls_unnamed(call);
        if sure && !anything {
            self.act();
        } else if anything || self.acts.is_act(name) {
            self.act_perhaps();
        }
        if self.acts.is_own(name) {
            return Value::Unknown(Why::Own(name.to_owned()));
        }
        if let Some(operator) = Operator::of(name)
            && let [a, b] = arguments
        {
            return self.compare(a, operator, b);
        }
        match arguments {
            [] if name == "now" => Value::Time(Point::Now.into()),
            [of] => self.of_one(name, of),
            [a, b] => self.of_two(name, a, b),
            _ => unknown(name),
        }
    }

    fn of_one(&mut self, name: &str, of: &Value) -> Value {
        match (name, of) {
            ("seconds", _) => times::length(of, SECOND),
            ("minutes", _) => times::length(of, MINUTE),
            ("hours", _) => times::length(of, HOUR),
            ("days", _) => times::length(of, DAY),
            ("weeks", _) => times::length(of, WEEK),
            ("timestamp", _) => match of.text().map(str::parse::<Timestamp>) {
                Some(Ok(instant)) => Value::Time(Point::At(instant).into()),
                _ => Value::Unknown(Why::Other),
            },
            ("changed", _) => match of.text().filter(|of| world::CHANGEABLE.contains(of)) {
                Some(field) => changed(field),
                None => Value::Unknown(Why::Other),
            },
            ("-", Value::Length(length)) => Value::Length(times::opposite(length)),
            ("-", _) => match of.whole().and_then(i64::checked_neg) {
                Some(number) => Value::number(number),
                None => Value::Unknown(Why::Other),
            },
            _ => unknown(name),
        }
    }

    fn of_two(&mut self, name: &str, a: &Value, b: &Value) -> Value {
        match (name, a, b) {
            (_, Value::Unknown(why), _) | (_, _, Value::Unknown(why)) => {
                Value::Unknown(why.clone())
            }
            ("contains", list, value) => match self.within(value, list) {
                Ok(pair) => Value::truth(pair),
                Err(why) => Value::Unknown(why),
            },
            ("in_zone", Value::Time(time), _) => Value::Time(time.clone()),
            ("+", Value::Time(time), Value::Length(by))
            | ("+", Value::Length(by), Value::Time(time)) => times::later(time.clone(), by),
            ("-", Value::Time(time), Value::Length(by)) => {
                times::later(time.clone(), &times::opposite(by))
            }
            ("-", Value::Time(to), Value::Time(from)) => times::between(to.clone(), from.clone()),
            ("+" | "-", Value::Length(a), Value::Length(b)) => times::sum(a, b, name == "-"),
            ("*", Value::Length(Length::Constant(length)), times)
            | ("*", times, Value::Length(Length::Constant(length))) => match times.whole() {
                Some(times) => Value::Length(Length::Constant(length.saturating_mul(times))),
                None => Value::Unknown(Why::Other),
            },
            (".." | "..=", from, to) => match (from.whole(), to.whole()) {
                (Some(from), Some(to)) => Value::Numbers {
                    from,
                    to,
                    inclusive: name == "..=",
                },
                _ => Value::Unknown(Why::Other),
            },
            ("&", Value::Truth(a), Value::Truth(b)) => Value::truth(Pair {
                yes: self.both(&a.yes, &b.yes),
                no: self.either(&a.no, &b.no),
            }),
            ("|", Value::Truth(a), Value::Truth(b)) => Value::truth(Pair {
                yes: self.either(&a.yes, &b.yes),
                no: self.both(&a.no, &b.no),
            }),
            ("+" | "-" | "*", a, b) => numbers(name, a, b),
            _ => unknown(name),
        }
    }
}

/// Up to here whole numbers are equal just when they are equal as fractions.
const LARGE: i64 = 100_000_000_000_000;

fn numbers(operator: &str, a: &Value, b: &Value) -> Value {
    let (Some(a), Some(b)) = (a.whole(), b.whole()) else {
        return Value::Unknown(Why::TwoFields);
    };
    let result = match operator {
        "+" => a.checked_add(b),
        "-" => a.checked_sub(b),
        _ => a.checked_mul(b),
    };
    // One of larger numbers may have been a fraction, and then what comes of it is one.
    match result {
        Some(number) if [a, b, number].iter().all(|of| of.abs() < LARGE) => Value::number(number),
        _ => Value::Unknown(Why::Other),
    }
}

/// Whether the event changed a field, by the name that events use.
fn changed(field: &str) -> Value {
    let stored = match field {
        "assignee" => "assignee_id",
        other => other,
    };
    let subject = Subject::Changed(stored.to_owned());
    let check = Check::is(Stored::Bool(true));
    Value::truth(Pair::exactly(Predicate::test(subject, check)))
}

fn unknown(name: &str) -> Value {
    Value::Unknown(match name {
        "tasks" | "count" | "members" => Why::Query,
        "user" => Why::Person,
        "business_days" => Why::BusinessDays,
        _ => Why::Other,
    })
}
