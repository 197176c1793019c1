//! What sweeps know: which tasks match which rules, and how far a sweep has come; and what rules
//! keep.

use sea_orm_migration::schema::*;

crate::migration! {
    tables: [
        Table::create()
            .table("matches")
            .col(uuid("rule_id"))
            .col(uuid("task_id"))
            .col(uuid("workspace_id"))
            .col(big_integer("since_at"))
            .col(big_integer_null("fired_at"))
            .col(boolean("noted"))
            .col(big_integer_null("next_at"))
            .primary_key(Index::create().col("rule_id").col("task_id")),
        Table::create()
            .table("sweep_ranges")
            .col(text("key").primary_key().to_owned())
            .col(uuid("sweep_id"))
            .col(uuid("workspace_id"))
            .col(text("purpose"))
            .col(text("rules"))
            .col(big_integer("created_at"))
            .col(big_integer_null("given_up_at")),
        Table::create()
            .table("sweep_marks")
            .col(pk_uuid("rule_id"))
            .col(uuid("workspace_id"))
            .col(big_integer("rule_version"))
            .col(big_integer("at"))
            .col(uuid_null("spoiled_by")),
        Table::create()
            .table("rule_state")
            .col(pk_uuid("rule_id"))
            .col(uuid("workspace_id"))
            .col(text("body"))
            .col(big_integer("version"))
            .col(big_integer("updated_at")),
    ],
    indexes: [
        "CREATE INDEX matches_by_task ON matches (task_id)",
        "CREATE INDEX matches_due ON matches (rule_id, next_at, task_id) WHERE next_at IS NOT NULL",
        "CREATE INDEX sweep_ranges_by_workspace ON sweep_ranges (workspace_id)",
        "CREATE INDEX sweep_ranges_given_up ON sweep_ranges (given_up_at)",
    ],
}
