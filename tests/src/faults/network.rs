//! The network to each server cut, hung and slowed.

use super::trial::{Network, Trial};
use crate::proxy::Proxy;
use crate::roles::Role;
use crate::servers::Server;
use std::time::Duration;

/// Longer than anybody may wait for an answer.
const LASTING: Duration = Duration::from_secs(6);

/// A transaction makes several round trips, and must be within what people wait for.
fn slow(server: Server, network: &Proxy) {
    let milliseconds = match server {
        Server::Postgres => 50,
        Server::RabbitMq | Server::Redis => 200,
    };
    network.slow(Duration::from_millis(milliseconds));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_cut_hung_or_slowed_loses_nothing() {
    let mut trial = Trial::start(&Role::ALL.map(|role| (role, 1)), Network::Proxied).await;
    for server in Server::ALL {
        for fault in ["cut", "hung", "slow"] {
            let phase = format!("network to {server:?} {fault}");
            trial.begin(&phase).await;
            match fault {
                "cut" => trial.network(server).cut(),
                "hung" => trial.network(server).hang(),
                _ => slow(server, trial.network(server)),
            }
            tokio::time::sleep(LASTING).await;
            // People notice only that the state cannot be reached.
            if server != Server::Postgres || fault == "slow" {
                trial.writing_goes_on().await;
            }
            trial.network(server).heal();
            trial.recovers(&phase).await;
        }
    }
    trial.verdict().await;
}
