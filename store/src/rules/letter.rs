//! What the owner of a rule is told by mail.

use crate::{Result, Tx, users, workspaces};
use smarttasks_model::{
    Content, Message, Notification, NotificationId, Recipient, RuleId, RunId, TraceParent, UserId,
    WorkspaceId,
};

/// What the owner of a rule is told.
pub(crate) struct Letter {
    pub(crate) id: NotificationId,
    pub(crate) workspace_id: WorkspaceId,
    pub(crate) run_id: Option<RunId>,
    pub(crate) rule_id: RuleId,
    /// Of what led to it.
    pub(crate) depth: u8,
    pub(crate) traceparent: Option<TraceParent>,
    pub(crate) subject: String,
    pub(crate) text: String,
}

impl Letter {
    /// Sends it, unless the owner has left the workspace: then it is no longer theirs to know.
    pub(crate) async fn send(self, tx: &mut Tx, owner: UserId) -> Result<()> {
        let is_member = workspaces::role(tx.conn(), self.workspace_id, owner).await?;
        let Some(owner) = users::find_in(tx, owner)
            .await?
            .filter(|_| is_member.is_some())
        else {
            return Ok(());
        };
        let to = Recipient {
            email: owner.email,
            name: Some(owner.name),
            user_id: Some(owner.id),
        };
        let notification = Notification {
            id: self.id,
            workspace_id: self.workspace_id,
            run_id: self.run_id,
            rule_id: Some(self.rule_id),
            task_id: None,
            created_at: tx.now(),
            depth: self.depth.saturating_add(1),
            traceparent: self.traceparent,
            content: Content::Email {
                to: vec![to],
                subject: self.subject,
                text: self.text,
                html: None,
            },
        };
        tx.publish(Message::Notification(Box::new(notification)))
    }
}
