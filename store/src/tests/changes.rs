//! What is known of the changes of a workspace's rules.

use super::failures::create_rule;
use super::server::register;
use super::{Directory, open};
use crate::rules::{self, Between};
use crate::{Db, workspaces};
use smarttasks_model::{RuleId, WorkspaceId};
use std::collections::HashSet;

async fn version(db: &Db, id: WorkspaceId) -> i64 {
    let found = workspaces::by_ids(db, HashSet::from([id])).await.unwrap();
    found[&id].rules_version
}

async fn changed(db: &Db, workspace_id: WorkspaceId, after: i64) -> Option<HashSet<RuleId>> {
    let to = version(db, workspace_id).await;
    let between = Between {
        workspace_id,
        after,
        to,
    };
    let mut found = rules::changed(db, [between]).await.unwrap();
    found.remove(&workspace_id)
}

#[tokio::test]
async fn the_rules_that_have_changed_are_known_for_a_while() {
    let directory = Directory::new();
    let db = open(&directory.0).await;
    let ann = register(&db).await;
    let first = version(&db, ann.1).await;
    let rule = create_rule(&db, ann).await;
    let created = version(&db, ann.1).await;
    assert_eq!(changed(&db, ann.1, first).await, Some([rule.id].into()));
    assert_eq!(changed(&db, ann.1, created).await, Some(HashSet::new()));
    // More than is known of.
    assert_eq!(changed(&db, ann.1, first - 1).await, None);

    db.write(move |tx| {
        Box::pin(async move {
            workspaces::bump_rules(tx, ann.1).await?;
            rules::delete(tx, ann.1, rule.id, None).await
        })
    })
    .await
    .unwrap();
    assert_eq!(version(&db, ann.1).await, created + 2);
    assert_eq!(changed(&db, ann.1, created).await, Some([rule.id].into()));
    assert_eq!(
        changed(&db, ann.1, created + 1).await,
        Some([rule.id].into())
    );

    db.write(move |tx| {
        Box::pin(async move {
            for _ in 0..1_000 {
                workspaces::bump_rules(tx, ann.1).await?;
            }
            Ok(())
        })
    })
    .await
    .unwrap();
    assert_eq!(changed(&db, ann.1, created).await, None);
    let lately = changed(&db, ann.1, created + 2).await;
    assert_eq!(lately, Some(HashSet::new()));
}
