//! Runs that wait: what they have done so far, for which events they wait, and what they have asked
//! people.

use sea_orm_migration::schema::*;

crate::migration! {
    tables: [
        Table::create()
            .table("run_segments")
            .col(uuid("run_id"))
            .col(integer("number"))
            .col(uuid("workspace_id"))
            .col(text("body"))
            .col(big_integer("ended_at"))
            .primary_key(Index::create().col("run_id").col("number")),
        Table::create()
            .table("run_waits")
            .col(pk_uuid("run_id"))
            .col(integer("number"))
            .col(uuid("workspace_id"))
            .col(uuid_null("task_id"))
            .col(text("pattern"))
            .col(boolean("looked"))
            .col(uuid_null("event_id"))
            .col(text("body")),
        Table::create()
            .table("approvals")
            .col(pk_uuid("id"))
            .col(uuid("workspace_id"))
            .col(uuid("run_id"))
            .col(integer("wait"))
            .col(uuid("rule_id"))
            .col(text("rule_name"))
            .col(uuid_null("task_id"))
            .col(text_null("task_title"))
            .col(uuid("user_id"))
            .col(text("question"))
            .col(big_integer("created_at"))
            .col(big_integer("expires_at"))
            .col(text("status"))
            .col(uuid_null("answered_by"))
            .col(big_integer_null("answered_at")),
    ],
    indexes: [
        "CREATE INDEX run_waits_by_pattern ON run_waits (workspace_id, pattern, task_id, run_id)",
        "CREATE INDEX approvals_by_workspace ON approvals (workspace_id, id)",
        "CREATE INDEX approvals_by_user ON approvals (workspace_id, user_id, id)",
        "CREATE INDEX approvals_by_run ON approvals (run_id)",
    ],
}
