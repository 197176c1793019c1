//! Random conditions: those that are understood, in each way in which they can be written, those that
//! are not, and those that fail.

use super::one;
use super::scripts::Scripts;
use super::world::{IDS, KEYS, LENGTHS, NOW, TEXTS, TYPES};

const COMPARE: &[&str] = &["==", "!=", "<", "<=", ">", ">="];
const EQUAL: &[&str] = &["==", "!="];
const ORDER: &[&str] = &["<", "<=", ">", ">="];
const TIMES: &[&str] = &[
    "due_at",
    "due_at",
    "created_at",
    "updated_at",
    "status_changed_at",
    "completed_at",
];

impl Scripts<'_> {
    /// A condition of some depth.
    pub(super) fn condition(&mut self, deep: usize) -> String {
        if deep == 0 {
            return self.atom();
        }
        match self.random.u8(..14) {
            0..=3 => format!("{} && {}", self.part(deep), self.part(deep)),
            4..=6 => format!("{} || {}", self.part(deep), self.part(deep)),
            7 | 8 => format!("!({})", self.condition(deep - 1)),
            9 => {
                let (condition, truth) = (self.part(deep), self.random.bool());
                let operator = one(self.random, EQUAL);
                format!("{condition} {operator} {truth}")
            }
            10 => {
                let condition = self.condition(deep - 1);
                let (then, otherwise) = (self.part(deep), self.part(deep));
                format!("(if {condition} {{ {then} }} else {{ {otherwise} }}) == true")
            }
            11 if self.random.u8(..4) == 0 => {
                let left = self.condition(deep - 1);
                format!("({{ if {left} {{ return; }} true }})")
            }
            _ => self.atom(),
        }
    }

    fn part(&mut self, deep: usize) -> String {
        format!("({})", self.condition(deep - 1))
    }

    fn atom(&mut self) -> String {
        match self.random.u8(..24) {
            0 | 1 => self.status(),
            2 | 3 => self.priority(),
            4..=7 => self.time(),
            8 => self.texts(),
            9..=11 => self.json(),
            12 => self.event(),
            13 => self.people(),
            14 => self.before(),
            15 | 16 => self.lengths(),
            17 => self.lists(),
            18 => self.unclear(),
            19 => self.failing(),
            20 => {
                let names = &["task.is_open", "task.is_overdue", "true", "false"];
                one(self.random, names).to_owned()
            }
            _ => match self.truths.is_empty() {
                true => self.status(),
                false => {
                    let at = self.random.usize(..self.truths.len());
                    self.truths[at].clone()
                }
            },
        }
    }

    fn which(&mut self) -> &'static str {
        match self.random.u8(..8) {
            0 => "previous",
            1 => "previous?",
            2 => "task?",
            _ => "task",
        }
    }

    fn sides(&mut self, a: String, operators: &[&str], b: String) -> String {
        let operator = one(self.random, operators);
        match self.random.bool() {
            true => format!("{a} {operator} {b}"),
            false => format!("{b} {operator} {a}"),
        }
    }

    fn status_name(&mut self) -> &'static str {
        let names = &["todo", "in_progress", "blocked", "done", "cancelled", "odd"];
        one(self.random, names)
    }

    fn status(&mut self) -> String {
        let which = self.which();
        let (a, b) = (self.status_name(), self.status_name());
        match self.random.u8(..5) {
            0 => format!("{which}.status in [\"{a}\", \"{b}\"]"),
            1 => format!("{which}.status !in [\"{a}\", \"{b}\", ()]"),
            2 => self.sides(format!("{which}.status"), ORDER, format!("\"{a}\"")),
            3 => self.sides(format!("{which}.status"), EQUAL, "()".to_owned()),
            _ => self.sides(format!("{which}.status"), EQUAL, format!("\"{a}\"")),
        }
    }

    fn priority(&mut self) -> String {
        let names = &["LOW", "NORMAL", "HIGH", "URGENT"];
        let which = self.which();
        let (a, b) = (one(self.random, names), one(self.random, names));
        match self.random.u8(..5) {
            0 => format!("{which}.priority in [{a}, {b}]"),
            1 => self.sides(format!("{which}.priority"), COMPARE, "()".to_owned()),
            _ => self.sides(format!("{which}.priority"), COMPARE, a.to_owned()),
        }
    }

    fn length(&mut self) -> &'static str {
        LENGTHS[self.random.usize(..LENGTHS.len())].0
    }

    fn time(&mut self) -> String {
        let (which, field) = (self.which(), one(self.random, TIMES));
        let time = format!("{which}.{field}");
        let (a, b) = (self.length(), self.length());
        match self.random.u8(..10) {
            0 => self.sides(time, COMPARE, "now()".to_owned()),
            1 => self.sides(time, COMPARE, format!("now() - {a}")),
            2 => self.sides(time, COMPARE, format!("now() + {a}")),
            3 => self.sides(format!("now() - {time}"), COMPARE, a.to_owned()),
            4 => self.sides(format!("{time} - now()"), COMPARE, a.to_owned()),
            5 => self.sides(format!("{time} + {a}"), COMPARE, "now()".to_owned()),
            6 => self.sides(format!("{time} - {a}"), COMPARE, format!("now() - {b}")),
            7 => self.sides(time, COMPARE, format!("timestamp(\"{NOW}\") + {a}")),
            8 => self.sides(time, COMPARE, "()".to_owned()),
            _ => {
                let late = format!("now() - {time} - {a}");
                let late = self.sides(late, COMPARE, b.to_owned());
                format!("{time} != () && {late}")
            }
        }
    }

    fn lengths(&mut self) -> String {
        let field = one(self.random, &["age", "time_in_status"]);
        let length = self.length();
        let count = self.random.i8(-3..4);
        match self.random.u8(..4) {
            0 | 1 => self.sides(format!("task.{field}"), COMPARE, length.to_owned()),
            2 => {
                let unit = one(self.random, &["days", "hours", "weeks"]);
                self.sides(format!("task.{field}.{unit}"), COMPARE, count.to_string())
            }
            _ => {
                let due = "(now() - task.due_at).days".to_owned();
                self.sides(due, COMPARE, count.to_string())
            }
        }
    }

    fn literal(&mut self) -> String {
        match self.random.u8(..9) {
            0 => "()".to_owned(),
            1 => self.random.bool().to_string(),
            2..=4 => self.random.i64(-3..5).to_string(),
            5 => one(self.random, &["3.0", "0.3", "2.5", "-0.5", "0.0"]).to_owned(),
            _ => self.quoted(),
        }
    }

    fn quoted(&mut self) -> String {
        format!("\"{}\"", one(self.random, TEXTS))
    }

    fn texts(&mut self) -> String {
        let fields = &["title", "description", "project", "project"];
        let (which, field) = (self.which(), one(self.random, fields));
        let (a, b) = (self.literal(), self.quoted());
        match self.random.u8(..6) {
            0 => format!("{which}.{field} in [{a}, {b}]"),
            1 => format!("task.{field}.contains({b})"),
            2 => self.sides(format!("{which}.{field}"), COMPARE, b),
            3 => self.sides(format!("({which}.{field} ?? {b})"), COMPARE, a),
            _ => self.sides(format!("{which}.{field}"), EQUAL, a),
        }
    }

    fn path(&mut self) -> String {
        let root = match self.random.u8(..4) {
            0 | 1 => "task.fields",
            2 => "previous?.fields",
            _ => "event.data",
        };
        let mut path = root.to_owned();
        for _ in 0..self.random.u8(1..3) {
            let key = one(self.random, KEYS);
            let dot = one(self.random, &[".", "?."]);
            match self.random.bool() && !key.contains(' ') {
                true => path += &format!("{dot}{key}"),
                false => path += &format!("[\"{key}\"]"),
            }
        }
        path
    }

    fn json(&mut self) -> String {
        let path = self.path();
        let (a, b) = (self.literal(), self.literal());
        match self.random.u8(..9) {
            0 => format!("{path} in [{a}, {b}]"),
            1 => format!("{path} in 0..3"),
            2 => path,
            3 => self.sides(format!("({path} ?? {a})"), COMPARE, b),
            4 => {
                let other = self.path();
                self.sides(format!("({path} ?? {other})"), EQUAL, a)
            }
            5 => self.sides(path, EQUAL, "HIGH".to_owned()),
            6 => self.sides(path, ORDER, "now()".to_owned()),
            _ => self.sides(path, COMPARE, a),
        }
    }

    fn event(&mut self) -> String {
        let (a, b) = (one(self.random, TYPES), one(self.random, TYPES));
        let field = one(self.random, &["status", "title", "assignee", "due_at"]);
        let id = one(self.random, IDS);
        match self.random.u8(..6) {
            0 => format!("event.type in [\"{a}\", \"{b}\"]"),
            1 => format!("event.type.contains(\"{}\")", &a[..3]),
            2 | 3 => format!("changed(\"{field}\")"),
            4 => self.sides("event.actor".to_owned(), EQUAL, "()".to_owned()),
            _ if self.random.bool() => {
                self.sides("event.actor.id".to_owned(), EQUAL, format!("\"{id}\""))
            }
            _ => self.sides("event.type".to_owned(), EQUAL, format!("\"{a}\"")),
        }
    }

    fn people(&mut self) -> String {
        let which = self.which();
        let who = one(self.random, &["assignee", "owner", "creator"]);
        let id = one(self.random, IDS);
        match self.random.u8(..5) {
            0 => self.sides(format!("{which}.{who}"), EQUAL, "()".to_owned()),
            1 => self.sides(format!("{which}.{who}.id"), EQUAL, format!("\"{id}\"")),
            2 => self.sides(format!("{which}.{who}?.id"), EQUAL, format!("\"{id}\"")),
            3 => self.sides(
                format!("{which}.{who}"),
                EQUAL,
                "user(\"ann@example.com\")".to_owned(),
            ),
            _ => {
                let field = one(self.random, &["assignee_id", "creator_id", "parent_id"]);
                self.sides(format!("{which}.{field}"), EQUAL, format!("\"{id}\""))
            }
        }
    }

    fn before(&mut self) -> String {
        let operator = one(self.random, EQUAL);
        match self.random.u8(..4) {
            0 => format!("previous {operator} ()"),
            1 => format!("task {operator} ()"),
            2 => "previous.is_open".to_owned(),
            _ => format!("(previous?.is_overdue ?? {}) == true", self.random.bool()),
        }
    }

    fn lists(&mut self) -> String {
        let tag = one(self.random, &["tls", "urgent", "none"]);
        match self.random.u8(..4) {
            0 => format!("\"{tag}\" in task.tags"),
            1 => format!("task.tags.contains(\"{tag}\")"),
            2 => "task.version in 1..=2".to_owned(),
            _ => format!("\"{tag}\" !in previous.tags"),
        }
    }

    fn unclear(&mut self) -> String {
        let known = &[
            "now().hour >= 8",
            "count(#{ open: true }) > 0",
            "tasks(#{}).len > 0",
            "state.get(\"x\") == ()",
            "task.title.to_lower() == \"acme\"",
            "previous.status != task.status",
            "task.tags.is_empty",
            "task.title.len > 3",
            "task.assignee == event.actor",
            "task.tags.some(|tag| tag == \"tls\")",
            "now() >= task.status_changed_at + business_days(1)",
            "(task.due_at - now()).abs() < days(1)",
            "pure(task.status)",
        ];
        one(self.random, known).to_owned()
    }

    fn failing(&mut self) -> String {
        let known = &[
            "task.due_at + days(1) > now()",
            "task.project.len > 2",
            "task.fields.a.b.size == 1",
            "task.priority == \"high\"",
            "event.data.a.len == 1",
            "task.status",
            "1 / 0 == 1",
        ];
        one(self.random, known).to_owned()
    }
}
