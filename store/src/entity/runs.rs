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
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
