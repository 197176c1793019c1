//! Runs the service until it is told to stop.

use crate::config::{Config, Loaded, Role, Setting};
use crate::data_dir::DataDir;
use crate::service::Service;
use crate::{Error, telemetry};
use axum::serve::ListenerExt;
use metrics_exporter_prometheus::PrometheusHandle;
use smarttasks_model::Clock;
use smarttasks_store::users;
use std::future::IntoFuture;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How long requests that are under way may go on once the service is told to stop.
const HANG_UP: Duration = Duration::from_secs(5);
/// How often metrics that nobody reads are folded.
const UPKEEP: Duration = Duration::from_secs(5);

/// Runs the service; `out` is told where it listens and what it uses.
///
/// # Errors
/// It cannot start, or the listener fails.
pub async fn run(loaded: &Loaded, out: &mut (dyn Write + Send)) -> Result<(), Error> {
    let config = &loaded.config;
    telemetry::start_logs(&config.log)?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let metrics = telemetry::start_metrics()?;
    let data = DataDir::of(config)?;
    let listen = config.http.listen;
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|error| Error::start("listen on the address of http.listen", &error))?;
    let render = metrics.clone();
    let process = metrics_process::Collector::default();
    let mut service = Service::start(
        config,
        &data,
        Clock::system(),
        Arc::new(move || {
            process.collect();
            render.render()
        }),
    )
    .await?;
    let address = listener.local_addr().unwrap_or(listen);
    greet(config, &service, address, out).await?;
    let upkeep = tokio::spawn(keep_up(metrics));
    let router = service
        .router()
        .into_make_service_with_connect_info::<SocketAddr>();
    let listener = listener.tap_io(|connection| {
        // Answers are small and must not wait for each other.
        let _ = connection.set_nodelay(true);
    });
    let stop = CancellationToken::new();
    let server = axum::serve(listener, router)
        .with_graceful_shutdown(stop.clone().cancelled_owned())
        .into_future();
    let bounded = async {
        told_to_stop().await;
        stop.cancel();
        // A client that never finishes its request must not keep us.
        tokio::time::sleep(HANG_UP).await;
        Ok(())
    };
    let served = tokio::select! {
        served = server => served,
        served = bounded => served,
        () = service.broken() => Err(std::io::Error::other("a role has ended unasked; see the log")),
    };
    upkeep.abort();
    tracing::info!("stopping");
    service.stop().await;
    served.map_err(|error| Error::start("serve", &error))
}

async fn keep_up(metrics: PrometheusHandle) {
    loop {
        tokio::time::sleep(UPKEEP).await;
        metrics.run_upkeep();
    }
}

async fn told_to_stop() {
    let interrupted = tokio::signal::ctrl_c();
    match signal(SignalKind::terminate()) {
        Ok(mut terminated) => {
            tokio::select! {
                _ = interrupted => {}
                _ = terminated.recv() => {}
            }
        }
        Err(error) => {
            tracing::warn!(%error, "SIGTERM cannot be heard; only Ctrl-C stops gracefully");
            let _ = interrupted.await;
        }
    }
}

async fn greet(
    config: &Config,
    service: &Service,
    address: SocketAddr,
    out: &mut (dyn Write + Send),
) -> Result<(), Error> {
    let mail = match &config.instance.smtp_url {
        Some(_) => "by SMTP_URL".to_owned(),
        None => format!(
            "kept as files in {}",
            config.instance.data_dir.join("mail").display()
        ),
    };
    let version = env!("CARGO_PKG_VERSION");
    writeln!(
        out,
        "SmartTasks {version} listens on http://{address}  (docs: http://{address}/docs)"
    )?;
    let instance = &config.instance;
    let roles: Vec<_> = instance.roles.names().collect();
    let broker = instance
        .amqp_url
        .as_ref()
        .map_or_else(|| "in this process".to_owned(), Setting::show);
    writeln!(out, "  roles     {}", roles.join(", "))?;
    writeln!(out, "  database  {}", instance.database_url.show())?;
    writeln!(out, "  broker    {broker}")?;
    if let Some(redis) = &instance.redis_url {
        writeln!(out, "  cache     {}", redis.show())?;
    }
    writeln!(out, "  mail      {mail}")?;
    if !instance.roles.has(Role::Api) {
        out.flush()?;
        return Ok(());
    }
    let nobody = users::none_yet(service.db())
        .await
        .map_err(|error| Error::start("look for users", &error))?;
    if nobody {
        greet_first(config, address, out)?;
    }
    out.flush()?;
    Ok(())
}

fn greet_first(
    config: &Config,
    address: SocketAddr,
    out: &mut (dyn Write + Send),
) -> Result<(), Error> {
    use crate::config::Registration;
    if config.accounts.registration != Registration::Open {
        writeln!(
            out,
            "\nNobody has an account, and registration is not open. Stop, and make one:"
        )?;
        writeln!(
            out,
            "  smarttasks admin create-user --email ann@example.com --name Ann"
        )?;
        return Ok(());
    }
    writeln!(out, "\nNobody has an account yet. Register the first user:")?;
    writeln!(
        out,
        "  curl -s http://{address}/api/v1/users -H 'Content-Type: application/json' \\"
    )?;
    writeln!(
        out,
        "    -d '{{\"name\": \"Ann\", \"email\": \"ann@example.com\", \"password\": \"choose a long one\"}}'"
    )?;
    Ok(())
}
