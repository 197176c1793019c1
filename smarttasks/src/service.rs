//! The roles, wired together: what the configuration says becomes a running service.

use crate::Error;
use crate::config::{Config, RateLimit, Registration};
use crate::data_dir::DataDir;
use axum::Router;
use smarttasks_api::limit::Quotas;
use smarttasks_api::{App, RenderMetrics};
use smarttasks_bus::{InProcess, consume};
use smarttasks_engine::Engine;
use smarttasks_model::Clock;
use smarttasks_notifier::Notifier;
use smarttasks_notifier::email::{MailFrom, MailSettings, Mailer};
use smarttasks_notifier::webhook::{WebhookSender, WebhookSettings};
use smarttasks_rules::{Language, Limits, Pool};
use smarttasks_scheduler::{MailFiles, Scheduler};
use smarttasks_store::retention::Retention;
use smarttasks_store::{Db, Vault, timers};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long one mail may take, connecting included.
const MAIL_TIMEOUT: Duration = Duration::from_secs(60);
/// How long what is under way may go on once the service is told to stop.
const DRAIN: Duration = Duration::from_secs(15);
/// Connections for reading.
const READERS: u32 = 4;

/// Every role in this process.
pub struct Service {
    db: Db,
    bus: InProcess,
    scheduler: Scheduler,
    app: App,
    /// Tells those that take work to stop, then those that finish it.
    intake: CancellationToken,
    finish: CancellationToken,
    takers: JoinSet<()>,
    finishers: JoinSet<()>,
}

/// Opens the database of this configuration.
///
/// # Errors
/// It cannot be opened or brought up to date.
pub async fn open(config: &Config, data: &DataDir, clock: Clock) -> Result<Db, Error> {
    let key = data.secret_key(config.instance.secret_key.as_ref())?;
    let settings = smarttasks_store::Settings {
        path: config.instance.database_url.path().to_owned(),
        max_pending: i64::try_from(config.bus.max_pending.get()).unwrap_or(i64::MAX),
        readers: READERS,
    };
    let db = Db::open(&settings, clock, Vault::new(*key.expose())).await;
    db.map_err(|error| Error::start("open the database", &error))
}

impl Service {
    /// Starts every role but the listener.
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
        // This process alone uses the database: whoever had taken up deliveries is gone.
        db.write(|tx| Box::pin(timers::recover_deliveries(tx)))
            .await
            .map_err(|error| Error::start("take up unfinished deliveries", &error))?;
        let pool = Pool::new(Language::new(limits(config)), config.rules.workers.get())
            .map_err(|error| Error::start("start the threads that evaluate rules", &error))?;
        let app = App::new(
            db.clone(),
            pool.clone(),
            api_settings(config, render_metrics),
        )
        .await
        .map_err(|error| Error::start("start the API", &error))?;
        let mut service = Self {
            bus: InProcess::new(db.clone()),
            scheduler: Scheduler::new(db.clone(), scheduler_settings(config, data)),
            app,
            intake: CancellationToken::new(),
            finish: CancellationToken::new(),
            takers: JoinSet::new(),
            finishers: JoinSet::new(),
            db,
        };
        let notifier = Arc::new(notifier(config, data, &service.db)?);
        let depth = u8::try_from(config.rules.event_depth.get()).unwrap_or(u8::MAX);
        let settings = smarttasks_engine::Settings { max_depth: depth };
        let engine = Arc::new(Engine::new(service.db.clone(), pool, settings));
        service.spawn(engine, notifier);
        Ok(service)
    }

    fn spawn(&mut self, engine: Arc<Engine>, notifier: Arc<Notifier>) {
        let app = self.app.clone();
        let stop = self.intake.clone();
        self.takers
            .spawn(async move { app.keep_keys_fresh(stop).await });
        self.takers
            .spawn(consume(self.bus.clone(), engine, self.intake.clone()));
        self.takers.spawn(consume(
            self.bus.clone(),
            Arc::clone(&notifier),
            self.intake.clone(),
        ));
        self.add_relay();
        self.add_scheduler();
        let finish = self.finish.clone();
        self.finishers
            .spawn(async move { notifier.record(finish).await });
    }

    /// Another relay beside the first: messages that both see are delivered twice.
    pub fn add_relay(&mut self) {
        let (bus, stop) = (self.bus.clone(), self.intake.clone());
        self.takers.spawn(async move { bus.relay(stop).await });
    }

    /// Another scheduler beside the first.
    pub fn add_scheduler(&mut self) {
        let (scheduler, stop) = (self.scheduler.clone(), self.intake.clone());
        self.takers.spawn(async move { scheduler.run(stop).await });
    }

    /// What the listener serves.
    pub fn router(&self) -> Router {
        smarttasks_api::router(&self.app)
    }

    /// The database.
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// Returns when a role has ended although nobody told it to: the service must not go on as if
    /// all were well.
    pub async fn broken(&mut self) {
        tokio::select! {
            _ = self.takers.join_next() => {}
            _ = self.finishers.join_next() => {}
        }
        tracing::error!("a role has ended unasked");
    }

    /// Takes no more work, lets what is under way end, and returns; what does not end in time
    /// is in the database and goes on at the next start.
    pub async fn stop(mut self) {
        self.intake.cancel();
        let drained = tokio::time::timeout(DRAIN, async {
            while self.takers.join_next().await.is_some() {}
            self.finish.cancel();
            while self.finishers.join_next().await.is_some() {}
        });
        if drained.await.is_err() {
            tracing::warn!("what was under way did not end in time; it goes on at the next start");
        }
    }
}

