//! Remarks on tasks.

use crate::db::at;
use crate::entity::comments::{self, Column, Entity};
use crate::page::{self, Listed, Page};
use crate::{Cause, Db, Error, Result, Tx, activity, tasks};
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, Order, QueryFilter};
use serde::Serialize;
use smarttasks_model::{
    CommentId, Event, EventData, EventId, EventType, RuleId, Snapshot, Task, TaskId, Timestamp,
    UserId, WorkspaceId,
};

/// A remark.
#[derive(Clone, Debug, Serialize)]
pub struct Comment {
    /// Its id.
    pub id: CommentId,
    /// What it is about.
    pub task_id: TaskId,
    /// Who wrote it, unless a rule did.
    pub author_id: Option<UserId>,
    /// The rule that wrote it.
    pub rule_id: Option<RuleId>,
    /// What it says.
    pub text: String,
    /// When it was written.
    pub created_at: Timestamp,
}

/// Adds a remark: `task.commented`.
///
/// # Errors
/// [`Error::NotFound`] when there is no such task.
pub async fn create(
    tx: &mut Tx,
    workspace: WorkspaceId,
    task_id: TaskId,
    id: CommentId,
    text: String,
    cause: &Cause,
) -> Result<Comment> {
    let task = tasks::hold(tx, workspace, task_id).await?;
    let row = comments::Model {
        id: id.0,
        workspace_id: workspace.0,
        task_id: task_id.0,
        author_id: cause.actor_id().map(|id| id.0),
        rule_id: cause.rule_id.map(|id| id.0),
        text,
        created_at: tx.now().unix_millis(),
    };
    tx.insert::<Entity>(row.clone().into_active_model());
    let comment = Comment::from(row);
    raise_commented(tx, &task, &comment, cause)?;
    activity::record(
        tx,
        &task,
        "task.commented",
        &[],
        cause,
        comment.id.as_bytes(),
    )?;
    Ok(comment)
}

fn raise_commented(tx: &mut Tx, task: &Task, comment: &Comment, cause: &Cause) -> Result<()> {
    let json = serde_json::to_value(comment)
        .map_err(|error| Error::Unreadable("comment", error.to_string()))?;
    let now = tx.now();
    tx.raise(Event {
        id: EventId::derived(now, &[b"task.commented", comment.id.as_bytes()]),
        workspace_id: task.workspace_id,
        kind: EventType::system("task.commented"),
        task_id: Some(task.id),
        time: now,
        traceparent: cause.traceparent,
        change: cause.change,
        depth: cause.depth,
        actor_id: cause.actor_id(),
        rule_id: None,
        data: EventData::System(Box::new(Snapshot {
            task: Some(task.clone()),
            actor: cause.actor.clone(),
            more: [("comment".to_owned(), json)].into_iter().collect(),
            ..Snapshot::default()
        })),
    })
}

/// The remarks on a task, oldest first.
///
/// # Errors
/// [`Error::NotFound`] when there is no such task.
pub async fn list(
    db: &Db,
    workspace: WorkspaceId,
    task_id: TaskId,
    page: &Page,
) -> Result<Listed<Comment>> {
    tasks::get(db, workspace, task_id).await?;
    let query = Entity::find().filter(Column::TaskId.eq(task_id.0));
    page::by_id(
        db,
        query,
        Column::Id,
        Order::Asc,
        page,
        |row| row.id,
        |row| Ok(row.into()),
    )
    .await
}

impl From<comments::Model> for Comment {
    fn from(row: comments::Model) -> Self {
        Self {
            id: CommentId(row.id),
            task_id: TaskId(row.task_id),
            author_id: row.author_id.map(UserId),
            rule_id: row.rule_id.map(RuleId),
            text: row.text,
            created_at: at(row.created_at),
        }
    }
}
