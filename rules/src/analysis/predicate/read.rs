//! Expressions, and what is read from the task and the event.

use super::times::{DAY, HOUR, MINUTE, SECOND, WEEK};
use super::unclear::Why;
use super::value::{Constant, Kind, Length, Pair, Point, Value, Which};
use super::{Walk, switch};
use rhai::{ASTFlags, Expr, FnPtr};
use smarttasks_model::predicate::{Bounds, Value as Stored};
use smarttasks_model::predicate::{Check, Field, Moment, Predicate, Range, Subject};
use smarttasks_model::{Priority, Span, Status};

/// Values of a list, and of a chain of `??`, that are looked at; a longer one is not understood.
const LONGEST_LIST: usize = 256;
const MOST_ALTERNATIVES: usize = 8;

impl Walk<'_> {
    pub(super) fn expr(&mut self, expr: &Expr) -> Value {
        self.works(1);
        match expr {
            Expr::Variable(variable, _, _) => self.named(&variable.1),
            Expr::InterpolatedString(parts, _) => {
                for part in parts {
                    self.expr(part);
                }
                Value::Unknown(Why::Other)
            }
            Expr::Array(items, _) => self.list(items),
            Expr::Map(parts, _) => {
                for (_, value) in &parts.0 {
                    self.expr(value);
                }
                Value::Unknown(Why::Other)
            }
            Expr::DynamicConstant(value, _) => {
                let function = value.read_lock::<FnPtr>();
                // What is called, is taken to be called where it is made.
                if function.is_none_or(|function| self.acts.is_act(function.fn_name())) {
                    self.act_perhaps();
                }
                Value::Unknown(Why::Other)
            }
            Expr::Stmt(block) => self.block(block),
            Expr::FnCall(call, _) => self.call(call),
            Expr::Dot(pair, flags, _) => {
                self.chain(&pair.lhs, |walk, of| walk.link(of, &pair.rhs, *flags))
            }
            Expr::Index(pair, flags, _) => {
                self.chain(&pair.lhs, |walk, of| walk.index(of, &pair.rhs, *flags))
            }
            Expr::And(..) | Expr::Or(..) => Value::truth(self.condition(expr, None)),
            Expr::Coalesce(parts, _) => self.coalesce(parts),
            Expr::Custom(..) => {
                self.act_perhaps();
                Value::Unknown(Why::Other)
            }
            other => match switch::constant(other) {
                Some(constant) => Value::Constant(constant),
                None => Value::Unknown(Why::Other),
            },
        }
    }

    /// A list of plain values; lists of lists are not understood, which a script could double and
    /// double again.
    fn list(&mut self, items: &[Expr]) -> Value {
        let values: Vec<Value> = items.iter().map(|item| self.expr(item)).collect();
        let nested =
            |value: &Value| matches!(value, Value::List(_) | Value::Either(_) | Value::Truth(_));
        match values.len() > LONGEST_LIST || values.iter().any(nested) {
            true => Value::Unknown(Why::Other),
            false => Value::List(values),
        }
    }

    fn named(&mut self, name: &str) -> Value {
        if let Some(value) = self.local(name) {
            let value = value.clone();
            self.works(value.size());
            return value;
        }
        if self.acts.is_own(name) {
            if self.acts.is_act(name) {
                self.act_perhaps();
            }
            return Value::Unknown(Why::Own(name.to_owned()));
        }
        let priority = |priority| Value::Constant(Constant::Priority(priority));
        match name {
            "task" => Value::Task(Which::Current),
            "previous" => Value::Task(Which::Previous),
            "event" => Value::Event,
            "state" => Value::Unknown(Why::State),
            "LOW" => priority(Priority::Low),
            "NORMAL" => priority(Priority::Normal),
            "HIGH" => priority(Priority::High),
            "URGENT" => priority(Priority::Urgent),
            _ => Value::Unknown(Why::Other),
        }
    }

    fn coalesce(&mut self, parts: &[Expr]) -> Value {
        let mut values = Vec::with_capacity(parts.len());
        for (number, part) in parts.iter().enumerate() {
            let (flow, value) = self.apart(|walk| walk.expr(part));
            if flow.is_plain() {
                values.push(value);
                continue;
            }
            match number {
                0 => self.join(&[(Predicate::ALWAYS, flow)]),
                _ => self.perhaps(&Predicate::ALWAYS, flow),
            }
            values.push(Value::Unknown(Why::Other));
        }
        match values
            .iter()
            .find(|value| matches!(value, Value::Unknown(_)))
        {
            Some(unknown) => unknown.clone(),
            None => either(values),
        }
    }

    /// What stands within the links of a chain is evaluated before what they are of.
    fn chain(&mut self, of: &Expr, links: impl FnOnce(&mut Self, Value) -> Value) -> Value {
        let (flow, of) = self.apart(|walk| walk.expr(of));
        let value = links(self, of);
        self.join(&[(Predicate::ALWAYS, flow)]);
        value
    }

    /// What follows a dot.
    fn link(&mut self, of: Value, rest: &Expr, flags: ASTFlags) -> Value {
        let asked = flags.contains(ASTFlags::NEGATED);
        match rest {
            Expr::Dot(pair, more, _) => {
                let next = self.step(of, &pair.lhs, asked);
                self.rest(asked, |walk| walk.link(next, &pair.rhs, *more))
            }
            Expr::Index(pair, more, _) => {
                let next = self.step(of, &pair.lhs, asked);
                self.rest(asked, |walk| walk.index(next, &pair.rhs, *more))
            }
            last => self.step(of, last, asked),
        }
    }

    /// What follows `?.` is left out where nothing stands before that.
    fn rest(&mut self, asked: bool, walk: impl FnOnce(&mut Self) -> Value) -> Value {
        if !asked {
            return walk(self);
        }
        let (flow, value) = self.apart(walk);
        if !flow.is_plain() {
            self.perhaps(&Predicate::ALWAYS, flow);
        }
        value
    }

    fn step(&mut self, of: Value, link: &Expr, asked: bool) -> Value {
        match link {
            Expr::Property(property, _) => self.field(of, &property.2, asked),
            Expr::MethodCall(call, _) => self.rest(asked, |walk| {
                let value = walk.method(of, call);
                // Where there is nothing to call it on, it gives nothing.
                match asked {
                    true => Value::Unknown(Why::Other),
                    false => value,
                }
            }),
            other => {
                self.expr(other);
                Value::Unknown(Why::Other)
            }
        }
    }

    /// What follows a bracket: the index, and perhaps more of the chain.
    fn index(&mut self, of: Value, rest: &Expr, flags: ASTFlags) -> Value {
        let asked = flags.contains(ASTFlags::NEGATED);
        let (index, more) = match rest {
            Expr::Dot(pair, more, _) if !flags.contains(ASTFlags::BREAK) => {
                (&pair.lhs, Some((&pair.rhs, *more, true)))
            }
            Expr::Index(pair, more, _) if !flags.contains(ASTFlags::BREAK) => {
                (&pair.lhs, Some((&pair.rhs, *more, false)))
            }
            whole => (whole, None),
        };
        let key = self.rest(asked, |walk| walk.expr(index));
        let next = match (of, key.text()) {
            (Value::Read(subject, Kind::Json), Some(key)) => inner(subject, key),
            _ => Value::Unknown(Why::Other),
        };
        self.rest(asked, |walk| match more {
            Some((rest, flags, true)) => walk.link(next, rest, flags),
            Some((rest, flags, false)) => walk.index(next, rest, flags),
            None => next,
        })
    }

    fn field(&self, of: Value, name: &str, asked: bool) -> Value {
        match of {
            // What is true or false of a task is neither where there is none.
            Value::Task(_) if asked && matches!(name, "is_open" | "is_overdue") => {
                Value::Unknown(Why::Other)
            }
            Value::Task(_) if asked && matches!(name, "age" | "time_in_status") => {
                Value::Unknown(Why::Other)
            }
            Value::Task(which) => of_task(which, name),
            Value::Event => of_event(name),
            Value::User(ids) if name == "id" => {
                let mut ids: Vec<Value> = ids
                    .into_iter()
                    .map(|id| Value::Read(id, Kind::Id))
                    .collect();
                match ids.len() {
                    1 => ids.remove(0),
                    _ => Value::Either(ids),
                }
            }
            Value::User(_) => Value::Unknown(Why::Person),
            Value::Read(subject, Kind::Json) if self.is_key(&subject, name) => inner(subject, name),
            Value::Time(_) => Value::Unknown(Why::Clock),
            Value::Length(length) => match unit(name) {
                Some(unit) => Value::Units(length, unit),
                None => Value::Unknown(Why::Other),
            },
            Value::Unknown(why) => Value::Unknown(why),
            _ => Value::Unknown(Why::Other),
        }
    }

    /// Whether a name behind a dot can only be a key of an object: of texts and lists some names are
    /// fields.
    fn is_key(&self, subject: &Subject, name: &str) -> bool {
        let object = matches!(subject,
            Subject::Task(Field::Custom(path)) | Subject::Previous(Field::Custom(path))
                if path.is_empty());
        object || !self.language.signatures.has_plain_field(name)
    }
}

