//! The roles, wired together: what the configuration says becomes a running service.

use crate::Error;
use crate::config::{Config, DatabaseUrl, RateLimit, Registration, Role};
use crate::data_dir::DataDir;
use crate::health::Health;
use axum::Router;
use smarttasks_api::limit::Quotas;
use smarttasks_api::request::{TIME_LIMIT, observed};
use smarttasks_api::{App, RedisSettings, Sharing};
use smarttasks_bus::{Bus, consume};
use smarttasks_engine::{Engine, Runner, Sweeper};
use smarttasks_model::Clock;
use smarttasks_notifier::Notifier;
use smarttasks_notifier::client::{ClientSettings, HttpClient};
use smarttasks_notifier::email::{MailFrom, MailSettings, Mailer};
use smarttasks_rules::{Language, Limits, Pool};
use smarttasks_scheduler::{MailFiles, Scheduler};
use smarttasks_store::retention::Retention;
use smarttasks_store::{Db, Location, Vault, timers};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// What `/metrics` answers.
pub type RenderMetrics = Arc<dyn Fn() -> String + Send + Sync>;

/// How long one mail may take, connecting included.
const MAIL_TIMEOUT: Duration = Duration::from_secs(60);
/// How long what is under way may go on once the service is told to stop.
const DRAIN: Duration = Duration::from_secs(20);
/// How often the pending messages of all processes are counted.
const COUNTED: Duration = Duration::from_secs(1);
/// Ranges of sweeps that a process looks at beside each other.
const SWEEPERS: usize = 2;
/// Batches of runs that a process lets go on beside each other: one is read and evaluated while another
/// is written.
const RUNNERS: usize = 2;
/// Connections for reading a file.
const READERS: u32 = 4;

/// The roles of this process.
pub struct Service {
    db: Db,
    bus: Bus,
    scheduler: Option<Scheduler>,
    app: Option<App>,
    health: Health,
    stages: Stages,
}

/// What runs, in the order in which it is told to stop: those that take work, those that finish
/// it, and those that publish what came of it.
#[derive(Default)]
struct Stages {
    takers: Stage,
    finishers: Stage,
    relays: Stage,
}

