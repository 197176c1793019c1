//! Much data in little time: rows made by the database itself, in statements of many rows, where a
//! request for each would take hours.

use crate::Failure;
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr, QueryResult,
    Statement,
};
use smarttasks_model::{Timestamp, UserId, WorkspaceId};
use std::ops::Range;
use std::time::Duration;
use uuid::Uuid;

/// Rows of a statement: as many as SQLite's log may grow by.
const TOGETHER: u64 = 100_000;
const DAY_MS: i64 = 86_400_000;
/// Ten million tasks take minutes.
const PATIENCE: Duration = Duration::from_secs(600);

/// A connection of one's own to the product's database.
pub struct Bulk(DatabaseConnection);

/// Tasks of one workspace: seven of ten are open, one of these without a deadline; the others'
/// deadlines are spread over half a year, from tomorrow on.
pub struct Tasks {
    /// Whose they are.
    pub workspace: WorkspaceId,
    /// Who made them, and is to do them.
    pub owner: UserId,
    /// How many there are; tens of [`Tasks::overdue`].
    pub count: u64,
    /// How many of them are open and have been overdue for less than a minute.
    pub overdue: u64,
    /// When.
    pub now: Timestamp,
}

impl Bulk {
    /// Connects to a database by its URL.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn open(url: &str) -> Result<Self, Failure> {
        let mut options = ConnectOptions::new(url.to_owned());
        options
            .max_connections(1)
            .acquire_timeout(PATIENCE)
            .sqlx_logging(false);
        Ok(Self(Database::connect(options).await?))
    }

    /// Makes tasks.
    ///
    /// # Errors
    /// The database refuses them.
    pub async fn make_tasks(&self, tasks: &Tasks) -> Result<(), Failure> {
        let mut begin = 0;
        while begin < tasks.count {
            let end = tasks.count.min(begin + TOGETHER);
            self.run(&self.tasks_sql(tasks, begin..end)).await?;
            begin = end;
        }
        self.tidy("tasks").await
    }

    /// Makes workspaces, each with so many rules like the one that is called `template`, and returns
    /// their ids. Where its script says `proj-0` theirs say `proj-1` and so on, each another, in the
    /// order of the ids.
    ///
    /// # Errors
    /// The database refuses them.
    pub async fn make_rules(
        &self,
        workspaces: u64,
        each: u64,
        now: Timestamp,
    ) -> Result<Vec<WorkspaceId>, Failure> {
        let made = now.unix_millis();
        let series = self.series(0..workspaces);
        let id = self.id_of("n", made);
        self.run(&format!(
            "{series}
            INSERT INTO workspaces (id, name, timezone, personal_of, rules_version, webhook_secret,
                version, created_at, updated_at)
            SELECT {id}, 'Workspace ' || n, w.timezone, NULL, 1, w.webhook_secret, 1, {made}, {made}
            FROM n, (SELECT * FROM workspaces LIMIT 1) AS w"
        ))
        .await?;
        let mut begin = 0;
        while begin < workspaces * each {
            let end = (workspaces * each).min(begin + TOGETHER);
            for sql in self.rules_sql(begin..end, each, made) {
                self.run(&sql).await?;
            }
            begin = end;
        }
        self.tidy("rules").await?;
        let ids = format!("SELECT id FROM workspaces WHERE created_at = {made} ORDER BY id");
        let rows = self.rows(&ids).await?;
        let ids = rows
            .iter()
            .map(|row| Ok(WorkspaceId(row.try_get_by_index(0)?)));
        Ok(ids.collect::<Result<_, DbErr>>()?)
    }

    /// The rows of a query.
    ///
    /// # Errors
    /// It is none.
    pub async fn rows(&self, sql: &str) -> Result<Vec<QueryResult>, DbErr> {
        let statement = Statement::from_string(self.0.get_database_backend(), sql);
        self.0.query_all_raw(statement).await
    }

    /// The number that a query returns.
    ///
    /// # Errors
    /// It returns none.
    pub async fn number(&self, sql: &str) -> Result<i64, DbErr> {
        let rows = self.rows(sql).await?;
        let row = rows.first().ok_or(DbErr::RecordNotFound(sql.to_owned()))?;
        row.try_get_by_index(0)
    }

    /// Runs a statement.
    ///
    /// # Errors
    /// The database refuses it.
    pub async fn run(&self, sql: &str) -> Result<(), Failure> {
        self.0.execute_unprepared(sql).await?;
        Ok(())
    }

    /// What a server does by itself some time after so many rows have come.
    async fn tidy(&self, table: &str) -> Result<(), Failure> {
        match self.is_server() {
            true => self.run(&format!("VACUUM ANALYZE {table}")).await,
            false => Ok(()),
        }
    }

    fn is_server(&self) -> bool {
        self.0.get_database_backend() == DbBackend::Postgres
    }

    fn tasks_sql(&self, tasks: &Tasks, numbers: Range<u64>) -> String {
        let now = tasks.now.unix_millis();
        let step = tasks.count / tasks.overdue.max(1);
        let (series, json) = (self.series(numbers), self.json());
        let workspace = self.id(tasks.workspace.0);
        let owner = self.id(tasks.owner.0);
        let id = self.id_of("n", now);
        let made = format!("{now} - (2 + n % 180) * {DAY_MS}");
        format!(
            "{series}
            INSERT INTO tasks (id, workspace_id, project, title, description, search, status, priority,
                creator_id, assignee_id, tags, due_at, fields, parent_id, version, created_at,
                updated_at, status_changed_at, completed_at)
            SELECT {id}, {workspace}, 'project-' || (n % 100), 'Task ' || n,
                'Renew the certificate of the shop.', 'task ' || n || ' renew the certificate of the shop.',
                CASE WHEN n % 10 = 7 THEN 'cancelled' WHEN n % 10 > 7 THEN 'done'
                    WHEN n % 3 = 0 THEN 'todo' WHEN n % 3 = 1 THEN 'in_progress' ELSE 'blocked' END,
                n % 4, {owner}, {owner}, {json}'[\"shop\"]',
                CASE WHEN n % {step} = 0 THEN {now} - 1000 * (1 + n / {step} % 50)
                    WHEN n % 10 = 3 THEN NULL
                    ELSE {now} + {DAY_MS} + n * 7919 % 10000000 * 1555 END,
                {json}'{{}}', NULL, 1, {made}, {made} + {DAY_MS}, {made},
                CASE WHEN n % 10 >= 7 THEN {made} + {DAY_MS} END
            FROM n"
        )
    }

    fn rules_sql(&self, numbers: Range<u64>, each: u64, made: i64) -> [String; 2] {
        let series = self.series(numbers);
        let (id, workspace) = (
            self.id_of("n", made),
            self.id_of(&format!("n / {each}"), made),
        );
        let spec = "replace(t.spec, 'proj-0', 'proj-' || (n + 1))";
        let rules = format!(
            "{series}
            INSERT INTO rules (id, workspace_id, name, enabled, disabled_reason, spec, due_offsets,
                version, author_id, created_at, updated_at)
            SELECT {id}, {workspace}, 'rule ' || n, t.enabled, NULL, {spec}, NULL, 1, t.author_id,
                {made}, {made}
            FROM n, (SELECT * FROM rules WHERE name = 'template') AS t"
        );
        let versions = format!(
            "{series}
            INSERT INTO rule_versions (rule_id, version, workspace_id, spec, changes, note, author_id,
                created_at, quarantined_at)
            SELECT {id}, 1, {workspace}, {spec}, t.changes, NULL, t.author_id, {made}, NULL
            FROM n, (SELECT * FROM rule_versions WHERE rule_id
                IN (SELECT id FROM rules WHERE name = 'template')) AS t"
        );
        [rules, versions]
    }

    /// A table `n` of numbers.
    fn series(&self, Range { start, end }: Range<u64>) -> String {
        match self.is_server() {
            true => format!("WITH n AS (SELECT generate_series({start}::bigint, {end} - 1) AS n)"),
            false => format!(
                "WITH RECURSIVE n(n) AS (SELECT {start} UNION ALL SELECT n + 1 FROM n WHERE n + 1 < {end})"
            ),
        }
    }

    /// An id, as it is written in SQL.
    pub fn id(&self, id: Uuid) -> String {
        match self.is_server() {
            true => format!("'{id}'::uuid"),
            false => format!("x'{}'", id.simple()),
        }
    }

    /// An id made at an instant, another for each number.
    fn id_of(&self, number: &str, now: i64) -> String {
        let begin = format!("{now:012x}70008");
        match self.is_server() {
            true => format!("('{begin}' || lpad(to_hex({number}), 15, '0'))::uuid"),
            false => format!("unhex('{begin}' || printf('%015x', {number}))"),
        }
    }

    /// What stands before JSON.
    fn json(&self) -> &'static str {
        match self.is_server() {
            true => "jsonb ",
            false => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use smarttasks_tests::harness::{Client, TestApp};

    async fn stopped() -> (TestApp, Client, Bulk) {
        let mut app = TestApp::start().await;
        let ann = app.register("ann").await;
        let script = "if task.project == \"proj-0\" { task.tag(\"found\"); }";
        ann.create_rule("template", "task.created", script).await;
        app.settle().await;
        app.stop().await;
        let url = app.database_url().replace("?mode=ro", "?mode=rw");
        let bulk = Bulk::open(&url).await.unwrap();
        (app, ann, bulk)
    }

    #[tokio::test]
    async fn the_product_reads_tasks_made_in_bulk() {
        let (mut app, ann, bulk) = stopped().await;
        let workspaces = bulk.rows("SELECT id FROM workspaces").await.unwrap();
        let tasks = Tasks {
            workspace: WorkspaceId(workspaces[0].try_get_by_index(0).unwrap()),
            owner: UserId(ann.id().parse().unwrap()),
            count: 40,
            overdue: 2,
            now: app.clock.now(),
        };
        bulk.make_tasks(&tasks).await.unwrap();
        app.restart().await;
        let ann = app.log_in("ann@example.com").await;
        let found = ann.list("/api/v1/tasks?limit=100").await;
        let open = |task: &&Value| task["completed_at"].is_null();
        let overdue = |task: &&Value| {
            let due: Option<Timestamp> = serde_json::from_value(task["due_at"].clone()).unwrap();
            due.is_some_and(|due| due < tasks.now)
        };
        assert_eq!(found.len(), 40);
        assert_eq!(found.iter().filter(open).count(), 28);
        assert_eq!(found.iter().filter(open).filter(overdue).count(), 2);
        assert_eq!(found.iter().filter(overdue).count(), 2);
    }

    #[tokio::test]
    async fn rules_made_in_bulk_are_like_their_template() {
        let (app, _, bulk) = stopped().await;
        let made = bulk.make_rules(3, 2, app.clock.now()).await.unwrap();
        let of_last = format!(
            "SELECT spec FROM rules WHERE workspace_id = {} ORDER BY id",
            bulk.id(made[2].0)
        );
        let rows = bulk.rows(&of_last).await.unwrap();
        let specs = rows.iter().map(|row| row.try_get_by_index(0).unwrap());
        let specs: Vec<String> = specs.collect();
        assert_eq!(specs.len(), 2);
        assert!(specs[0].contains("proj-5") && specs[1].contains("proj-6"));
    }
}
