//! One evaluation that acted or failed.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "runs")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub workspace_id: Uuid,
    pub rule_id: Uuid,
    pub rule_version: i64,
    pub task_id: Option<Uuid>,
    pub event_id: Uuid,
    pub status: String,
    pub trigger: String,
    pub actions: String,
    pub log: String,
    pub error: Option<String>,
    pub traceparent: Option<String>,
    pub started_at: i64,
    pub finished_at: Option<i64>,
    pub duration_us: i64,
    pub resumes_at: Option<i64>,
    /// The run of which this is another try.
    pub retry_of: Option<Uuid>,
    /// What it began with, of one that may go on or be tried again.
    pub start: Option<String>,
    /// How many waits it has begun.
    pub waits: i32,
    /// What it waits for.
    pub waiting: Option<String>,
    /// Of a paused one: what it was to go on with.
    pub wake: Option<String>,
    /// While it is unfinished and others of its rule and task must not run beside it: those two.
    pub exclusive: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
