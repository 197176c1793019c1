//! A run that waits for an event.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "run_waits")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub run_id: Uuid,
    pub number: i32,
    pub workspace_id: Uuid,
    pub task_id: Option<Uuid>,
    pub pattern: String,
    pub looked: bool,
    /// The first event that has come.
    pub event_id: Option<Uuid>,
    pub body: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
