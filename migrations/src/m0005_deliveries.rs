//! Webhook endpoints, deliveries and every attempt at them.

use sea_orm_migration::schema::*;

crate::migration! {
    tables: [
        Table::create()
            .table("endpoints")
            .col(pk_uuid("id"))
            .col(uuid("workspace_id"))
            .col(text("name"))
            .col(text("url"))
            .col(text("event_types"))
            .col(binary("headers"))
            .col(boolean("enabled"))
            .col(text_null("disabled_reason"))
            .col(binary("secret"))
            .col(binary_null("previous_secret"))
            .col(big_integer_null("previous_secret_until"))
            .col(big_integer("version"))
            .col(big_integer("created_at"))
            .col(big_integer("updated_at")),
        Table::create()
            .table("deliveries")
            .col(pk_uuid("id"))
            .col(uuid("workspace_id"))
            .col(uuid("notification_id"))
            .col(text("channel"))
            .col(text("status"))
            .col(text_null("reason"))
            .col(uuid_null("rule_id"))
            .col(uuid_null("run_id"))
            .col(uuid_null("task_id"))
            .col(uuid_null("endpoint_id"))
            .col(text("recipient"))
            .col(boolean("external"))
            .col(text("content"))
            .col(text_null("traceparent"))
            .col(small_integer("depth"))
            .col(integer("attempts_made"))
            .col(big_integer("created_at"))
            .col(big_integer_null("next_attempt_at"))
            .col(big_integer_null("finished_at")),
        Table::create()
            .table("attempts")
            .col(uuid("delivery_id"))
            .col(integer("number"))
            .col(big_integer("at"))
            .col(integer_null("status_code"))
            .col(big_integer("duration_ms"))
            .col(text_null("error"))
            .col(text_null("response"))
            .primary_key(Index::create().col("delivery_id").col("number")),
    ],
    indexes: [
        "CREATE UNIQUE INDEX endpoints_by_name ON endpoints (workspace_id, name)",
        "CREATE INDEX endpoints_by_age ON endpoints (workspace_id, id)",
        "CREATE INDEX deliveries_by_workspace ON deliveries (workspace_id, id)",
        "CREATE INDEX deliveries_by_status ON deliveries (workspace_id, status, id)",
        "CREATE INDEX deliveries_by_rule ON deliveries (rule_id, id) WHERE rule_id IS NOT NULL",
        "CREATE INDEX deliveries_by_run ON deliveries (run_id, id) WHERE run_id IS NOT NULL",
        "CREATE INDEX deliveries_by_task ON deliveries (task_id, id) WHERE task_id IS NOT NULL",
        "CREATE INDEX deliveries_by_endpoint ON deliveries (endpoint_id, id) WHERE endpoint_id IS NOT NULL",
        "CREATE INDEX deliveries_external ON deliveries (workspace_id, created_at) WHERE external",
        "CREATE INDEX deliveries_by_end ON deliveries (finished_at)",
    ],
}
