//! The event as a program reads it that has an engine of its own: only what rules ask for, with the
//! times as numbers, and texts not copied.

use serde::Deserialize;
use smarttasks_model::{Priority, Timestamp};
use std::borrow::Cow;

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    data: Data<'a>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    task: Fields<'a>,
}

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    project: Cow<'a, str>,
    #[serde(borrow)]
    title: Cow<'a, str>,
    #[serde(borrow)]
    description: Cow<'a, str>,
    #[serde(borrow)]
    status: Cow<'a, str>,
    priority: Priority,
    #[serde(borrow)]
    creator_id: Cow<'a, str>,
    #[serde(borrow)]
    assignee_id: Cow<'a, str>,
    #[serde(borrow)]
    tags: Vec<Cow<'a, str>>,
    due_at: Timestamp,
    fields: Custom,
    version: i64,
}

#[derive(Deserialize)]
struct Custom {
    amount: i64,
}

/// The names of the fields that are texts.
pub const TEXTS: [&str; 7] = [
    "id",
    "project",
    "title",
    "description",
    "status",
    "creator_id",
    "assignee_id",
];
/// The names of those that are numbers. A more pressing priority is more, and `late` is how many
/// milliseconds ago the deadline was.
pub const NUMBERS: [&str; 4] = ["priority", "late", "amount", "version"];
/// The name of the one that is a list of texts.
pub const TAGS: &str = "tags";

/// The twelve fields of a task, by the kind of their values.
pub struct Task<'a> {
    texts: [Cow<'a, str>; TEXTS.len()],
    numbers: [i64; NUMBERS.len()],
    tags: Vec<Cow<'a, str>>,
}

impl<'a> Task<'a> {
    /// Reads the task of an event.
    ///
    /// # Errors
    /// The event is not about a task with all of its fields.
    pub fn read(json: &'a str, now: Timestamp) -> serde_json::Result<Self> {
        let Event { data } = serde_json::from_str(json)?;
        let task = data.task;
        Ok(Self {
            texts: [
                task.id,
                task.project,
                task.title,
                task.description,
                task.status,
                task.creator_id,
                task.assignee_id,
            ],
            numbers: [
                rank(task.priority),
                now.unix_millis() - task.due_at.unix_millis(),
                task.fields.amount,
                task.version,
            ],
            tags: task.tags,
        })
    }

    /// The texts by their names.
    pub fn texts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let texts = self.texts.iter().map(|text| &**text);
        TEXTS.into_iter().zip(texts)
    }

    /// The numbers by their names.
    pub fn numbers(&self) -> impl Iterator<Item = (&'static str, i64)> {
        NUMBERS.into_iter().zip(self.numbers)
    }

    /// The tags.
    pub fn tags(&self) -> impl Iterator<Item = &str> {
        self.tags.iter().map(|tag| &**tag)
    }
}

/// A priority as a number: more is more pressing.
pub fn rank(priority: Priority) -> i64 {
    match priority {
        Priority::Low => 0,
        Priority::Normal => 1,
        Priority::High => 2,
        Priority::Urgent => 3,
    }
}