/// The first of these that is there, those of the parts among them.
fn either(values: Vec<Value>) -> Value {
    let flat: Vec<Value> = values
        .into_iter()
        .flat_map(|value| match value {
            Value::Either(values) => values,
            other => vec![other],
        })
        .collect();
    match flat.len() > MOST_ALTERNATIVES {
        true => Value::Unknown(Why::Other),
        false => Value::Either(flat),
    }
}

/// Something within a JSON value.
fn inner(subject: Subject, key: &str) -> Value {
    let longer = |mut path: Vec<String>| {
        path.push(key.to_owned());
        path
    };
    let subject = match subject {
        Subject::Task(Field::Custom(path)) => Subject::Task(Field::Custom(longer(path))),
        Subject::Previous(Field::Custom(path)) => Subject::Previous(Field::Custom(longer(path))),
        Subject::EventData(path) => Subject::EventData(longer(path)),
        other => other,
    };
    Value::Read(subject, Kind::Json)
}

fn unit(name: &str) -> Option<i64> {
    Some(match name {
        "seconds" => SECOND,
        "minutes" => MINUTE,
        "hours" => HOUR,
        "days" => DAY,
        "weeks" => WEEK,
        _ => return None,
    })
}

fn of_event(name: &str) -> Value {
    match name {
        "type" => Value::Read(Subject::EventType, Kind::Text),
        "data" => Value::Read(Subject::EventData(Vec::new()), Kind::Json),
        "actor" => Value::User(vec![Subject::EventActor]),
        _ => Value::Unknown(Why::Other),
    }
}

