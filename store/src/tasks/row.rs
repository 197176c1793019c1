//! A task as a row and back.

use crate::db::at;
use crate::entity::tasks;
use crate::{Error, Result};
use sea_orm::JsonValue;
use smarttasks_model::{Priority, Task, TaskId, UserId, WorkspaceId, without_case};

/// A priority as it is stored: its rank, so that the database orders it.
pub(crate) fn rank(priority: Priority) -> i16 {
    match priority {
        Priority::Low => 0,
        Priority::Normal => 1,
        Priority::High => 2,
        Priority::Urgent => 3,
    }
}

/// What a search looks in: both texts without case, kept because databases do not agree on what
/// case is, and SQLite knows only that of ASCII.
fn searchable(title: &str, description: &str) -> String {
    without_case(&format!("{title}\n{description}"))
}

pub(crate) fn task_to_row(task: &Task) -> Result<tasks::Model> {
    let unreadable = |error: serde_json::Error| Error::Unreadable("task", error.to_string());
    Ok(tasks::Model {
        id: task.id.0,
        workspace_id: task.workspace_id.0,
        project: task.project.clone(),
        title: task.title.clone(),
        description: task.description.clone(),
        search: searchable(&task.title, &task.description),
        status: task.status.as_str().to_owned(),
        priority: rank(task.priority),
        creator_id: task.creator_id.0,
        assignee_id: task.assignee_id.map(|id| id.0),
        tags: serde_json::to_value(&task.tags).map_err(unreadable)?,
        due_at: task.due_at.map(|due| due.unix_millis()),
        fields: JsonValue::Object(task.fields.clone()),
        parent_id: task.parent_id.map(|id| id.0),
        version: task.version,
        created_at: task.created_at.unix_millis(),
        updated_at: task.updated_at.unix_millis(),
        status_changed_at: task.status_changed_at.unix_millis(),
        completed_at: task.completed_at.map(|completed| completed.unix_millis()),
    })
}

pub(crate) fn task_from_row(row: tasks::Model) -> Result<Task> {
    let unreadable = |column: &str| Error::Unreadable("task", format!("{}: {column}", row.id));
    let priority = Priority::ALL
        .iter()
        .copied()
        .find(|priority| rank(*priority) == row.priority);
    let JsonValue::Object(fields) = row.fields else {
        return Err(unreadable("fields"));
    };
    Ok(Task {
        id: TaskId(row.id),
        workspace_id: WorkspaceId(row.workspace_id),
        project: row.project,
        title: row.title,
        description: row.description,
        status: row.status.parse().map_err(|_| unreadable("status"))?,
        priority: priority.ok_or_else(|| unreadable("priority"))?,
        creator_id: UserId(row.creator_id),
        assignee_id: row.assignee_id.map(UserId),
        tags: serde_json::from_value(row.tags).map_err(|_| unreadable("tags"))?,
        due_at: row.due_at.map(at),
        fields,
        parent_id: row.parent_id.map(TaskId),
        version: row.version,
        created_at: at(row.created_at),
        updated_at: at(row.updated_at),
        status_changed_at: at(row.status_changed_at),
        completed_at: row.completed_at.map(at),
    })
}

#[cfg(test)]
mod tests {
    use super::without_case;

    #[test]
    fn what_differs_only_in_case_becomes_the_same() {
        for (one, other) in [
            ("Renew", "rENEW"),
            ("Über", "ÜBER"),
            ("ΟΔΟΣ", "οδος"),
            ("Straße", "STRASSE"),
        ] {
            assert_eq!(without_case(one), without_case(other));
        }
        assert_ne!(without_case("a"), without_case("ä"));
    }
}
