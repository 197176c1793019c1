//! A question to a person, for whose answer a run waits.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "approvals")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub workspace_id: Uuid,
    pub run_id: Uuid,
    pub wait: i32,
    pub rule_id: Uuid,
    pub rule_name: String,
    pub task_id: Option<Uuid>,
    pub task_title: Option<String>,
    pub user_id: Uuid,
    pub question: String,
    pub created_at: i64,
    pub expires_at: i64,
    pub status: String,
    pub answered_by: Option<Uuid>,
    pub answered_at: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
