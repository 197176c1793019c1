//! One notification to one recipient over one channel.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "deliveries")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub workspace_id: Uuid,
    pub notification_id: Uuid,
    pub channel: String,
    pub status: String,
    pub reason: Option<String>,
    pub rule_id: Option<Uuid>,
    pub run_id: Option<Uuid>,
    pub task_id: Option<Uuid>,
    pub endpoint_id: Option<Uuid>,
    pub recipient: String,
    pub external: bool,
    pub content: String,
    pub traceparent: Option<String>,
    pub depth: i16,
    pub attempts_made: i32,
    pub created_at: i64,
    pub next_attempt_at: Option<i64>,
    pub finished_at: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl Related<super::attempts::Entity> for Entity {
    fn to() -> RelationDef {
        super::attempts::Relation::Delivery.def().rev()
    }
}

impl ActiveModelBehavior for ActiveModel {}
