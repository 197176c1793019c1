//! Questions to people, for whose answers runs wait.
//!
//! A question is asked by mail, with two links, and answered once: by whoever has a link, or by
//! somebody who is logged in. Its answer and the message that wakes the run commit together.

mod links;
mod mail;

pub use links::Links;
pub use mail::mail;

use crate::db::{at, chunks};
use crate::entity::approvals::{self, Column, Entity};
use crate::entity::users;
use crate::page::{self, Listed, Page};
use crate::{Db, Error, Result, Tx};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, Order,
    QueryFilter, QuerySelect, Select,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use smarttasks_model::{
    ApprovalId, Because, Message, RuleId, RunId, TaskId, TimeZone, Timestamp, UserId, WaitId, Wake,
    WorkspaceId,
};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// Where a question stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Waiting for an answer.
    Pending,
    /// Answered with yes.
    Approved,
    /// Answered with no.
    Denied,
    /// Not answered in time.
    Expired,
    /// Not wanted any more: the run has ended, or has gone on by other means.
    Cancelled,
}

impl Status {
    const ALL: [Self; 5] = [
        Self::Pending,
        Self::Approved,
        Self::Denied,
        Self::Expired,
        Self::Cancelled,
    ];

    /// The name, as in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }

    const fn of(approved: bool) -> Self {
        match approved {
            true => Self::Approved,
            false => Self::Denied,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Status {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| Error::Unreadable("approval", text.to_owned()))
    }
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct NewApproval {
    /// Derived from the run and its wait.
    pub id: ApprovalId,
    /// Where it belongs.
    pub workspace_id: WorkspaceId,
    /// Who waits.
    pub wait: WaitId,
    /// The rule that asks.
    pub rule_id: RuleId,
    /// What it is called.
    pub rule_name: String,
    /// The task that it is about.
    pub task_id: Option<TaskId>,
    /// What that is called.
    pub task_title: Option<String>,
    /// Who is asked.
    pub user_id: UserId,
    /// What they are asked.
    pub question: String,
    /// When the run goes on without an answer.
    pub expires_at: Timestamp,
}

/// A question.
#[derive(Clone, Debug)]
pub struct Approval {
    /// What is asked.
    pub asked: NewApproval,
    /// When it was asked.
    pub created_at: Timestamp,
    /// Where it stands now: whoever closes it may come later than its time.
    pub status: Status,
    /// Who answered.
    pub answered_by: Option<UserId>,
    /// When.
    pub answered_at: Option<Timestamp>,
    /// What those are called who were asked and who answered, unless they are gone.
    names: HashMap<UserId, String>,
}

impl Approval {
    /// What a person is called who was asked or answered.
    pub fn name_of(&self, user: UserId) -> &str {
        self.names
            .get(&user)
            .map_or("somebody who has left", |name| name)
    }

    /// For people: what has come of it, with the time in their zone; nothing while it is open.
    pub fn outcome(&self, zone: &TimeZone) -> Option<String> {
        let by = self.answered_by.map(|by| self.name_of(by));
        let (by, at) = (
            by.unwrap_or_default(),
            self.answered_at.unwrap_or(self.created_at),
        );
        let until = self.asked.expires_at;
        Some(match self.status {
            Status::Pending => return None,
            Status::Approved => format!("{by} said yes on {}.", at.in_words(zone)),
            Status::Denied => format!("{by} said no on {}.", at.in_words(zone)),
            Status::Expired => format!("Nobody answered until {}.", until.in_words(zone)),
            Status::Cancelled => {
                "It is not asked any more: its run has ended, or went on without an answer."
                    .to_owned()
            }
        })
    }

    /// What its run goes on with.
    fn value(&self) -> Option<Value> {
        let approved = match self.status {
            Status::Approved => true,
            Status::Denied => false,
            Status::Pending | Status::Expired | Status::Cancelled => return None,
        };
        Some(json!({ "approved": approved, "by": self.answered_by }))
    }
}

/// Asks. The mail is published beside it; see [`mail()`].
pub fn ask(tx: &mut Tx, new: NewApproval) -> Approval {
    let row = approvals::Model {
        id: new.id.0,
        workspace_id: new.workspace_id.0,
        run_id: new.wait.run_id.0,
        // A run has a thousand waits at most.
        wait: i32::try_from(new.wait.number).unwrap_or(i32::MAX),
        rule_id: new.rule_id.0,
        rule_name: new.rule_name.clone(),
        task_id: new.task_id.map(|id| id.0),
        task_title: new.task_title.clone(),
        user_id: new.user_id.0,
        question: new.question.clone(),
        created_at: tx.now().unix_millis(),
        expires_at: new.expires_at.unix_millis(),
        status: Status::Pending.as_str().to_owned(),
        answered_by: None,
        answered_at: None,
    };
    tx.insert::<Entity>(row.into_active_model());
    Approval {
        asked: new,
        created_at: tx.now(),
        status: Status::Pending,
        answered_by: None,
        answered_at: None,
        names: HashMap::new(),
    }
}

/// Answers; wakes the run.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Closed`] when somebody has answered, its time is over, or it is not
/// asked any more.
pub async fn answer(
    tx: &mut Tx,
    workspace: WorkspaceId,
    id: ApprovalId,
    approved: bool,
    by: UserId,
) -> Result<Approval> {
    let row = of_workspace(workspace, id)
        .lock_exclusive()
        .one(tx.conn())
        .await?;
    let mut row = row.ok_or(Error::NotFound("approval"))?;
    let now = tx.now();
    let before = approval(row.clone(), now)?;
    if before.status != Status::Pending {
        return Err(Error::Closed(Box::new(named(tx.conn(), before).await?)));
    }
    row.status = Status::of(approved).as_str().to_owned();
    row.answered_by = Some(by.0);
    row.answered_at = Some(now.unix_millis());
    Entity::update(row.clone().into_active_model().reset_all())
        .exec(tx.write_conn())
        .await?;
    let answered = named(tx.conn(), approval(row, now)?).await?;
    tx.publish(Message::Wake(Box::new(Wake {
        workspace_id: workspace,
        wait: answered.asked.wait,
        because: Because::Answer {
            value: answered.value().unwrap_or_default(),
        },
        failures: 0,
    })))?;
    Ok(answered)
}

/// What the run goes on with, when somebody has answered: a wait whose time is over may have an
/// answer that came in time, and whose message is on its way.
///
/// # Errors
/// When the database cannot be read.
pub async fn answered(db: &Db, wait: WaitId) -> Result<Option<Value>> {
    let number = i32::try_from(wait.number).unwrap_or(i32::MAX);
    let row = Entity::find()
        .filter(Column::RunId.eq(wait.run_id.0))
        .filter(Column::Wait.eq(number))
        .one(db.reader())
        .await?;
    let now = db.clock().now();
    let found = row.map(|row| approval(row, now)).transpose()?;
    Ok(found.and_then(|approval| approval.value()))
}

/// Whether somebody has answered one of these waits. Asked after [`close`], nobody does any more.
///
/// # Errors
/// When the database cannot be read.
pub async fn any_answered(tx: &Tx, waits: impl IntoIterator<Item = WaitId>) -> Result<bool> {
    let waits: HashSet<WaitId> = waits.into_iter().collect();
    for runs in chunks(waits.iter().map(|wait| wait.run_id)) {
        let rows: Vec<(Uuid, i32)> = Entity::find()
            .select_only()
            .columns([Column::RunId, Column::Wait])
            .filter(Column::RunId.is_in(runs.into_iter().map(|id| id.0)))
            .filter(Column::AnsweredBy.is_not_null())
            .into_tuple()
            .all(tx.conn())
            .await?;
        let wait = |(run, number): (Uuid, i32)| WaitId {
            run_id: RunId(run),
            number: u32::try_from(number).unwrap_or_default(),
        };
        if rows.into_iter().any(|row| waits.contains(&wait(row))) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Closes what these runs have asked and nobody has answered: they go on without, or have ended.
///
/// # Errors
/// When the database cannot be written.
pub async fn close(tx: &mut Tx, runs: impl IntoIterator<Item = RunId>) -> Result<()> {
    let in_vain = Column::ExpiresAt.lte(tx.now().unix_millis());
    for runs in chunks(runs) {
        let status = Expr::case(in_vain.clone(), Status::Expired.as_str())
            .finally(Status::Cancelled.as_str());
        Entity::update_many()
            .col_expr(Column::Status, status.into())
            .filter(Column::RunId.is_in(runs.into_iter().map(|id| id.0)))
            .filter(Column::Status.eq(Status::Pending.as_str()))
            .exec(tx.write_conn())
            .await?;
    }
    Ok(())
}

/// A question of this workspace.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn get(db: &Db, workspace: WorkspaceId, id: ApprovalId) -> Result<Approval> {
    let row = of_workspace(workspace, id).one(db.reader()).await?;
    let row = row.ok_or(Error::NotFound("approval"))?;
    named(db.reader(), approval(row, db.clock().now())?).await
}

/// The question that a link answers, when the link is one of ours.
///
/// # Errors
/// [`Error::NotFound`], whatever is wrong with the link.
pub async fn linked(
    db: &Db,
    links: &Links,
    id: ApprovalId,
    approved: bool,
    token: &str,
) -> Result<Approval> {
    let row = Entity::find_by_id(id.0).one(db.reader()).await?;
    let row = row.ok_or(Error::NotFound("approval"))?;
    match links.verify(id, at(row.expires_at), approved, token) {
        true => named(db.reader(), approval(row, db.clock().now())?).await,
        false => Err(Error::NotFound("approval")),
    }
}

/// Which questions of a workspace.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filter {
    /// To this person.
    pub user_id: Option<UserId>,
    /// That stand there.
    pub status: Option<Status>,
    /// Of this run.
    pub run_id: Option<RunId>,
}

/// The questions of a workspace, newest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn list(
    db: &Db,
    workspace: WorkspaceId,
    filter: &Filter,
    page: &Page,
) -> Result<Listed<Approval>> {
    let now = db.clock().now();
    let query = Entity::find()
        .filter(Column::WorkspaceId.eq(workspace.0))
        .filter(
            Condition::all()
                .add_option(filter.user_id.map(|id| Column::UserId.eq(id.0)))
                .add_option(filter.run_id.map(|id| Column::RunId.eq(id.0)))
                .add_option(filter.status.map(|status| standing(status, now))),
        );
    let convert = |row| approval(row, now);
    let of_row = |row: &approvals::Model| row.id;
    let mut listed = page::by_id(db, query, Column::Id, Order::Desc, page, of_row, convert).await?;
    name(db.reader(), &mut listed.rows).await?;
    Ok(listed)
}

async fn named(conn: &impl ConnectionTrait, approval: Approval) -> Result<Approval> {
    let mut approval = [approval];
    name(conn, &mut approval).await?;
    let [approval] = approval;
    Ok(approval)
}

async fn name(conn: &impl ConnectionTrait, approvals: &mut [Approval]) -> Result<()> {
    let people = approvals.iter().flat_map(people_of);
    let people: BTreeSet<UserId> = people.collect();
    let names: Vec<(Uuid, String)> = users::Entity::find()
        .select_only()
        .columns([users::Column::Id, users::Column::Name])
        .filter(users::Column::Id.is_in(people.into_iter().map(|id| id.0)))
        .into_tuple()
        .all(conn)
        .await?;
    let names: HashMap<UserId, String> = names
        .into_iter()
        .map(|(id, name)| (UserId(id), name))
        .collect();
    for approval in approvals {
        let of_these = people_of(approval).filter_map(|id| Some((id, names.get(&id)?.clone())));
        approval.names = of_these.collect();
    }
    Ok(())
}

fn people_of(approval: &Approval) -> impl Iterator<Item = UserId> + use<> {
    [Some(approval.asked.user_id), approval.answered_by]
        .into_iter()
        .flatten()
}

/// Those whose time is over are so before anybody closes them.
fn standing(status: Status, now: Timestamp) -> Condition {
    let is = |status: Status| Column::Status.eq(status.as_str());
    let now = now.unix_millis();
    match status {
        Status::Pending => Condition::all()
            .add(is(Status::Pending))
            .add(Column::ExpiresAt.gte(now)),
        Status::Expired => Condition::any().add(is(Status::Expired)).add(
            Condition::all()
                .add(is(Status::Pending))
                .add(Column::ExpiresAt.lt(now)),
        ),
        other => Condition::all().add(is(other)),
    }
}

fn of_workspace(workspace: WorkspaceId, id: ApprovalId) -> Select<Entity> {
    Entity::find_by_id(id.0).filter(Column::WorkspaceId.eq(workspace.0))
}

fn approval(row: approvals::Model, now: Timestamp) -> Result<Approval> {
    let expires_at = at(row.expires_at);
    let status = match row.status.parse()? {
        Status::Pending if now > expires_at => Status::Expired,
        status => status,
    };
    Ok(Approval {
        asked: NewApproval {
            id: ApprovalId(row.id),
            workspace_id: WorkspaceId(row.workspace_id),
            wait: WaitId {
                run_id: RunId(row.run_id),
                number: u32::try_from(row.wait).unwrap_or_default(),
            },
            rule_id: RuleId(row.rule_id),
            rule_name: row.rule_name,
            task_id: row.task_id.map(TaskId),
            task_title: row.task_title,
            user_id: UserId(row.user_id),
            question: row.question,
            expires_at,
        },
        created_at: at(row.created_at),
        status,
        answered_by: row.answered_by.map(UserId),
        answered_at: row.answered_at.map(at),
        names: HashMap::new(),
    })
}