fn of_task(which: Which, name: &str) -> Value {
    let read = |field, kind| Value::Read(which.field(field), kind);
    let time = |field| Value::Time(Point::Field(which.field(field)).into());
    match name {
        "id" => read(Field::Id, Kind::Id),
        "project" => read(Field::Project, Kind::Text),
        "title" => read(Field::Title, Kind::Text),
        "description" => read(Field::Description, Kind::Text),
        "status" => read(Field::Status, Kind::Status),
        "priority" => read(Field::Priority, Kind::Priority),
        "creator_id" => read(Field::CreatorId, Kind::Id),
        "assignee_id" => read(Field::AssigneeId, Kind::Id),
        "parent_id" => read(Field::ParentId, Kind::Id),
        "tags" => read(Field::Tags, Kind::Texts),
        "version" => read(Field::Version, Kind::Number),
        "fields" => read(Field::Custom(Vec::new()), Kind::Json),
        "due_at" => time(Field::DueAt),
        "created_at" => time(Field::CreatedAt),
        "updated_at" => time(Field::UpdatedAt),
        "status_changed_at" => time(Field::StatusChangedAt),
        "completed_at" => time(Field::CompletedAt),
        "age" => since(which.field(Field::CreatedAt)),
        "time_in_status" => since(which.field(Field::StatusChangedAt)),
        "assignee" => Value::User(vec![which.field(Field::AssigneeId)]),
        "creator" => Value::User(vec![which.field(Field::CreatorId)]),
        "owner" => Value::User(vec![
            which.field(Field::AssigneeId),
            which.field(Field::CreatorId),
        ]),
        "is_open" => Value::truth(Pair::exactly(is_open(which))),
        "is_overdue" => {
            let due = Bounds::up_to(Moment::Now(Span::ZERO), true);
            let due = Predicate::test(which.field(Field::DueAt), Check::Range(Range::Time(due)));
            Value::truth(Pair::exactly(is_open(which).and(due)))
        }
        _ => Value::Unknown(Why::Other),
    }
}

fn since(subject: Subject) -> Value {
    Value::Length(Length::Between {
        from: Point::Field(subject),
        to: Point::Now,
        more: 0,
    })
}

fn is_open(which: Which) -> Predicate {
    let open = Check::one_of(Status::OPEN.map(Stored::Status));
    Predicate::test(which.field(Field::Status), open)
}
