//! Rules, their versions and the timers that their triggers ask for.

mod changes;
mod disable;
mod letter;
mod schedule;
mod versions;

pub use changes::{Between, changed};
pub use disable::{Disabling, disable};
pub use schedule::reschedule;
pub use versions::{Version, version, versions};

pub(crate) use changes::note as note_change;
pub(crate) use letter::Letter;
pub(crate) use schedule::due_offsets;
pub(crate) use versions::{has_version, put_into_quarantine};
pub use versions::{pinned, quarantined};

use crate::db::{at, chunks};
use crate::entity::{rule_stats, rules};
use crate::page::{self, Listed, Page};
use crate::users::expect_version;
use crate::workspaces::{self, bump_rule};
use crate::{Conflict, Db, Error, Result, Tx, matches, quarantine, runs, state, sweeps};
use schedule::{offsets_of, schedule, schedule_deadlines, schedule_occurrences};
use sea_orm::sea_query::{IntoCondition, LockType, OnConflict};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, Order,
    QueryFilter, QueryOrder, QuerySelect, Select, Set,
};
use smarttasks_model::{
    RuleId, RuleSpec, SweepPurpose, SweepRange, Timestamp, Trigger, UserId, WorkspaceId,
};
use std::collections::{BTreeSet, HashMap, HashSet};
use versions::Origin;

/// A rule as it is kept.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its id.
    pub id: RuleId,
    /// Where it belongs.
    pub workspace_id: WorkspaceId,
    /// What its author wrote.
    pub spec: RuleSpec,
    /// Why the system disabled it.
    pub disabled_reason: Option<String>,
    /// Counts the edits, from 1.
    pub version: i64,
    /// Who wrote it last: its owner. The system, which may have disabled it since, owns nothing.
    pub author_id: UserId,
    /// When it was made.
    pub created_at: Timestamp,
    /// When this version was.
    pub updated_at: Timestamp,
}

/// How often a rule matched and failed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stats {
    /// Runs in which it acted.
    pub matches: i64,
    /// Runs that failed.
    pub failures: i64,
    /// How many of them stand in a row: since the last run that acted, and in this version. An
    /// evaluation that did not match leaves no run, and so does not interrupt them.
    pub failures_in_row: i64,
    /// When it last acted or failed.
    pub last_run_at: Option<Timestamp>,
}

/// A rule to be stored: checked, compiled once, and its next occurrences known.
#[derive(Clone, Debug)]
pub struct NewRule {
    /// The id that it gets, or has.
    pub id: RuleId,
    /// What its author wrote.
    pub spec: RuleSpec,
    /// For each cron trigger its number and next occurrence.
    pub occurrences: Vec<(usize, Timestamp)>,
    /// Whether its sweeps are for tasks that match already, too.
    pub apply_to_existing: bool,
    /// Whether its runs that wait are ended.
    pub cancel_runs: bool,
}

/// Stores a new rule.
///
/// # Errors
/// [`Conflict::NameTaken`].
pub async fn create(
    tx: &mut Tx,
    workspace: WorkspaceId,
    author: UserId,
    new: NewRule,
) -> Result<Rule> {
    // A deadline that is set at the same time must not miss this rule's offsets.
    tx.alone()?;
    workspaces::lock(tx, workspace).await?;
    expect_free_name(tx, workspace, new.id, &new.spec.name).await?;
    bump_rule(tx, workspace, new.id).await?;
    schedule_deadlines(tx, workspace, &new).await?;
    note_existing(tx, workspace, &new).await?;
    insert(tx, workspace, author, new)
}

/// Stores a new rule in a workspace that has neither tasks nor rules of its name.
pub(crate) fn insert(
    tx: &mut Tx,
    workspace: WorkspaceId,
    author: UserId,
    new: NewRule,
) -> Result<Rule> {
    let now = tx.now();
    let rule = Rule {
        id: new.id,
        workspace_id: workspace,
        spec: new.spec.clone(),
        disabled_reason: None,
        version: 1,
        author_id: author,
        created_at: now,
        updated_at: now,
    };
    tx.insert::<rules::Entity>(row(&rule)?.into_active_model());
    versions::insert(tx, &rule, Origin::person(&rule, None))?;
    schedule_occurrences(tx, workspace, &new);
    Ok(rule)
}

/// Stores a new version of a rule; runs of earlier versions go on as they began. What was counted
/// against the version before does not count against this one.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Changed`] when its version is none of `expected`;
/// [`Conflict::NameTaken`].
pub async fn update(
    tx: &mut Tx,
    workspace: WorkspaceId,
    author: UserId,
    new: NewRule,
    expected: Option<&[i64]>,
) -> Result<Rule> {
    replace(tx, workspace, author, new, expected, None).await
}