/// Tasks that are told to stop together.
#[derive(Default)]
struct Stage {
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Stage {
    fn spawn<F>(&mut self, task: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tasks.spawn(task(self.stop.clone()));
    }

    async fn end(&mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Opens the database of this configuration.
///
/// # Errors
/// It cannot be opened or brought up to date.
pub async fn open(config: &Config, data: &DataDir, clock: Clock) -> Result<Db, Error> {
    let key = data.secret_key(config.instance.secret_key.as_ref())?;
    let db = Db::open(&store_settings(config), clock, Vault::new(*key.expose())).await;
    db.map_err(|error| Error::start("open the database", &error))
}

/// Opens it only to look, beside a service that uses it; what is sealed in it stays so.
///
/// # Errors
/// It cannot be opened.
pub async fn look(config: &Config) -> Result<Db, Error> {
    let vault = Vault::new([0; 32]);
    let db = Db::look(&store_settings(config), Clock::system(), vault).await;
    db.map_err(|error| Error::start("open the database", &error))
}

fn store_settings(config: &Config) -> smarttasks_store::Settings {
    smarttasks_store::Settings {
        location: match &config.instance.database_url {
            DatabaseUrl::File(path) => Location::File {
                path: path.clone(),
                readers: READERS,
            },
            DatabaseUrl::Server(url) => Location::Server {
                url: url.expose().to_owned(),
                connections: config.database.connections.get(),
            },
        },
        max_pending: i64::try_from(config.bus.max_pending.get()).unwrap_or(i64::MAX),
    }
}

/// The bus of this configuration, over `db`.
///
/// # Errors
/// The broker's address is none.
pub fn open_bus(config: &Config, db: &Db) -> Result<Bus, Error> {
    let Some(url) = &config.instance.amqp_url else {
        return Ok(Bus::in_process(db.clone()));
    };
    let settings = smarttasks_bus::Settings {
        url: url.expose().to_owned(),
        prefix: config.bus.prefix.as_str().to_owned(),
    };
    Bus::rabbitmq(db.clone(), &settings).map_err(|error| Error::start("use the broker", &error))
}

impl Service {
    /// Starts every role of this process but the listener.
    ///
    /// # Errors
    /// Something that it needs cannot be set up.
    pub async fn start(
        config: &Config,
        data: &DataDir,
        clock: Clock,
        render_metrics: RenderMetrics,
    ) -> Result<Self, Error> {
        let db = open(config, data, clock).await?;
        if db.is_embedded() {
            // This process alone uses the database: whoever had taken up deliveries is gone.
            db.write(|tx| Box::pin(timers::recover_deliveries(tx)))
                .await
                .map_err(|error| Error::start("take up unfinished deliveries", &error))?;
        }
        let pool = Pool::new(Language::new(limits(config)), config.rules.workers.get())
            .map_err(|error| Error::start("start the threads that evaluate rules", &error))?;
        let bus = open_bus(config, &db)?;
        let roles = &config.instance.roles;
        let app = if roles.has(Role::Api) {
            let app = App::new(db.clone(), pool.clone(), api_settings(config)).await;
            Some(app.map_err(|error| Error::start("start the API", &error))?)
        } else {
            None
        };
        let health = Health::new(&db, &bus, roles, app.as_ref(), render_metrics);
        let mut service = Self {
            scheduler: roles
                .has(Role::Scheduler)
                .then(|| Scheduler::new(db.clone(), scheduler_settings(config, data))),
            bus,
            app,
            health,
            stages: Stages::default(),
            db,
        };
        if roles.has(Role::Engine) {
            let depth = u8::try_from(config.rules.event_depth.get()).unwrap_or(u8::MAX);
            let settings = smarttasks_engine::Settings {
                max_depth: depth,
                workspace_budget: config.rules.workspace_budget.per_minute(),
            };
            let engine = Engine::new(service.db.clone(), pool, settings);
            service.spawn_engine(Arc::new(engine));
        }
        if roles.has(Role::Notifier) {
            let notifier = notifier(config, data, &service.db)?;
            service.spawn_notifier(&Arc::new(notifier));
        }
        service.spawn_common();
        Ok(service)
    }

    fn spawn_engine(&mut self, engine: Arc<Engine>) {
        for _ in 0..SWEEPERS {
            let (bus, sweeper) = (self.bus.clone(), Sweeper::new(Arc::clone(&engine)));
            self.stages
                .takers
                .spawn(|stop| consume(bus, Arc::new(sweeper), stop));
        }
        for _ in 0..RUNNERS {
            let (bus, runner) = (self.bus.clone(), Runner::new(Arc::clone(&engine)));
            self.stages
                .takers
                .spawn(|stop| consume(bus, Arc::new(runner), stop));
        }
        let bus = self.bus.clone();
        self.stages.takers.spawn(|stop| consume(bus, engine, stop));
    }

    fn spawn_notifier(&mut self, notifier: &Arc<Notifier>) {
        let (bus, consumer) = (self.bus.clone(), Arc::clone(notifier));
        self.stages
            .takers
            .spawn(|stop| consume(bus, consumer, stop));
        let recorder = Arc::clone(notifier);
        self.stages
            .finishers
            .spawn(|stop| async move { recorder.record(stop).await });
        if !self.db.is_embedded() {
            let alive = Arc::clone(notifier);
            // Others must not take up what is being finished, so it ends with the last.
            self.stages
                .relays
                .spawn(|stop| async move { alive.stay_alive(stop).await });
        }
    }

    fn spawn_common(&mut self) {
        if let Some(app) = self.app.clone() {
            self.stages
                .takers
                .spawn(|stop| async move { app.keep_keys_fresh(stop).await });
        }
        if self.scheduler.is_some() {
            self.add_scheduler();
        }
        if !self.db.is_embedded() {
            let db = self.db.clone();
            self.stages.takers.spawn(|stop| keep_counting(db, stop));
            if let Some(scheduler) = self.scheduler.clone() {
                self.stages
                    .takers
                    .spawn(|stop| async move { scheduler.watch(stop).await });
            }
        }
        self.add_relay();
    }

    /// Another relay beside the first: messages that both see are delivered twice.
    pub fn add_relay(&mut self) {
        let bus = self.bus.clone();
        self.stages
            .relays
            .spawn(|stop| async move { bus.relay(stop).await });
    }

    /// Another scheduler beside the first, if this process has that role.
    pub fn add_scheduler(&mut self) {
        if let Some(scheduler) = self.scheduler.clone() {
            self.stages
                .takers
                .spawn(|stop| async move { scheduler.run(stop).await });
        }
    }

    /// What the listener serves: the state of the process and, with that role, the API.
    pub fn router(&self) -> Router {
        let health = self.health.routes();
        match &self.app {
            Some(app) => smarttasks_api::router(app, health),
            None => observed(health, TIME_LIMIT),
        }
    }

    /// The database.
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// The bus.
    pub fn bus(&self) -> &Bus {
        &self.bus
    }

    /// Returns when a role has ended although nobody told it to: the service must not go on as if
    /// all were well.
    pub async fn broken(&mut self) {
        tokio::select! {
            Some(_) = self.stages.takers.tasks.join_next() => {}
            Some(_) = self.stages.finishers.tasks.join_next() => {}
            _ = self.stages.relays.tasks.join_next() => {}
        }
        tracing::error!("a role has ended unasked");
    }

    /// Takes no more work, lets what is under way end, publishes what came of it, and returns;
    /// what does not end in time is in the database and goes on at the next start, or elsewhere.
    pub async fn stop(mut self) {
        let stages = &mut self.stages;
        let drained = tokio::time::timeout(DRAIN, async {
            stages.takers.end().await;
            stages.finishers.end().await;
            stages.relays.end().await;
        });
        if drained.await.is_err() {
            tracing::warn!("what was under way did not end in time; it goes on at the next start");
        }
    }
}

/// Other processes write and settle messages too.
async fn keep_counting(db: Db, stop: CancellationToken) {
    while stop
        .run_until_cancelled(tokio::time::sleep(COUNTED))
        .await
        .is_some()
    {
        if let Err(error) = db.count_pending().await {
            tracing::debug!(%error, "the pending messages could not be counted");
        }
    }
}

/// What a rule may use by this configuration.
pub fn limits(config: &Config) -> Limits {
    let rules = &config.rules;
    Limits {
        operations: rules.operations.get(),
        wall: Duration::from_millis(rules.wall_ms.get()),
        heap_bytes: rules.heap_bytes.bytes(),
        call_depth: rules.call_depth.get(),
        expr_depth: rules.expression_depth.get(),
        string_bytes: rules.string_bytes.bytes(),
        array_len: rules.array_items.get(),
        map_len: rules.map_entries.get(),
        variables: rules.variables.get(),
        functions: rules.functions.get(),
        actions: rules.actions.get(),
        recipients: rules.recipients.get(),
        output_bytes: rules.output_bytes.bytes(),
        queries: rules.queries.get(),
        query_results: rules.query_results.get(),
        state_bytes: rules.state_bytes.bytes(),
        source_bytes: rules.script_bytes.bytes(),
        log_bytes: rules.log_bytes.bytes(),
        journal_entries: rules.journal_entries.get(),
        journal_bytes: rules.journal_bytes.bytes(),
        replay_operations: rules.replay_operations.get(),
        sleep: rules.longest_wait,
        http_timeout: rules.http_timeout,
        cron_interval: rules.min_cron_interval,
    }
}

fn api_settings(config: &Config) -> smarttasks_api::Settings {
    smarttasks_api::Settings {
        public_url: config.http.public_url.to_string(),
        quotas: match config.http.rate_limit {
            RateLimit::Off => None,
            RateLimit::PerMinute(per_minute) => Some(Quotas::per_minute(per_minute)),
        },
        registration_open: config.accounts.registration == Registration::Open,
        allowed_networks: config.webhooks.allowed_networks.clone(),
        sharing: sharing(config),
    }
}

fn sharing(config: &Config) -> Sharing {
    match (redis_settings(config), &config.instance.database_url) {
        (Some(redis), DatabaseUrl::Server(_)) => Sharing::Redis(redis),
        (None, DatabaseUrl::Server(_)) => Sharing::Database,
        (_, DatabaseUrl::File(_)) => Sharing::Alone,
    }
}

/// The cache of this configuration, if it has one.
pub fn redis_settings(config: &Config) -> Option<RedisSettings> {
    let url = config.instance.redis_url.as_ref()?;
    Some(RedisSettings {
        url: url.expose().to_owned().into(),
        prefix: config.bus.prefix.as_str().to_owned(),
        timeout: RedisSettings::TIMEOUT,
    })
}

fn scheduler_settings(config: &Config, data: &DataDir) -> smarttasks_scheduler::Settings {
    let kept = &config.retention;
    let as_files = config.instance.smtp_url.is_none();
    smarttasks_scheduler::Settings {
        rows: Retention {
            events: kept.events,
            runs: kept.runs,
            failed_runs: kept.failed_runs,
            deliveries: kept.deliveries,
        },
        mail_files: as_files.then(|| MailFiles {
            directory: data.mail(),
            kept: kept.mail_files,
        }),
    }
}

/// What sends the mails of this configuration.
///
/// # Errors
/// It cannot be set up.
pub fn mailer(config: &Config, data: &DataDir) -> Result<Mailer, Error> {
    let from = &config.mail.from;
    Mailer::new(MailSettings {
        smtp_url: config.instance.smtp_url.clone().map(Into::into),
        from: MailFrom {
            name: from.name.clone().unwrap_or_default(),
            email: from.email.clone(),
        },
        directory: data.mail(),
        timeout: MAIL_TIMEOUT,
    })
    .map_err(|error| Error::start("set up mail", &error))
}

fn notifier(config: &Config, data: &DataDir, db: &Db) -> Result<Notifier, Error> {
    let client = HttpClient::new(ClientSettings {
        allowed_networks: config.webhooks.allowed_networks.clone(),
        timeout: config.webhooks.timeout,
        ..ClientSettings::default()
    })
    .map_err(|error| Error::start("set up the HTTP client", &error))?;
    let settings = smarttasks_notifier::Settings {
        public_url: config.http.public_url.to_string(),
        external_per_hour: config.mail.external_per_hour,
        concurrency: config.notifier.concurrency,
    };
    let mailer = mailer(config, data)?;
    Ok(Notifier::new(db.clone(), settings, client, mailer))
}
