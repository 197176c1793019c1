//! `kill -9` of each role.

use super::dice::Dice;
use super::load::Door;
use super::trial::{Network, Trial};
use crate::roles::{Cluster, Replica, Role};
use futures_util::future::join_all;
use std::time::Duration;

/// Of each process.
const DEATHS: usize = 20;
/// A process is killed within this time after it was started, or after it was ready.
const LONGEST_LIFE: Duration = Duration::from_secs(1);

/// Kills a process and starts it again, and again; every other one wherever it is, also while it starts.
async fn die(cluster: &Cluster, replica: &mut Replica, door: Option<&Door>, mut dice: Dice) {
    let show = |address| {
        if let Some(door) = door {
            door.send_replace(address);
        }
    };
    for number in 0..DEATHS {
        tokio::time::sleep(dice.below(LONGEST_LIFE)).await;
        show(None);
        replica.kill().await;
        *replica = cluster.spawn(replica.role);
        if number % 2 == 0 || number + 1 == DEATHS {
            replica.ready().await;
            show(Some(replica.address()));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_of_each_role_at_any_moment_loses_nothing_that_was_accepted() {
    let roles = Role::ALL.map(|role| (role, 1));
    let mut trial = Trial::start(&roles, Network::Direct).await;
    let mut dice = Dice::seeded();
    trial.begin("each role is killed").await;
    let Trial {
        load,
        replicas,
        cluster,
        ..
    } = &mut trial;
    let mut doors = load.doors.iter();
    let dying = replicas.iter_mut().map(|replica| {
        let door = (replica.role == Role::Api).then(|| doors.next().unwrap());
        die(cluster, replica, door, dice.fork())
    });
    join_all(dying.collect::<Vec<_>>()).await;
    let from = format!("each of {} processes killed {DEATHS} times", roles.len());
    trial.recovers(&from).await;
    trial.verdict().await;
}
