//! `smarttasks doctor`: looks at everything that the service needs, one line for each, and says
//! what to do about what is wrong. It changes nothing but, when asked to, replays dead letters.

use crate::Error;
use crate::cli::Doctor;
use crate::commands::healthcheck;
use crate::config::{Config, DatabaseUrl, Loaded, Setting};
use crate::data_dir::DataDir;
use crate::error::chain;
use crate::service::{self, mailer};
use smarttasks_bus::{Bus, DeadLetter, Replay};
use smarttasks_model::{Clock, Timestamp};
use smarttasks_store::{Db, outbox};
use std::io::Write;
use std::time::Duration;

/// How far two clocks may be apart.
const APART: Duration = Duration::from_secs(2);
/// How long the broker may take to connect and answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How much of a dead letter is shown.
const SHOWN: usize = 200;

/// Looks at each part and prints what it finds.
///
/// # Errors
/// A part is not well, or the output cannot be written.
pub async fn run(
    loaded: &Loaded,
    asked: &Doctor,
    out: &mut (dyn Write + Send),
) -> Result<(), Error> {
    let config = &loaded.config;
    let mut report = Report { out, failed: 0 };
    configuration(loaded, &mut report)?;
    listener(config, &mut report)?;
    if let Some(db) = database(config, asked, &mut report).await? {
        clock(&db, &mut report).await?;
        bus(config, &db, asked, &mut report).await?;
    }
    redis(config, &mut report).await?;
    mail(config, &mut report).await?;
    match report.failed {
        0 => Ok(()),
        1 => Err(Error::Unhealthy("one part needs attention".to_owned())),
        many => Err(Error::Unhealthy(format!("{many} parts need attention"))),
    }
}

struct Report<'a> {
    out: &'a mut (dyn Write + Send),
    failed: u32,
}

impl Report<'_> {
    fn line(&mut self, mark: &str, part: &str, detail: &str) -> Result<(), Error> {
        writeln!(self.out, "{mark:4}  {part:13}  {detail}")?;
        Ok(())
    }

    fn ok(&mut self, part: &str, detail: &str) -> Result<(), Error> {
        self.line("ok", part, detail)
    }

    fn note(&mut self, part: &str, detail: &str) -> Result<(), Error> {
        self.line("note", part, detail)
    }

    fn fail(&mut self, part: &str, detail: &str) -> Result<(), Error> {
        self.failed += 1;
        self.line("FAIL", part, detail)
    }
}

fn configuration(loaded: &Loaded, report: &mut Report<'_>) -> Result<(), Error> {
    for warning in &loaded.warnings {
        report.note("configuration", &warning.to_string())?;
    }
    let roles = loaded.config.instance.roles.show();
    report.ok("configuration", &format!("no problem; roles {roles}"))
}

/// That nothing listens is no failure: the doctor is asked also before the start.
fn listener(config: &Config, report: &mut Report<'_>) -> Result<(), Error> {
    let mut said = Vec::new();
    match healthcheck::run(&config.http, &mut said) {
        Ok(()) => report.ok("service", &format!("ready at {}", config.http.listen)),
        Err(error) => report.note("service", &error.to_string()),
    }
}

/// The database for looking, or, to replay dead letters of the embedded one, for writing, which
/// the service must not do at the same time.
async fn database(
    config: &Config,
    asked: &Doctor,
    report: &mut Report<'_>,
) -> Result<Option<Db>, Error> {
    let shown = config.instance.database_url.show();
    if let DatabaseUrl::File(path) = &config.instance.database_url
        && !path.exists()
    {
        report.note(
            "database",
            &format!("{shown} does not exist yet; the first start makes it"),
        )?;
        return Ok(None);
    }
    let writes = asked.replay.is_some() && config.instance.amqp_url.is_none();
    let opened = if writes {
        let data = DataDir::of(config)?;
        service::open(config, &data, Clock::system()).await
    } else {
        service::look(config).await
    };
    let db = match opened {
        Ok(db) => db,
        Err(error) => {
            report.fail("database", &format!("{shown}: {error}"))?;
            return Ok(None);
        }
    };
    if let Err(error) = db.ping().await {
        report.fail("database", &format!("{shown}: {}", chain(&error)))?;
        return Ok(None);
    }
    report.ok("database", &format!("{shown} answers"))?;
    match db.missing_migrations().await {
        Ok(missing) if missing.is_empty() => report.ok("migrations", "all have run")?,
        Ok(missing) => {
            let missing = missing.join(", ");
            report.fail(
                "migrations",
                &format!(
                    "{missing} have not run; the next start runs them, or `smarttasks migrate`"
                ),
            )?;
            return Ok(None);
        }
        Err(error) => {
            let error = chain(&error);
            report.fail(
                "migrations",
                &format!(
                    "none has run ({error}); the first start runs them, or `smarttasks migrate`"
                ),
            )?;
            return Ok(None);
        }
    }
    Ok(Some(db))
}

