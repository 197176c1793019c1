//! Rules, their history and their runs.

use sea_orm_migration::schema::*;

crate::migration! {
    tables: [
        Table::create()
            .table("rules")
            .col(pk_uuid("id"))
            .col(uuid("workspace_id"))
            .col(text("name"))
            .col(boolean("enabled"))
            .col(text_null("disabled_reason"))
            .col(text("spec"))
            .col(text_null("due_offsets"))
            .col(big_integer("version"))
            .col(uuid("author_id"))
            .col(big_integer("created_at"))
            .col(big_integer("updated_at")),
        Table::create()
            .table("rule_versions")
            .col(uuid("rule_id"))
            .col(big_integer("version"))
            .col(uuid("workspace_id"))
            .col(text("spec"))
            .col(text("changes"))
            .col(text_null("note"))
            .col(uuid_null("author_id"))
            .col(big_integer("created_at"))
            .col(big_integer_null("quarantined_at"))
            .primary_key(Index::create().col("rule_id").col("version")),
        Table::create()
            .table("rule_changes")
            .col(uuid("workspace_id"))
            .col(big_integer("version"))
            .col(uuid_null("rule_id"))
            .primary_key(Index::create().col("workspace_id").col("version")),
        Table::create()
            .table("rule_stats")
            .col(pk_uuid("rule_id"))
            .col(big_integer("matches"))
            .col(big_integer("failures"))
            .col(big_integer("failures_in_row"))
            .col(big_integer("version"))
            .col(big_integer_null("last_run_at")),
        Table::create()
            .table("runs")
            .col(pk_uuid("id"))
            .col(uuid("workspace_id"))
            .col(uuid("rule_id"))
            .col(big_integer("rule_version"))
            .col(uuid_null("task_id"))
            .col(uuid("event_id"))
            .col(text("status"))
            .col(text("trigger"))
            .col(text("actions"))
            .col(text("log"))
            .col(text_null("error"))
            .col(text_null("traceparent"))
            .col(big_integer("started_at"))
            .col(big_integer_null("finished_at"))
            .col(big_integer("duration_us"))
            .col(big_integer_null("resumes_at"))
            .col(uuid_null("retry_of"))
            .col(text_null("start"))
            .col(integer("waits"))
            .col(text_null("waiting"))
            .col(text_null("wake"))
            .col(text_null("exclusive")),
        Table::create()
            .table("evaluations")
            .col(uuid("run_id"))
            .col(uuid("event_id"))
            .col(uuid("rule_id"))
            .col(integer("starts"))
            .col(uuid("process"))
            .col(big_integer("started_at"))
            .primary_key(Index::create().col("run_id").col("event_id")),
    ],
    indexes: [
        "CREATE UNIQUE INDEX rules_by_name ON rules (workspace_id, name)",
        "CREATE INDEX rules_by_age ON rules (workspace_id, id)",
        "CREATE INDEX rules_with_deadlines ON rules (workspace_id) WHERE due_offsets IS NOT NULL",
        "CREATE INDEX rule_versions_in_quarantine ON rule_versions (workspace_id) WHERE quarantined_at IS NOT NULL",
        "CREATE INDEX runs_by_workspace ON runs (workspace_id, id)",
        "CREATE INDEX runs_by_rule ON runs (rule_id, id)",
        "CREATE INDEX runs_by_task ON runs (task_id, id)",
        "CREATE INDEX runs_by_status ON runs (workspace_id, status, id)",
        "CREATE INDEX runs_by_end ON runs (status, finished_at)",
        "CREATE UNIQUE INDEX runs_exclusive ON runs (exclusive) WHERE exclusive IS NOT NULL",
        "CREATE INDEX runs_unfinished ON runs (rule_id, task_id) WHERE finished_at IS NULL",
        "CREATE INDEX evaluations_by_event ON evaluations (event_id)",
        "CREATE INDEX evaluations_by_rule ON evaluations (rule_id)",
        "CREATE INDEX evaluations_by_age ON evaluations (started_at)",
    ],
}
