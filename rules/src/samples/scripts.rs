//! Random scripts.

use super::one;
use fastrand::Rng;

/// Functions that every script may call.
const FUNCTIONS: &str = "fn pure(x) { x == \"done\" }\n\
    fn doing() { if task.is_open { task.tag(\"done\"); } }\n\
    fn through() { doing(); }\n\
    fn one(x) { task.tag(\"one\"); true }\n\
    fn two(a, b) { task.tag(\"two\"); a }\n\
    fn tagging(t) { t.tag(\"tagged\"); true }\n";

/// A random script that compiles.
pub fn script(random: &mut Rng) -> String {
    let mut scripts = Scripts {
        random,
        truths: Vec::new(),
        names: 0,
        loops: 0,
    };
    let count = scripts.random.usize(1..4);
    let statements = scripts.statements(2, count);
    format!("{FUNCTIONS}{statements}")
}

/// Writes one script.
pub(super) struct Scripts<'r> {
    pub(super) random: &'r mut Rng,
    /// The variables that are true or false.
    pub(super) truths: Vec<String>,
    /// How many names have been given.
    names: usize,
    /// How many loops this is in.
    loops: usize,
}

impl Scripts<'_> {
    fn name(&mut self) -> String {
        self.names += 1;
        format!("v{}", self.names)
    }

    fn statements(&mut self, deep: usize, count: usize) -> String {
        let known = self.truths.len();
        let mut written = String::new();
        for _ in 0..count {
            written += &self.statement(deep);
            written.push('\n');
        }
        self.truths.truncate(known);
        written
    }

    fn block(&mut self, deep: usize) -> String {
        let count = self.random.usize(..2);
        let inner = self.statements(deep - 1, count);
        let ended = match self.random.u8(..6) {
            0 => self.leave(),
            1..=3 => self.act(),
            _ => String::new(),
        };
        format!("{{\n{inner}{ended}}}")
    }

    fn leave(&mut self) -> String {
        match self.random.u8(..8) {
            0 => "throw \"enough\";\n".to_owned(),
            1..=3 if self.loops > 0 => "break;\n".to_owned(),
            4 if self.loops > 0 => "continue;\n".to_owned(),
            5 => format!("return {};\n", self.condition(1)),
            _ => "return;\n".to_owned(),
        }
    }

    fn statement(&mut self, deep: usize) -> String {
        if deep == 0 {
            return self.small();
        }
        match self.random.u8(..30) {
            0..=8 => self.choice(deep),
            9..=13 => {
                let (condition, leave) = (self.condition(2), self.leave());
                format!("if {condition} {{ {leave} }}")
            }
            14..=16 => {
                let (word, condition) = (one(self.random, &["let", "const"]), self.condition(2));
                let name = self.name();
                self.truths.push(name.clone());
                format!("{word} {name} = {condition};")
            }
            17 => self.changed_later(),
            18 => self.values(deep),
            19..=21 => self.switch(deep),
            22 | 23 => self.repeat(deep),
            24 => {
                let (tried, caught) = (self.block(deep), self.block(deep));
                format!("try {tried} catch (problem) {caught}")
            }
            25 => self.block(deep),
            _ => self.small(),
        }
    }

    fn choice(&mut self, deep: usize) -> String {
        let mut written = format!("if {} {}", self.condition(2), self.block(deep));
        for _ in 0..self.random.usize(..2) {
            written += &format!(" else if {} {}", self.condition(1), self.block(deep));
        }
        if self.random.bool() {
            written += &format!(" else {}", self.block(deep));
        }
        written
    }

    /// A variable that does not stay what it was.
    fn changed_later(&mut self) -> String {
        let (name, before, now) = (self.name(), self.condition(1), self.condition(1));
        self.truths.push(name.clone());
        match self.random.bool() {
            true => format!("let {name} = {before}; {name} = {now};"),
            false => {
                let when = self.condition(1);
                format!("let {name} = {before}; if {when} {{ {name} = !{name}; }}")
            }
        }
    }

    /// Variables that are not true or false, and a test of them.
    fn values(&mut self, deep: usize) -> String {
        let name = self.name();
        let (value, test) = match self.random.u8(..9) {
            0 => ("now() - task.due_at", format!("{name} > days(1)")),
            1 => ("task.due_at", format!("{name} != () && {name} < now()")),
            2 => (
                "task.due_at ?? now()",
                format!("{name} >= now() + hours(1)"),
            ),
            3 => (
                "task.status",
                format!("{name} == \"todo\" || {name} == \"done\""),
            ),
            4 => ("task.priority", format!("{name} >= HIGH")),
            5 => ("[\"todo\", \"done\"]", format!("task.status in {name}")),
            6 => (
                "task.fields",
                format!("{name}.a == 3 || {name}.b == \"acme\""),
            ),
            7 => ("task", format!("{name}.is_open")),
            _ => ("now() - days(2)", format!("task.created_at < {name}")),
        };
        format!("let {name} = {value}; if {test} {}", self.block(deep))
    }

    fn switch(&mut self, deep: usize) -> String {
        let (subject, cases): (&str, &[&str]) = match self.random.u8(..6) {
            0 | 1 => (
                "task.status",
                &["\"todo\"", "\"done\" | \"blocked\"", "\"odd\""],
            ),
            2 => ("task.fields.a", &["3", "\"acme\" | \"web\"", "true", "()"]),
            3 => ("event.data?.size", &["0..3", "3..=4", "\"z\""]),
            4 => ("task.priority", &["\"high\"", "1"]),
            _ => (
                "event.type",
                &["\"task.created\"", "\"task.updated\" | \"ci.failed\""],
            ),
        };
        let mut written = format!("switch {subject} {{\n");
        for case in cases {
            let guard = match self.random.u8(..4) {
                0 => format!(" if {}", self.condition(1)),
                _ => String::new(),
            };
            written += &format!("{case}{guard} => {},\n", self.block(deep));
        }
        if self.random.bool() {
            written += &format!("_ => {}\n", self.block(deep));
        }
        written + "}"
    }

    fn repeat(&mut self, deep: usize) -> String {
        let condition = self.condition(1);
        self.loops += 1;
        let inner = self.block(deep);
        let last = self.leave();
        self.loops -= 1;
        match self.random.u8(..6) {
            0 => format!("while {condition} {{ {inner} {last} }}"),
            1 => format!("loop {{ {inner} {last} }}"),
            2 => format!("do {{ {inner} if true {{ {last} }} }} while {condition};"),
            3 => format!("do {{ {inner} if true {{ {last} }} }} until {condition};"),
            4 => format!("for tag in task.tags {{ {inner} }}"),
            _ => {
                let act = self.act();
                format!("for (n, at) in 0..2 {{ if n == at && {condition} {{ {act} }} {inner} }}")
            }
        }
    }

    fn small(&mut self) -> String {
        match self.random.u8(..12) {
            0 => "log(task?.title);".to_owned(),
            1 => "let other = tasks(#{ open: true });".to_owned(),
            2 => "let found = [1, 2].filter(|n| n > 1);".to_owned(),
            3 => format!("let unused = `${{{}}}`;", self.condition(1)),
            4 | 5 => {
                let (condition, act) = (self.condition(2), self.act());
                format!("if {condition} {{ {act} }}")
            }
            6 if self.random.u8(..3) == 0 => {
                let condition = self.condition(1);
                format!("({{ if {condition} {{ return; }} [1] }}).contains(tagging(task));")
            }
            8 if self.random.u8(..3) == 0 => self.act(),
            7 if self.random.u8(..3) == 0 => {
                let condition = self.condition(1);
                let name = self.name();
                self.truths.push(name.clone());
                format!("let {name} = {condition} && tagging(task);")
            }
            _ => {
                let (name, condition) = (self.name(), self.condition(2));
                self.truths.push(name.clone());
                format!("let {name} = {condition};")
            }
        }
    }

    fn act(&mut self) -> String {
        const ACTS: &[&str] = &[
            "email(\"ann@example.com\", \"a\", \"b\");\n",
            "webhook(\"ops\", #{});\n",
            "task.update(#{ title: \"new\" });\n",
            "task.tag(\"seen\");\n",
            "emit(\"acme.seen\", #{});\n",
            "create_task(#{ title: \"another\" });\n",
            "state.set(\"x\", 1);\n",
            "sleep(days(1));\n",
            "let answer = wait_for(\"task.*\", days(1));\n",
            "if approve(\"ann@example.com\", \"ok?\", days(1)) == true { log(\"ok\"); }\n",
            "doing();\n",
            "through();\n",
            "[1].for_each(|| emit(\"acme.seen\", this));\n",
            "tasks(#{}).for_each(|| this.tag(\"seen\"));\n",
            "let act = |t| t.tag(\"seen\"); act.call(task);\n",
            "Fn(\"through\").call();\n",
            "call(Fn(\"doing\"));\n",
            "[1].map(\"one\");\n",
            "[1].filter(\"one\");\n",
            "[1, 2].reduce(\"two\");\n",
            "[\"acme.seen\"].index_of(\"one\");\n",
        ];
        one(self.random, ACTS).to_owned()
    }
}