fn limits(config: &Config) -> Limits {
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
        source_bytes: rules.script_bytes.bytes(),
        ..Limits::default()
    }
}

fn api_settings(config: &Config, render_metrics: RenderMetrics) -> smarttasks_api::Settings {
    smarttasks_api::Settings {
        public_url: config.http.public_url.to_string(),
        quotas: match config.http.rate_limit {
            RateLimit::Off => None,
            RateLimit::PerMinute(per_minute) => Some(Quotas::per_minute(per_minute)),
        },
        registration_open: config.accounts.registration == Registration::Open,
        allowed_networks: config.webhooks.allowed_networks.clone(),
        render_metrics,
    }
}

fn scheduler_settings(config: &Config, data: &DataDir) -> smarttasks_scheduler::Settings {
    let kept = &config.retention;
    let as_files = config.instance.smtp_url.is_none();
    smarttasks_scheduler::Settings {
        rows: Retention {
            events: kept.events,
            runs: kept.runs,
            deliveries: kept.deliveries,
        },
        mail_files: as_files.then(|| MailFiles {
            directory: data.mail(),
            kept: kept.mail_files,
        }),
    }
}

fn notifier(config: &Config, data: &DataDir, db: &Db) -> Result<Notifier, Error> {
    let from = &config.mail.from;
    let mailer = Mailer::new(MailSettings {
        smtp_url: config.instance.smtp_url.clone().map(Into::into),
        from: MailFrom {
            name: from.name.clone().unwrap_or_default(),
            email: from.email.clone(),
        },
        directory: data.mail(),
        timeout: MAIL_TIMEOUT,
    })
    .map_err(|error| Error::start("set up mail", &error))?;
    let webhooks = WebhookSender::new(WebhookSettings {
        allowed_networks: config.webhooks.allowed_networks.clone(),
        timeout: config.webhooks.timeout,
        ..WebhookSettings::default()
    })
    .map_err(|error| Error::start("set up webhooks", &error))?;
    let settings = smarttasks_notifier::Settings {
        external_per_hour: config.mail.external_per_hour,
        concurrency: config.notifier.concurrency,
    };
    Ok(Notifier::new(db.clone(), settings, webhooks, mailer))
}
