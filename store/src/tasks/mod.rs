//! Tasks: each write of one is a row, its events, its timers and its activity, together.

mod events;
mod list;
mod row;
mod timers;

pub use list::{Sort, count, gather, list, select};

use crate::db::chunks;
use crate::entity::{comments, tasks};
use crate::users::expect_version;
use crate::{Cause, Db, Error, Result, Tx, activity, matches, runs, workspaces};
use sea_orm::sea_query::LockType;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter,
    QueryOrder, QuerySelect,
};
use smarttasks_model::{Invalid, NewTask, Task, TaskChanges, TaskId, UserId, WorkspaceId};
use std::collections::{BTreeSet, HashMap, HashSet};

pub(crate) use row::task_from_row;
use row::task_to_row;
pub(crate) use timers::instant;

/// A task of this workspace.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn get(db: &Db, workspace: WorkspaceId, id: TaskId) -> Result<Task> {
    find(db.reader(), workspace, id)
        .await?
        .ok_or(Error::NotFound("task"))
}

/// The same inside a transaction.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn get_in(tx: &Tx, workspace: WorkspaceId, id: TaskId) -> Result<Task> {
    find(tx.conn(), workspace, id)
        .await?
        .ok_or(Error::NotFound("task"))
}

/// A task of this workspace, which stays as it is until the transaction ends.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn lock(tx: &Tx, workspace: WorkspaceId, id: TaskId) -> Result<Task> {
    lock_as(tx, workspace, id, LockType::NoKeyUpdate).await
}

/// A task of this workspace, which is there until the transaction ends, though it may change.
pub(crate) async fn hold(tx: &Tx, workspace: WorkspaceId, id: TaskId) -> Result<Task> {
    lock_as(tx, workspace, id, LockType::KeyShare).await
}

async fn lock_as(tx: &Tx, workspace: WorkspaceId, id: TaskId, lock: LockType) -> Result<Task> {
    tasks::Entity::find_by_id(id.0)
        .filter(tasks::Column::WorkspaceId.eq(workspace.0))
        .lock(lock)
        .one(tx.conn())
        .await?
        .map(task_from_row)
        .ok_or(Error::NotFound("task"))?
}

/// Those of these tasks that are there, and stay so until the transaction ends, though they may
/// change: what is written about them is removed with them.
///
/// # Errors
/// When the database cannot be read.
pub async fn hold_all(
    tx: &Tx,
    workspace: WorkspaceId,
    ids: impl IntoIterator<Item = TaskId>,
) -> Result<HashSet<TaskId>> {
    // In order, so that two transactions do not wait for each other.
    let ids: BTreeSet<TaskId> = ids.into_iter().collect();
    let mut held = HashSet::new();
    for ids in chunks(ids) {
        let found: Vec<uuid::Uuid> = tasks::Entity::find()
            .select_only()
            .column(tasks::Column::Id)
            .filter(tasks::Column::WorkspaceId.eq(workspace.0))
            .filter(tasks::Column::Id.is_in(ids.into_iter().map(|id| id.0)))
            .order_by_asc(tasks::Column::Id)
            .lock(LockType::KeyShare)
            .into_tuple()
            .all(tx.conn())
            .await?;
        held.extend(found.into_iter().map(TaskId));
    }
    Ok(held)
}

/// The tasks of these ids that exist, of any workspace: for the engine, whose messages carry
/// ids that were checked when they were made.
///
/// # Errors
/// When the database cannot be read.
pub async fn by_ids(
    db: &Db,
    ids: impl IntoIterator<Item = TaskId>,
) -> Result<HashMap<TaskId, Task>> {
    many(db.reader(), ids).await
}

/// The same inside a transaction.
///
/// # Errors
/// When the database cannot be read.
pub async fn by_ids_in(
    tx: &Tx,
    ids: impl IntoIterator<Item = TaskId>,
) -> Result<HashMap<TaskId, Task>> {
    many(tx.conn(), ids).await
}

async fn many(
    conn: &impl ConnectionTrait,
    ids: impl IntoIterator<Item = TaskId>,
) -> Result<HashMap<TaskId, Task>> {
    let ids: Vec<_> = ids.into_iter().map(|id| id.0).collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    tasks::Entity::find()
        .filter(tasks::Column::Id.is_in(ids))
        .all(conn)
        .await?
        .into_iter()
        .map(|row| task_from_row(row).map(|task| (task.id, task)))
        .collect()
}

