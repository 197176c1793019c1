//! The rules of each case, and the event with which they are looked for.

use super::{Condition, condition};
use crate::Failure;
use smarttasks_model::{Event, Priority, Timestamp};

/// Rules alike, of which few match one event.
pub struct Case {
    /// What they ask for, and how many of them match.
    pub name: &'static str,
    /// What one of them asks for.
    pub conditions: fn(usize) -> Vec<Condition>,
    /// The project of the event's task.
    project: &'static str,
}

/// Every case that is measured.
pub const CASES: &[Case] = &[
    Case {
        name: "status, priority, project, deadline: 5 of 10 that share the project match",
        conditions: shared,
        project: "proj-0",
    },
    Case {
        name: "the same, no rule matches",
        conditions: shared,
        project: "none",
    },
    Case {
        name: "deadline so long ago: 5 match",
        conditions: late,
        project: "none",
    },
    Case {
        name: "open, a priority and a deadline so long ago: 5 match",
        conditions: pressing_and_late,
        project: "none",
    },
    Case {
        name: "a number in a band: 1 matches",
        conditions: band,
        project: "none",
    },
    Case {
        name: "project in a list: 1 matches",
        conditions: one_of,
        project: "proj-0",
    },
    Case {
        name: "project or tag: 1 matches",
        conditions: either,
        project: "proj-0",
    },
];

/// Ten rules share a project, and every second of them matches.
fn shared(number: usize) -> Vec<Condition> {
    vec![
        Condition::IsNotDone,
        Condition::PriorityFrom([Priority::Low, Priority::Urgent][number % 2]),
        Condition::ProjectIs(format!("proj-{}", number / 10)),
        Condition::LateByMinutes(0),
    ]
}

fn late(number: usize) -> Vec<Condition> {
    vec![Condition::LateByMinutes(number)]
}

fn pressing_and_late(number: usize) -> Vec<Condition> {
    vec![
        Condition::IsOpen,
        Condition::PriorityFrom(Priority::Normal),
        Condition::LateByMinutes(number),
    ]
}

fn band(number: usize) -> Vec<Condition> {
    vec![Condition::AmountIn(number * 10..number * 10 + 10)]
}

fn one_of(number: usize) -> Vec<Condition> {
    let names = ["proj", "other"].map(|name| format!("{name}-{number}"));
    vec![Condition::ProjectIn(names.into())]
}

fn either(number: usize) -> Vec<Condition> {
    vec![Condition::Any(vec![
        Condition::ProjectIs(format!("proj-{number}")),
        Condition::HasTag(format!("tag-{number}")),
    ])]
}

impl Case {
    /// The script of a rule.
    pub fn script(&self, number: usize) -> String {
        condition::script(&(self.conditions)(number))
    }

    /// The event, as it comes from the queue.
    ///
    /// # Errors
    /// It is none that the product reads.
    pub fn event(&self, now: Timestamp) -> Result<String, Failure> {
        event(self.project, now)
    }
}

/// An event about a task of a project, as it comes from the queue.
///
/// # Errors
/// It is none that the product reads.
pub fn event(project: &str, now: Timestamp) -> Result<String, Failure> {
    let due = Timestamp::from_unix_millis(now.unix_millis() - 270_000);
    let ago = Timestamp::from_unix_millis(now.unix_millis() - 86_400_000);
    let id = |number: u128| uuid::Uuid::from_u128(number);
    let event = serde_json::json!({
        "specversion": "1.0",
        "id": id(1),
        "source": format!("/workspaces/{}", id(2)),
        "type": "task.updated",
        "subject": format!("tasks/{}", id(3)),
        "time": now,
        "datacontenttype": "application/json",
        "change": id(4),
        "data": { "task": {
            "id": id(3), "workspace_id": id(2), "project": project,
            "title": "Renew the certificate", "description": "Of the shop.",
            "status": "todo", "priority": "normal", "creator_id": id(5), "assignee_id": id(5),
            "tags": ["shop", "tls"], "due_at": due, "fields": { "amount": 5 },
            "parent_id": null, "version": 3, "created_at": ago, "updated_at": now,
            "status_changed_at": ago, "completed_at": null,
        } },
    });
    // As the product writes it: what reads it finds the type before the data.
    let event: Event = serde_json::from_value(event)?;
    Ok(serde_json::to_string(&event)?)
}