/// The same with what the rule was in the version `to`.
///
/// # Errors
/// [`Error::NotFound`]; [`Conflict::NameTaken`].
pub async fn roll_back(
    tx: &mut Tx,
    workspace: WorkspaceId,
    author: UserId,
    new: NewRule,
    to: i64,
) -> Result<Rule> {
    let note = format!("rolled back to version {to}");
    replace(tx, workspace, author, new, None, Some(note)).await
}

async fn replace(
    tx: &mut Tx,
    workspace: WorkspaceId,
    author: UserId,
    new: NewRule,
    expected: Option<&[i64]>,
    note: Option<String>,
) -> Result<Rule> {
    // A deadline that is set at the same time must not miss this rule's offsets.
    tx.alone()?;
    // Before the workspace, as by those that count runs and disable the rule.
    lock_counts(tx, new.id).await?;
    workspaces::lock(tx, workspace).await?;
    let before = find(tx.conn(), workspace, new.id)
        .await?
        .ok_or(Error::NotFound("rule"))?;
    expect_version(before.version, expected)?;
    expect_free_name(tx, workspace, new.id, &new.spec.name).await?;
    let rule = Rule {
        spec: new.spec.clone(),
        disabled_reason: before.disabled_reason.clone().filter(|_| !new.spec.enabled),
        version: before.version + 1,
        author_id: author,
        updated_at: tx.now(),
        ..before.clone()
    };
    save(tx, &rule).await?;
    count_anew(tx, &rule).await?;
    let mut origin = Origin::person(&rule, Some(&before.spec));
    origin.note = note;
    versions::insert(tx, &rule, origin)?;
    schedule(tx, workspace, &before.spec, &new).await?;
    if !sweeps_tasks(&new.spec) {
        matches::forget_rule(tx, new.id).await?;
    }
    note_existing(tx, workspace, &new).await?;
    if new.spec.enabled && !before.spec.enabled {
        versions::release(tx, new.id).await?;
    }
    if new.cancel_runs {
        runs::end_of_rule(tx, workspace, new.id, "the rule was disabled").await?;
    }
    bump_rule(tx, workspace, new.id).await?;
    Ok(rule)
}

/// Writes a rule that is there.
async fn save(tx: &mut Tx, rule: &Rule) -> Result<()> {
    rules::Entity::update(row(rule)?.into_active_model().reset_all())
        .exec_without_returning(tx.write_conn())
        .await?;
    Ok(())
}

/// Holds what was counted against a rule.
async fn lock_counts(tx: &mut Tx, id: RuleId) -> Result<()> {
    quarantine::forget_rule(tx, id).await?;
    rule_stats::Entity::find_by_id(id.0)
        .lock_exclusive()
        .one(tx.conn())
        .await?;
    Ok(())
}

/// From this version on, failures count anew; those of earlier ones, whose runs may yet go on, do
/// not count against it.
async fn count_anew(tx: &mut Tx, rule: &Rule) -> Result<()> {
    let anew = rule_stats::ActiveModel {
        rule_id: Set(rule.id.0),
        matches: Set(0),
        failures: Set(0),
        failures_in_row: Set(0),
        version: Set(rule.version),
        last_run_at: Set(None),
    };
    let replaced = OnConflict::column(rule_stats::Column::RuleId)
        .update_columns([
            rule_stats::Column::FailuresInRow,
            rule_stats::Column::Version,
        ])
        .to_owned();
    rule_stats::Entity::insert(anew)
        .on_conflict(replaced)
        .exec_without_returning(tx.write_conn())
        .await?;
    Ok(())
}

fn sweeps_tasks(spec: &RuleSpec) -> bool {
    spec.triggers.iter().any(Trigger::is_sweep)
}

/// Has it noted which tasks match already, if the rule is not for them.
async fn note_existing(tx: &mut Tx, workspace: WorkspaceId, rule: &NewRule) -> Result<()> {
    if rule.apply_to_existing || !rule.spec.enabled || !sweeps_tasks(&rule.spec) {
        return Ok(());
    }
    let now = tx.now();
    let range = SweepRange {
        sweep_id: uuid::Uuid::new_v4(),
        workspace_id: workspace,
        scheduled_at: now,
        rules: vec![rule.id],
        purpose: SweepPurpose::Note,
        part: None,
    };
    sweeps::add(tx, [range]).await
}