async fn find(
    conn: &impl ConnectionTrait,
    workspace: WorkspaceId,
    id: TaskId,
) -> Result<Option<Task>> {
    tasks::Entity::find_by_id(id.0)
        .filter(tasks::Column::WorkspaceId.eq(workspace.0))
        .one(conn)
        .await?
        .map(task_from_row)
        .transpose()
}

/// Makes a task: `task.created`, and `task.assigned` when it is somebody else's from the start.
///
/// # Errors
/// [`Error::Invalid`] when the assignee is no member or the parent no task of the workspace.
pub async fn create(
    tx: &mut Tx,
    workspace: WorkspaceId,
    id: TaskId,
    creator: UserId,
    new: NewTask,
    cause: &Cause,
) -> Result<Task> {
    if let Some(assignee) = new.assignee_id.filter(|assignee| *assignee != creator) {
        workspaces::expect_member(tx, workspace, assignee, "/assignee_id").await?;
    }
    if let Some(parent) = new.parent_id {
        expect_task(tx, workspace, parent, "/parent_id").await?;
    }
    let task = new.into_task(id, workspace, creator, tx.now());
    timers::schedule(tx, &task).await?;
    tx.insert::<tasks::Entity>(task_to_row(&task)?.into_active_model());
    events::created(tx, &task, cause)?;
    activity::record(tx, &task, "task.created", &[], cause, &[])?;
    Ok(task)
}

/// Refuses `id` at `pointer` unless it is a task of the workspace.
///
/// # Errors
/// [`Error::Invalid`].
pub async fn expect_task(tx: &Tx, workspace: WorkspaceId, id: TaskId, pointer: &str) -> Result<()> {
    match find(tx.conn(), workspace, id).await? {
        Some(_) => Ok(()),
        None => Err(Error::Invalid(vec![Invalid::at(
            pointer,
            "is no task of this workspace",
        )])),
    }
}

/// Merges changes onto the task as it is now: `task.updated` and its kin, timers moved.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Changed`] when its version is none of `expected`;
/// [`Error::Invalid`] when the assignee is no member, the parent no other task or the custom
/// fields grow too large.
pub async fn update(
    tx: &mut Tx,
    workspace: WorkspaceId,
    id: TaskId,
    changes: &TaskChanges,
    expected: Option<&[i64]>,
    cause: &Cause,
) -> Result<Task> {
    let before = lock(tx, workspace, id).await?;
    expect_version(before.version, expected)?;
    changes
        .fits(&before)
        .map_err(|wrong| Error::Invalid(vec![wrong]))?;
    let mut task = before.clone();
    let changed = changes.apply(&mut task, tx.now());
    if changed.is_empty() {
        return Ok(task);
    }
    if let Some(assignee) = task
        .assignee_id
        .filter(|_| changed.contains(&"assignee_id"))
    {
        workspaces::expect_member(tx, workspace, assignee, "/assignee_id").await?;
    }
    if let Some(parent) = task.parent_id.filter(|_| changed.contains(&"parent_id")) {
        if parent == id {
            let itself = Invalid::at("/parent_id", "a task cannot be its own parent");
            return Err(Error::Invalid(vec![itself]));
        }
        expect_task(tx, workspace, parent, "/parent_id").await?;
    }
    if changed.contains(&"due_at") || before.status.is_open() != task.status.is_open() {
        timers::reschedule(tx, &task).await?;
    }
    let row = task_to_row(&task)?.into_active_model().reset_all();
    tasks::Entity::update(row)
        .exec_without_returning(tx.write_conn())
        .await?;
    events::updated(tx, &before, &task, &changed, cause)?;
    activity::record(tx, &task, "task.updated", &changed, cause, &[])?;
    Ok(task)
}

/// Removes a task with its comments and timers: `task.deleted`.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Changed`] when its version is none of `expected`.
pub async fn delete(
    tx: &mut Tx,
    workspace: WorkspaceId,
    id: TaskId,
    expected: Option<&[i64]>,
    cause: &Cause,
) -> Result<()> {
    // What others have gathered for the task must be there to be removed, and so must be what
    // those that hold it are writing.
    tx.alone()?;
    let task = lock_as(tx, workspace, id, LockType::Update).await?;
    expect_version(task.version, expected)?;
    tx.unschedule_task(id);
    matches::forget_task(tx, id).await?;
    runs::end_of_task(tx, workspace, id).await?;
    comments::Entity::delete_many()
        .filter(comments::Column::TaskId.eq(id.0))
        .exec(tx.write_conn())
        .await?;
    tasks::Entity::delete_by_id(id.0)
        .exec(tx.write_conn())
        .await?;
    events::deleted(tx, &task, cause)?;
    activity::record(tx, &task, "task.deleted", &[], cause, &[])
}
