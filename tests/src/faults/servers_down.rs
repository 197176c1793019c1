//! PostgreSQL, RabbitMQ and Redis stopped, killed, and started again.

use super::trial::{Network, Trial};
use crate::roles::Role;
use crate::servers::Server;
use std::time::Duration;

/// Longer than anybody may wait for an answer.
const DOWN: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_server_stopped_or_killed_and_started_again_loses_nothing() {
    let mut trial = Trial::start(&Role::ALL.map(|role| (role, 1)), Network::Direct).await;
    for server in Server::ALL {
        for end in ["stopped", "killed"] {
            let phase = format!("{server:?} {end}");
            trial.begin(&phase).await;
            match end {
                "stopped" => trial.servers.stop(server).await,
                _ => trial.servers.kill(server).await,
            }
            tokio::time::sleep(DOWN).await;
            // People notice only that the state is gone.
            if server != Server::Postgres {
                trial.writing_goes_on().await;
            }
            trial.servers.resume(server).await;
            trial.recovers(&phase).await;
        }
    }
    trial.verdict().await;
}