/// Removes a rule with its timers and what is known of it; its runs stay until their retention
/// ends.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Changed`] when its version is none of `expected`.
pub async fn delete(
    tx: &mut Tx,
    workspace: WorkspaceId,
    id: RuleId,
    expected: Option<&[i64]>,
) -> Result<()> {
    // What others have gathered for the rule must be there to be removed.
    tx.alone()?;
    workspaces::lock(tx, workspace).await?;
    // So must be what those that hold the rule are writing.
    let rule = of_workspace(workspace, [id])
        .lock(LockType::Update)
        .one(tx.conn())
        .await?
        .map(Rule::try_from)
        .ok_or(Error::NotFound("rule"))??;
    expect_version(rule.version, expected)?;
    tx.unschedule_rule(id);
    matches::forget_rule(tx, id).await?;
    sweeps::marks::forget_rule(tx, id).await?;
    state::forget(tx, id).await?;
    quarantine::forget_rule(tx, id).await?;
    let conn = tx.write_conn();
    rules::Entity::delete_by_id(id.0).exec(conn).await?;
    rule_stats::Entity::delete_by_id(id.0).exec(conn).await?;
    // Its runs that wait go on as they began; retention removes what is left of it after them.
    if !runs::any_unfinished(tx, id).await? {
        versions::forget(tx, id).await?;
    }
    bump_rule(tx, workspace, id).await
}

/// A rule of this workspace.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn get(db: &Db, workspace: WorkspaceId, id: RuleId) -> Result<Rule> {
    find(db.reader(), workspace, id)
        .await?
        .ok_or(Error::NotFound("rule"))
}

/// The same inside a transaction.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn get_in(tx: &Tx, workspace: WorkspaceId, id: RuleId) -> Result<Rule> {
    find(tx.conn(), workspace, id)
        .await?
        .ok_or(Error::NotFound("rule"))
}

/// Those of these rules that are there, and stay so until the transaction ends, though they may
/// change: what is written about them is removed with them.
///
/// # Errors
/// When the database cannot be read.
pub async fn hold(
    tx: &Tx,
    workspace: WorkspaceId,
    ids: impl IntoIterator<Item = RuleId>,
) -> Result<HashSet<RuleId>> {
    // In order, so that two transactions do not wait for each other.
    let ids: BTreeSet<RuleId> = ids.into_iter().collect();
    let mut held = HashSet::new();
    for ids in chunks(ids) {
        let found: Vec<uuid::Uuid> = of_workspace(workspace, ids)
            .select_only()
            .column(rules::Column::Id)
            .order_by_asc(rules::Column::Id)
            .lock(LockType::KeyShare)
            .into_tuple()
            .all(tx.conn())
            .await?;
        held.extend(found.into_iter().map(RuleId));
    }
    Ok(held)
}

fn of_workspace(
    workspace: WorkspaceId,
    ids: impl IntoIterator<Item = RuleId>,
) -> Select<rules::Entity> {
    rules::Entity::find()
        .filter(rules::Column::WorkspaceId.eq(workspace.0))
        .filter(rules::Column::Id.is_in(ids.into_iter().map(|id| id.0)))
}

/// The rules of these ids that exist, for the scheduler, whose timers carry ids that were
/// checked when they were written.
///
/// # Errors
/// When the database cannot be read.
pub async fn by_ids_in(
    tx: &Tx,
    ids: impl IntoIterator<Item = RuleId>,
) -> Result<HashMap<RuleId, Rule>> {
    let ids: Vec<_> = ids.into_iter().map(|id| id.0).collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    rules::Entity::find()
        .filter(rules::Column::Id.is_in(ids))
        .all(tx.conn())
        .await?
        .into_iter()
        .map(|row| Rule::try_from(row).map(|rule| (rule.id, rule)))
        .collect()
}

async fn find(
    conn: &impl ConnectionTrait,
    workspace: WorkspaceId,
    id: RuleId,
) -> Result<Option<Rule>> {
    rules::Entity::find_by_id(id.0)
        .filter(rules::Column::WorkspaceId.eq(workspace.0))
        .one(conn)
        .await?
        .map(Rule::try_from)
        .transpose()
}

/// The rules of a workspace, newest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn list(db: &Db, workspace: WorkspaceId, page: &Page) -> Result<Listed<Rule>> {
    let query = rules::Entity::find().filter(rules::Column::WorkspaceId.eq(workspace.0));
    page::by_id(
        db,
        query,
        rules::Column::Id,
        Order::Desc,
        page,
        |row| row.id,
        Rule::try_from,
    )
    .await
}

