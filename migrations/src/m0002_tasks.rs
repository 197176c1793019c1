//! Tasks, what is said about them, and what was done to them.

use sea_orm_migration::schema::*;

crate::migration! {
    tables: [
        Table::create()
            .table("tasks")
            .col(pk_uuid("id"))
            .col(uuid("workspace_id"))
            .col(text_null("project"))
            .col(text("title"))
            .col(text("description"))
            .col(text("search"))
            .col(text("status"))
            .col(small_integer("priority"))
            .col(uuid("creator_id"))
            .col(uuid_null("assignee_id"))
            .col(json_binary("tags"))
            .col(big_integer_null("due_at"))
            .col(json_binary("fields"))
            .col(uuid_null("parent_id"))
            .col(big_integer("version"))
            .col(big_integer("created_at"))
            .col(big_integer("updated_at"))
            .col(big_integer("status_changed_at"))
            .col(big_integer_null("completed_at")),
        Table::create()
            .table("comments")
            .col(pk_uuid("id"))
            .col(uuid("workspace_id"))
            .col(uuid("task_id"))
            .col(uuid_null("author_id"))
            .col(uuid_null("rule_id"))
            .col(text("text"))
            .col(big_integer("created_at")),
        Table::create()
            .table("activity")
            .col(pk_uuid("id"))
            .col(uuid("workspace_id"))
            .col(uuid("task_id"))
            .col(text("kind"))
            .col(text("changes"))
            .col(uuid_null("actor_id"))
            .col(uuid_null("rule_id"))
            .col(big_integer("at")),
    ],
    indexes: [
        "CREATE INDEX tasks_by_age ON tasks (workspace_id, id)",
        "CREATE INDEX tasks_by_creation ON tasks (workspace_id, created_at, id)",
        "CREATE INDEX tasks_by_update ON tasks (workspace_id, updated_at, id)",
        "CREATE INDEX tasks_by_deadline ON tasks (workspace_id, due_at, id) WHERE due_at IS NOT NULL",
        "CREATE INDEX tasks_open_by_deadline ON tasks (workspace_id, due_at, id)
            WHERE due_at IS NOT NULL AND status IN ('todo', 'in_progress', 'blocked')",
        "CREATE INDEX tasks_by_status ON tasks (workspace_id, status, id)",
        "CREATE INDEX tasks_by_time_in_status ON tasks (workspace_id, status, status_changed_at, id)",
        "CREATE INDEX tasks_open_by_priority ON tasks (workspace_id, priority, id)
            WHERE status IN ('todo', 'in_progress', 'blocked')",
        "CREATE INDEX tasks_by_assignee ON tasks (workspace_id, assignee_id, id)",
        "CREATE INDEX tasks_by_project ON tasks (workspace_id, project, id)",
        "CREATE INDEX comments_by_task ON comments (task_id, id)",
        "CREATE INDEX activity_by_task ON activity (task_id, id)",
    ],
}
