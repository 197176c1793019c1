//! Events as recorded facts, messages due now (outbox), messages due later (timers), and
//! messages that could not be taken (dead letters).

use sea_orm_migration::schema::*;

crate::migration! {
    tables: [
        Table::create()
            .table("events")
            .col(pk_uuid("id"))
            .col(uuid("workspace_id"))
            .col(text("kind"))
            .col(uuid_null("task_id"))
            .col(text("body"))
            .col(big_integer("at")),
        Table::create()
            .table("outbox")
            .col(big_pk_auto("id"))
            .col(text("queue"))
            .col(text("routing_key"))
            .col(text("body"))
            .col(integer("failures"))
            .col(big_integer("created_at"))
            .col(big_integer("leased_until")),
        Table::create()
            .table("timers")
            .col(text("key").primary_key().to_owned())
            .col(big_integer("fire_at"))
            .col(text("kind"))
            .col(uuid_null("workspace_id"))
            .col(uuid_null("task_id"))
            .col(uuid_null("rule_id"))
            .col(uuid_null("owner"))
            .col(text("body")),
        Table::create()
            .table("instances")
            .col(pk_uuid("id"))
            .col(big_integer("beats")),
        Table::create()
            .table("dead_letters")
            .col(pk_uuid("id"))
            .col(text("queue"))
            .col(text("routing_key"))
            .col(text("body"))
            .col(text("reason"))
            .col(integer("failures"))
            .col(big_integer("created_at"))
            .col(big_integer("died_at")),
    ],
    indexes: [
        "CREATE INDEX events_by_workspace ON events (workspace_id, id)",
        "CREATE INDEX events_by_kind ON events (workspace_id, kind, id)",
        "CREATE INDEX events_by_kind_and_instant ON events (workspace_id, kind, at)",
        "CREATE INDEX events_by_task ON events (task_id, id)",
        "CREATE INDEX events_by_age ON events (at)",
        "CREATE INDEX outbox_by_lease ON outbox (leased_until) WHERE leased_until > 0",
        "CREATE INDEX timers_by_instant ON timers (fire_at)",
        "CREATE INDEX timers_by_task ON timers (task_id) WHERE task_id IS NOT NULL",
        "CREATE INDEX timers_by_rule ON timers (rule_id) WHERE rule_id IS NOT NULL",
        "CREATE INDEX timers_by_owner ON timers (owner) WHERE owner IS NOT NULL",
        "CREATE INDEX dead_letters_by_age ON dead_letters (died_at)",
    ],
    postgres: [
        // Each number stands for a block of a thousand ids of messages.
        "CREATE SEQUENCE outbox_ids",
    ],
}
