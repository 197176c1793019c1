//! Rules that do harm are disabled: theirs is the only state that the system itself changes, so
//! its owner is told at once, what happened and what to do.

use super::letter::Letter;
use super::versions::{self, Origin};
use super::{Rule, find, save};
use crate::runs::RunError;
use crate::workspaces::{self, bump_rule};
use crate::{Result, Tx};
use serde_json::{Map, json};
use smarttasks_model::{
    ChangeId, Event, EventData, EventId, EventType, NotificationId, RuleId, RunId, Snapshot,
    TraceParent, WorkspaceId, derive_id,
};

/// Why a rule is disabled, and what led to it.
#[derive(Clone, Debug)]
pub struct Disabling {
    /// Where the rule belongs.
    pub workspace_id: WorkspaceId,
    /// The rule.
    pub rule_id: RuleId,
    /// Which version of it does harm.
    pub version: i64,
    /// What happened, for its owner.
    pub reason: String,
    /// What the last run ended with.
    pub error: Option<RunError>,
    /// The last run.
    pub run_id: Option<RunId>,
    /// How many rules stand between a person or the clock and the event that led to it.
    pub depth: u8,
    /// The trace that led to it.
    pub traceparent: Option<TraceParent>,
}

/// Disables a rule, with its timers, and tells: a version with the reason, the event
/// `rule.disabled`, and a mail to the owner. Says whether it was enabled, and is what does harm: of
/// several who want it disabled, one does it, and a later version is left alone.
///
/// # Errors
/// When the database cannot be written.
pub async fn disable(tx: &mut Tx, why: &Disabling) -> Result<bool> {
    workspaces::lock(tx, why.workspace_id).await?;
    let before = find(tx.conn(), why.workspace_id, why.rule_id).await?;
    let harmful = |rule: &Rule| rule.spec.enabled && rule.version == why.version;
    let Some(before) = before.filter(harmful) else {
        return Ok(false);
    };
    let mut rule = Rule {
        disabled_reason: Some(why.reason.clone()),
        version: before.version + 1,
        updated_at: tx.now(),
        ..before.clone()
    };
    rule.spec.enabled = false;
    save(tx, &rule).await?;
    let origin = Origin {
        author_id: None,
        note: Some(format!("disabled: {}", why.reason)),
        before: Some(&before.spec),
    };
    versions::insert(tx, &rule, origin)?;
    tx.unschedule_rule(rule.id);
    bump_rule(tx, rule.workspace_id, rule.id).await?;
    tell_rules(tx, &rule, why)?;
    tell_owner(tx, &rule, why).await?;
    tracing::warn!(rule.id = %rule.id, reason = why.reason, "a rule is disabled");
    Ok(true)
}

/// The same for what is derived from one disabling, however often its transaction runs.
fn key(tx: &Tx, rule: &Rule) -> uuid::Uuid {
    let version = rule.version.to_be_bytes();
    derive_id(tx.now(), &[b"rule.disabled", rule.id.as_bytes(), &version])
}

fn tell_rules(tx: &mut Tx, rule: &Rule, why: &Disabling) -> Result<()> {
    let key = key(tx, rule);
    let mut more = Map::new();
    let name = &rule.spec.name;
    more.insert("rule".to_owned(), json!({ "id": rule.id, "name": name }));
    more.insert("reason".to_owned(), json!(why.reason));
    more.insert("error".to_owned(), json!(why.error));
    tx.raise(Event {
        id: EventId(key),
        workspace_id: rule.workspace_id,
        kind: EventType::system("rule.disabled"),
        task_id: None,
        time: tx.now(),
        traceparent: why.traceparent,
        change: ChangeId(key),
        // What listens to it may fail and be disabled itself: the depth ends such a circle.
        depth: why.depth.saturating_add(1),
        actor_id: None,
        rule_id: None,
        data: EventData::System(Box::new(Snapshot {
            more,
            ..Snapshot::default()
        })),
    })
}

async fn tell_owner(tx: &mut Tx, rule: &Rule, why: &Disabling) -> Result<()> {
    let letter = Letter {
        id: NotificationId(key(tx, rule)),
        workspace_id: rule.workspace_id,
        run_id: why.run_id,
        rule_id: rule.id,
        depth: why.depth,
        traceparent: why.traceparent,
        subject: format!("Rule disabled: {}", rule.spec.name),
        text: text(rule, why),
    };
    letter.send(tx, rule.author_id).await
}

fn text(rule: &Rule, why: &Disabling) -> String {
    let mut text = format!(
        "The rule \"{}\" is disabled and starts nothing any more.\n\nWhy: {}.\n",
        rule.spec.name, why.reason
    );
    if let Some(run) = why.run_id {
        text.push_str(&format!("The last run: GET /api/v1/runs/{run}\n"));
    }
    text.push_str(&format!(
        "\nWhen its cause is mended, enable the rule again:\n\
         PATCH /api/v1/rules/{} with {{\"enabled\": true}}\n",
        rule.id
    ));
    text
}
