//! A work item.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "tasks")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub workspace_id: Uuid,
    pub project: Option<String>,
    pub title: String,
    pub description: String,
    /// Title and description without case, for searching.
    pub search: String,
    pub status: String,
    pub priority: i16,
    pub creator_id: Uuid,
    pub assignee_id: Option<Uuid>,
    #[sea_orm(column_type = "JsonBinary")]
    pub tags: Json,
    pub due_at: Option<i64>,
    #[sea_orm(column_type = "JsonBinary")]
    pub fields: Json,
    pub parent_id: Option<Uuid>,
    pub version: i64,
    pub created_at: i64,
    pub updated_at: i64,
    pub status_changed_at: i64,
    pub completed_at: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