/// Every enabled rule of these workspaces, for the engine.
///
/// # Errors
/// When the database cannot be read.
pub async fn enabled(
    db: &Db,
    workspaces: impl IntoIterator<Item = WorkspaceId>,
) -> Result<Vec<Rule>> {
    let workspaces: Vec<_> = workspaces.into_iter().map(|id| id.0).collect();
    if workspaces.is_empty() {
        return Ok(Vec::new());
    }
    read_enabled(db, rules::Column::WorkspaceId.is_in(workspaces)).await
}

/// Those of these rules that are enabled, for the engine, which knows that they have changed.
///
/// # Errors
/// When the database cannot be read.
pub async fn enabled_of(db: &Db, ids: impl IntoIterator<Item = RuleId>) -> Result<Vec<Rule>> {
    let mut found = Vec::new();
    for ids in chunks(ids) {
        let ids = rules::Column::Id.is_in(ids.into_iter().map(|id| id.0));
        found.extend(read_enabled(db, ids).await?);
    }
    Ok(found)
}

async fn read_enabled(db: &Db, which: impl IntoCondition) -> Result<Vec<Rule>> {
    rules::Entity::find()
        .filter(which.into_condition())
        .filter(rules::Column::Enabled.eq(true))
        .order_by_asc(rules::Column::Id)
        .all(db.reader())
        .await?
        .into_iter()
        .map(Rule::try_from)
        .collect()
}

/// How often these rules matched and failed; rules that never did are absent.
///
/// # Errors
/// When the database cannot be read.
pub async fn stats(
    db: &Db,
    ids: impl IntoIterator<Item = RuleId>,
) -> Result<HashMap<RuleId, Stats>> {
    read_stats(db.reader(), ids).await
}

/// The same for one, inside a transaction.
///
/// # Errors
/// When the database cannot be read.
pub async fn stats_in(tx: &Tx, id: RuleId) -> Result<Stats> {
    let mut stats = read_stats(tx.conn(), [id]).await?;
    Ok(stats.remove(&id).unwrap_or_default())
}

async fn read_stats(
    conn: &impl ConnectionTrait,
    ids: impl IntoIterator<Item = RuleId>,
) -> Result<HashMap<RuleId, Stats>> {
    let rows = rule_stats::Entity::find()
        .filter(rule_stats::Column::RuleId.is_in(ids.into_iter().map(|id| id.0)))
        .all(conn)
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let stats = Stats {
                matches: row.matches,
                failures: row.failures,
                failures_in_row: row.failures_in_row,
                last_run_at: row.last_run_at.map(at),
            };
            (RuleId(row.rule_id), stats)
        })
        .collect())
}

async fn expect_free_name(tx: &Tx, workspace: WorkspaceId, id: RuleId, name: &str) -> Result<()> {
    let other = rules::Entity::find()
        .filter(rules::Column::WorkspaceId.eq(workspace.0))
        .filter(rules::Column::Name.eq(name))
        .filter(rules::Column::Id.ne(id.0))
        .one(tx.conn())
        .await?;
    if other.is_some() {
        Err(Conflict::NameTaken.into())
    } else {
        Ok(())
    }
}

fn row(rule: &Rule) -> Result<rules::Model> {
    let offsets = offsets_of(&rule.spec);
    let offsets = (!offsets.is_empty()).then(|| json(&offsets)).transpose()?;
    Ok(rules::Model {
        id: rule.id.0,
        workspace_id: rule.workspace_id.0,
        name: rule.spec.name.clone(),
        enabled: rule.spec.enabled,
        disabled_reason: rule.disabled_reason.clone(),
        spec: json(&rule.spec)?,
        due_offsets: offsets,
        version: rule.version,
        author_id: rule.author_id.0,
        created_at: rule.created_at.unix_millis(),
        updated_at: rule.updated_at.unix_millis(),
    })
}

fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::Unreadable("rule", error.to_string()))
}

fn spec(json: &str) -> Result<RuleSpec> {
    serde_json::from_str(json).map_err(|error| Error::Unreadable("rule", error.to_string()))
}

impl TryFrom<rules::Model> for Rule {
    type Error = Error;
    fn try_from(row: rules::Model) -> Result<Self> {
        Ok(Self {
            id: RuleId(row.id),
            workspace_id: WorkspaceId(row.workspace_id),
            spec: spec(&row.spec)?,
            disabled_reason: row.disabled_reason,
            version: row.version,
            author_id: UserId(row.author_id),
            created_at: at(row.created_at),
            updated_at: at(row.updated_at),
        })
    }
}
