//! A rule as it was; `changes` is a JSON list of the fields that differ from the version before, and
//! a version without an author is the system's. One in quarantine is not evaluated.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "rule_versions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub rule_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub version: i64,
    pub workspace_id: Uuid,
    pub spec: String,
    pub changes: String,
    pub note: Option<String>,
    pub author_id: Option<Uuid>,
    pub created_at: i64,
    pub quarantined_at: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
