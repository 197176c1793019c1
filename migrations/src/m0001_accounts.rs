//! Users, their sessions, the keys that sign tokens, workspaces and who belongs to them.

use sea_orm_migration::schema::*;

crate::migration! {
    tables: [
        Table::create()
            .table("users")
            .col(pk_uuid("id"))
            .col(text("name"))
            .col(text("email"))
            .col(text_uniq("email_key"))
            .col(text("password_hash"))
            .col(text("timezone"))
            .col(text("notify_by"))
            .col(big_integer("version"))
            .col(big_integer("created_at"))
            .col(big_integer("updated_at")),
        Table::create()
            .table("sessions")
            .col(pk_uuid("id"))
            .col(uuid("user_id"))
            .col(big_integer("generation"))
            .col(big_integer("created_at"))
            .col(big_integer("rotated_at"))
            .col(big_integer("expires_at"))
            .col(big_integer_null("ended_at")),
        Table::create()
            .table("signing_keys")
            .col(pk_uuid("id"))
            .col(binary("seed"))
            .col(big_integer("created_at")),
        Table::create()
            .table("workspaces")
            .col(pk_uuid("id"))
            .col(text("name"))
            .col(text("timezone"))
            .col(uuid_null("personal_of").unique_key().to_owned())
            .col(big_integer("rules_version"))
            .col(binary("webhook_secret"))
            .col(big_integer("version"))
            .col(big_integer("created_at"))
            .col(big_integer("updated_at")),
        Table::create()
            .table("members")
            .col(uuid("workspace_id"))
            .col(uuid("user_id"))
            .col(text("role"))
            .col(big_integer("created_at"))
            .primary_key(Index::create().col("workspace_id").col("user_id")),
        Table::create()
            .table("idempotency_keys")
            .col(uuid("principal_id"))
            .col(text("key"))
            .col(binary("request_hash"))
            .col(small_integer("status"))
            .col(text_null("location"))
            .col(big_integer_null("version"))
            .col(binary("body"))
            .col(big_integer("created_at"))
            .primary_key(Index::create().col("principal_id").col("key")),
    ],
    indexes: [
        "CREATE INDEX sessions_by_user ON sessions (user_id)",
        "CREATE INDEX sessions_by_expiry ON sessions (expires_at)",
        "CREATE INDEX members_by_user ON members (user_id)",
        "CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at)",
    ],
}
