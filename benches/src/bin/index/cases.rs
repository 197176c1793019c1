//! The rules of each case, and the event with which they are looked for.

use smarttasks_benches::Failure;
use smarttasks_model::{Event, Timestamp};

/// Rules alike, of which few match one event.
pub struct Case {
    pub name: &'static str,
    /// The script of one of them.
    pub script: fn(usize) -> String,
    /// The project of the event's task.
    project: &'static str,
}

/// Ten rules share a project, and every second of them matches.
fn shared(number: usize) -> String {
    let priority = ["LOW", "URGENT"][number % 2];
    format!(
        "if task.status != \"done\" && task.priority >= {priority} && task.project == \"proj-{}\" \
         && task.due_at < now() {{ task.tag(\"late\"); }}",
        number / 10
    )
}

fn late(number: usize) -> String {
    format!("if task.due_at < now() - minutes({number}) {{ task.tag(\"late\"); }}")
}

fn pressing_and_late(number: usize) -> String {
    format!(
        "if task.is_open && task.priority >= NORMAL && task.due_at < now() - minutes({number}) \
         {{ task.tag(\"late\"); }}"
    )
}

fn band(number: usize) -> String {
    let from = number * 10;
    format!(
        "if task.fields.amount >= {from} && task.fields.amount < {} {{ task.tag(\"band\"); }}",
        from + 10
    )
}

fn one_of(number: usize) -> String {
    format!("if task.project in [\"proj-{number}\", \"other-{number}\"] {{ task.tag(\"mine\"); }}")
}

fn either(number: usize) -> String {
    format!(
        "if task.project == \"proj-{number}\" || \"tag-{number}\" in task.tags {{ task.tag(\"mine\"); }}"
    )
}

pub const CASES: &[Case] = &[
    Case {
        name: "status, priority, project, deadline: 5 of 10 that share the project match",
        script: shared,
        project: "proj-0",
    },
    Case {
        name: "the same, no rule matches",
        script: shared,
        project: "none",
    },
    Case {
        name: "deadline so long ago: 5 match",
        script: late,
        project: "none",
    },
    Case {
        name: "open, a priority and a deadline so long ago: 5 match",
        script: pressing_and_late,
        project: "none",
    },
    Case {
        name: "a number in a band: 1 matches",
        script: band,
        project: "none",
    },
    Case {
        name: "project in a list: 1 matches",
        script: one_of,
        project: "proj-0",
    },
    Case {
        name: "project or tag: 1 matches",
        script: either,
        project: "proj-0",
    },
];

impl Case {
    /// The event, as it comes from the queue.
    pub fn event(&self, now: Timestamp) -> Result<String, Failure> {
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
                "id": id(3), "workspace_id": id(2), "project": self.project,
                "title": "Renew the certificate", "description": "Of the shop.",
                "status": "todo", "priority": "normal", "creator_id": id(5), "assignee_id": id(5),
                "tags": ["shop", "tls"], "due_at": due, "fields": { "amount": 5 },
                "parent_id": null, "version": 3, "created_at": ago, "updated_at": now,
                "status_changed_at": ago, "completed_at": null,
            } },
        });
        let text = event.to_string();
        let _: Event = serde_json::from_str(&text)?;
        Ok(text)
    }
}