async fn clock(db: &Db, report: &mut Report<'_>) -> Result<(), Error> {
    let before = db.clock().now();
    let server = db.server_time().await;
    let after = db.clock().now();
    match server {
        Ok(None) => report.ok("clock", &before.to_string()),
        Ok(Some(server)) => {
            let apart = apart(before, server, after);
            let detail = format!(
                "{before}, {} ms from the database server's",
                apart.as_millis()
            );
            if apart > APART {
                report.fail(
                    "clock",
                    &format!("{detail}; synchronise them (NTP), or timers fire early or late"),
                )
            } else {
                report.ok("clock", &detail)
            }
        }
        Err(error) => report.fail("clock", &chain(&error)),
    }
}

/// How far the server's instant is outside the time that asking for it took.
fn apart(before: Timestamp, server: Timestamp, after: Timestamp) -> Duration {
    before.since(server).max(server.since(after))
}

async fn bus(
    config: &Config,
    db: &Db,
    asked: &Doctor,
    report: &mut Report<'_>,
) -> Result<(), Error> {
    match outbox::pending(db).await {
        Ok(pending) => {
            let since = pending
                .oldest
                .map_or_else(String::new, |at| format!(", the oldest since {at}"));
            report.ok("outbox", &format!("{} messages wait{since}", pending.count))?;
        }
        Err(error) => report.fail("outbox", &chain(&error))?,
    }
    let bus = service::open_bus(config, db)?;
    let Some(queues) = in_time("broker", bus.queues(), report).await? else {
        return Ok(());
    };
    if let Some(url) = &config.instance.amqp_url {
        report.ok("broker", &format!("{} answers", url.show()))?;
    }
    for queue in queues {
        let consumers = queue
            .consumers
            .map_or_else(String::new, |consumers| format!(", {consumers} consumers"));
        let detail = format!("{}: {} messages{consumers}", queue.name, queue.messages);
        report.ok("queue", &detail)?;
    }
    dead_letters(&bus, asked, report).await
}

async fn dead_letters(bus: &Bus, asked: &Doctor, report: &mut Report<'_>) -> Result<(), Error> {
    if let Some(ids) = &asked.replay {
        let which = match ids.is_empty() {
            true => Replay::All,
            false => Replay::Only(ids.clone()),
        };
        // However many there are: each question to the broker has a limit of its own.
        match bus.replay(&which).await {
            Ok(replayed) => report.ok("dead letters", &format!("{replayed} replayed"))?,
            Err(error) => report.fail("dead letters", &chain(&error))?,
        }
    }
    let Some(letters) =
        in_time("dead letters", bus.dead_letters(asked.dead_letters), report).await?
    else {
        return Ok(());
    };
    if letters.is_empty() {
        return report.ok("dead letters", "none");
    }
    for letter in &letters {
        report.note("dead letter", &told(letter))?;
    }
    report.fail(
        "dead letters",
        "messages that could not be handled are above; once the cause is gone, give them back with `smarttasks doctor --replay`",
    )
}

fn told(letter: &DeadLetter) -> String {
    let when = letter
        .died_at
        .map_or_else(String::new, |at| format!(" at {at}"));
    let body: String = letter.body.chars().take(SHOWN).collect();
    format!(
        "{} of {}{when}: {}; {body}",
        letter.id, letter.queue, letter.reason
    )
}

/// What the broker answers, or a failure of this part.
async fn in_time<T>(
    part: &str,
    answer: impl Future<Output = smarttasks_bus::Result<T>>,
    report: &mut Report<'_>,
) -> Result<Option<T>, Error> {
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(Ok(answer)) => return Ok(Some(answer)),
        Ok(Err(error)) => report.fail(part, &chain(&error))?,
        Err(_) => report.fail(part, &format!("no answer within {} s", PATIENCE.as_secs()))?,
    }
    Ok(None)
}

async fn redis(config: &Config, report: &mut Report<'_>) -> Result<(), Error> {
    let (Some(url), Some(settings)) = (&config.instance.redis_url, service::redis_settings(config))
    else {
        return Ok(());
    };
    match settings.check().await {
        Ok(()) => report.ok("cache", &format!("{} answers", url.show())),
        Err(error) => report.fail("cache", &format!("{}: {error}", url.show())),
    }
}

async fn mail(config: &Config, report: &mut Report<'_>) -> Result<(), Error> {
    let data = DataDir::shared(&config.instance.data_dir);
    let Some(url) = &config.instance.smtp_url else {
        let detail = format!("no SMTP_URL: mails are kept in {}", data.mail().display());
        return report.note("mail", &detail);
    };
    match mailer(config, &data)?.check().await {
        Ok(()) => report.ok("mail", &format!("{} takes mail", url.show())),
        Err(error) => report.fail("mail", &format!("{}: {error}", url.show())),
    }
}
