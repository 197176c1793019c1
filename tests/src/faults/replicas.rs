//! Many processes of the same role.

use super::trial::{Network, Trial};
use crate::roles::{Replica, Role};
use futures_util::future::join_all;

const MANY: usize = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_replicas_of_a_role_start_at_once_and_do_everything_once() {
    let counts = [
        (Role::Engine, MANY),
        (Role::Api, 1),
        (Role::Scheduler, 1),
        (Role::Notifier, 1),
    ];
    let mut trial = Trial::start(&counts, Network::Direct).await;
    trial.begin("ten engines").await;
    trial.recovers("ten engines on an empty database").await;
    for _ in 1..MANY {
        assert_eq!(trial.take(Role::Engine).stop().await.code(), Some(0));
    }
    for role in [Role::Api, Role::Scheduler, Role::Notifier] {
        let phase = format!("ten of the {}", role.name());
        trial.begin(&phase).await;
        let mut more: Vec<_> = (1..MANY).map(|_| trial.cluster.spawn(role)).collect();
        join_all(more.iter_mut().map(Replica::ready)).await;
        let first = *trial.load.doors[0].borrow();
        for replica in more.iter().filter(|replica| replica.role == Role::Api) {
            trial.load.doors[0].send_replace(Some(replica.address()));
            trial.writing_goes_on().await;
        }
        trial.load.doors[0].send_replace(first);
        trial.writing_goes_on().await;
        trial.recovers(&phase).await;
        for status in join_all(more.into_iter().map(Replica::stop)).await {
            assert_eq!(status.code(), Some(0));
        }
    }
    // Nobody died between sending and recording.
    assert_eq!(trial.verdict().await, 0);
}
