//! Rules: triggers and a script.

use crate::{EventPattern, Span, TimeZone};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// What starts a run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(try_from = "AnyTrigger", into = "AnyTrigger")]
pub enum Trigger {
    /// An event of this type or pattern.
    Event(EventPattern),
    /// A standard five-field cron expression or nickname.
    Cron {
        /// The expression, as written.
        cron: String,
        /// Its zone; the workspace's when absent.
        timezone: Option<TimeZone>,
        /// What each occurrence evaluates.
        for_each: ForEach,
    },
    /// An offset from each task's deadline: negative before, positive after.
    Due(Span),
}

impl Trigger {
    /// Whether its occurrences look at tasks.
    pub fn is_sweep(&self) -> bool {
        let each = ForEach::Task;
        matches!(self, Self::Cron { for_each, .. } if *for_each == each)
    }
}

/// What a cron occurrence evaluates.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForEach {
    /// Each task that may match: a state sweep.
    #[default]
    Task,
    /// One run, without a task.
    Once,
}

/// Not a trigger.
#[derive(Debug, thiserror::Error)]
pub enum TriggerError {
    /// None or several of the three kinds.
    #[error("expected exactly one of event, cron and due")]
    Kind,
    /// A field of another kind.
    #[error("{0} belongs to a cron trigger only")]
    Field(&'static str),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AnyTrigger {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    event: Option<EventPattern>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cron: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timezone: Option<TimeZone>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    for_each: Option<ForEach>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due: Option<Span>,
}

impl TryFrom<AnyTrigger> for Trigger {
    type Error = TriggerError;
    fn try_from(any: AnyTrigger) -> Result<Self, Self::Error> {
        if any.cron.is_none() {
            if any.timezone.is_some() {
                return Err(TriggerError::Field("timezone"));
            }
            if any.for_each.is_some() {
                return Err(TriggerError::Field("for_each"));
            }
        }
        match (any.event, any.cron, any.due) {
            (Some(pattern), None, None) => Ok(Self::Event(pattern)),
            (None, Some(cron), None) => Ok(Self::Cron {
                cron,
                timezone: any.timezone,
                for_each: any.for_each.unwrap_or_default(),
            }),
            (None, None, Some(offset)) => Ok(Self::Due(offset)),
            _ => Err(TriggerError::Kind),
        }
    }
}

impl From<Trigger> for AnyTrigger {
    fn from(trigger: Trigger) -> Self {
        let mut any = Self {
            event: None,
            cron: None,
            timezone: None,
            for_each: None,
            due: None,
        };
        match trigger {
            Trigger::Event(pattern) => any.event = Some(pattern),
            Trigger::Cron {
                cron,
                timezone,
                for_each,
            } => {
                any.cron = Some(cron);
                any.timezone = timezone;
                any.for_each = Some(for_each);
            }
            Trigger::Due(offset) => any.due = Some(offset),
        }
        any
    }
}

/// For state sweeps: how often a task that keeps matching fires.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Repeat {
    /// When it starts to match; armed again when it stops.
    #[default]
    Once,
    /// At every occurrence.
    Always,
    /// At most once in this length of time.
    Every(Span),
}

impl fmt::Display for Repeat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Once => f.write_str("once"),
            Self::Always => f.write_str("always"),
            Self::Every(span) => span.fmt(f),
        }
    }
}

impl Serialize for Repeat {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Repeat {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        match text.as_ref() {
            "once" => Ok(Self::Once),
            "always" => Ok(Self::Always),
            length => match length.parse::<Span>() {
                Ok(span) if span > Span::ZERO => Ok(Self::Every(span)),
                _ => Err(de::Error::custom(
                    "expected once, always or a duration such as 24h",
                )),
            },
        }
    }
}

/// What a new trigger does while a run of the same rule and task is suspended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// Nothing.
    #[default]
    Skip,
    /// Ends the suspended run and starts anew.
    Restart,
    /// Starts another beside it.
    Parallel,
}

/// What becomes of cron occurrences that were missed while the system was down.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Misfire {
    /// The last one is made up for.
    #[default]
    Last,
    /// None is.
    Skip,
    /// All of the last 24 hours are, at most 100.
    All,
}

/// A rule as its author writes it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RuleSpec {
    /// Unique in the workspace.
    pub name: String,
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// A disabled rule starts nothing.
    #[serde(default = "enabled")]
    pub enabled: bool,
    /// At least one.
    pub triggers: Vec<Trigger>,
    /// Rhai source.
    pub script: String,
    /// For state sweeps.
    #[serde(default)]
    pub repeat: Repeat,
    /// For state sweeps: how long a match must hold before it fires.
    #[serde(default)]
    pub hold: Option<Span>,
    /// While a run is suspended.
    #[serde(default)]
    pub overlap: Overlap,
    /// After an outage.
    #[serde(default)]
    pub misfire: Misfire,
}

fn enabled() -> bool {
    true
}

/// Where a run stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Being evaluated.
    Running,
    /// Waiting.
    Suspended,
    /// It cannot go on for a reason outside of its script, and has been tried often enough.
    Paused,
    /// Ended well.
    Succeeded,
    /// Ended by an error.
    Failed,
    /// Ended by hand.
    Cancelled,
    /// Its replay asked for something else than its journal holds.
    Diverged,
}
