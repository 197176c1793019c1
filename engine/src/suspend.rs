//! Runs that begin to wait, and those beside which no other begins.

use crate::run::PlannedRun;
use smarttasks_model::{
    ApprovalId, Because, Content, Message, Notification, NotificationId, Overlap, RuleId, RunId,
    RunStatus, TaskId, UserId, WaitId, Wake, WorkspaceId,
};
use smarttasks_rules::Wait;
use smarttasks_store::approvals::{self, NewApproval};
use smarttasks_store::runs::{self, Kept, Run, RunError};
use smarttasks_store::waits::{self, EventWait, Since};
use smarttasks_store::{Error, Result, Timer, Tx, tasks};
use std::collections::{BTreeMap, HashMap, HashSet};

type Pair = (RuleId, Option<TaskId>);

/// Which runs a transaction may write.
pub(crate) struct Open {
    /// Those that are still at the wait from which they are to go on.
    held: HashSet<RunId>,
    /// The runs beside which no other of their rule and task may begin.
    unfinished: HashMap<Pair, RunId>,
    /// The tasks about which runs are to wait, and which stay until the commit: whoever deletes one
    /// afterwards finds the run.
    tasks: HashSet<TaskId>,
}

impl Open {
    pub(crate) async fn load(tx: &mut Tx, runs: &[PlannedRun]) -> Result<Self> {
        let resumed = runs.iter().filter(|planned| planned.wake.is_some());
        let resumed = resumed.map(|planned| (planned.run.id, planned.waits_before()));
        let held = runs::hold(tx, resumed).await?;
        // Of what they have waited for, nothing is left to come; of a sleep nothing ever is.
        let more = runs
            .iter()
            .filter(|planned| held.contains(&planned.run.id) && !planned.slept())
            .map(|planned| planned.run.id);
        waits::end(tx, more).await?;
        // Who has answered before that was told that it counts.
        let unanswered = runs.iter().filter(|planned| planned.asked_in_vain());
        let unanswered = unanswered.filter(|planned| held.contains(&planned.run.id));
        let unanswered = unanswered.filter_map(|planned| planned.wake.as_ref().map(|of| of.wait));
        if approvals::any_answered(tx, unanswered).await? {
            return Err(Error::Overtaken);
        }
        let alone: Vec<Pair> = runs
            .iter()
            .filter(|of| begins_alone(of))
            .map(pair)
            .collect();
        let unfinished = match alone.is_empty() {
            true => HashMap::new(),
            false => {
                tx.alone()?;
                runs::unfinished(tx, alone).await?
            }
        };
        Ok(Self {
            held,
            unfinished,
            tasks: hold_tasks(tx, runs).await?,
        })
    }

    /// A run does not begin to wait about a task that was deleted before.
    pub(crate) fn ended_with_its_task(&self, planned: &PlannedRun, run: Run) -> Run {
        let gone = |task: &TaskId| !self.tasks.contains(task);
        if run.status != RunStatus::Suspended
            || is_of_deletion(planned)
            || !run.task_id.as_ref().is_some_and(gone)
        {
            return run;
        }
        Run {
            status: RunStatus::Cancelled,
            error: Some(RunError {
                message: "the task was deleted".to_owned(),
                line: None,
                column: None,
            }),
            finished_at: Some(planned.now),
            resumes_at: None,
            waiting: None,
            waits: planned.waits_before(),
            ..run
        }
    }

    /// Whether a run is to be done: one that goes on is where it was, one that begins finds no other
    /// of its rule and task, or ends that.
    pub(crate) async fn admits(&mut self, tx: &mut Tx, planned: &PlannedRun) -> Result<bool> {
        if planned.wake.is_some() {
            return Ok(self.held.contains(&planned.run.id));
        }
        match planned.overlap {
            Overlap::Parallel => Ok(true),
            Overlap::Skip => Ok(!self.unfinished.contains_key(&pair(planned))),
            Overlap::Restart => {
                // One that fails takes nobody's place.
                if planned.run.error.is_none()
                    && let Some(before) = self.unfinished.remove(&pair(planned))
                {
                    // It may have begun in this very transaction.
                    tx.flush().await?;
                    let why = "the rule was started again for the same task (overlap: restart)";
                    match runs::cancel(tx, planned.run.workspace_id, before, why).await {
                        // It has ended meanwhile.
                        Err(Error::Conflict(_) | Error::NotFound(_)) => {}
                        cancelled => drop(cancelled?),
                    }
                }
                Ok(true)
            }
        }
    }

    /// Writes how a run stands, what has happened in it, and what it waits for.
    pub(crate) async fn record(
        &mut self,
        tx: &mut Tx,
        planned: &PlannedRun,
        run: &Run,
    ) -> Result<()> {
        let waits = run.status == RunStatus::Suspended;
        let wake = planned.wake.as_deref();
        if wake.is_some() {
            let failed = wake.filter(|_| run.error.is_some());
            runs::advance(tx, run, failed).await?;
        } else {
            let kept = Kept {
                start: (waits || run.error.is_some()).then_some(&planned.start),
                alone: begins_alone(planned),
            };
            runs::record(tx, run, &kept)?;
        }
        if run.error.is_none()
            && let Some(segment) = &planned.segment
        {
            runs::add_segment(tx, run, planned.waits_before(), segment.to_string());
        }
        if waits && let Some(wait) = &planned.wait {
            if wake.is_none() && begins_alone(planned) {
                self.unfinished.insert(pair(planned), run.id);
            }
            begin(tx, planned, &wait.0, &wait.1)?;
        }
        Ok(())
    }
}

async fn hold_tasks(tx: &Tx, runs: &[PlannedRun]) -> Result<HashSet<TaskId>> {
    let mut of: BTreeMap<WorkspaceId, Vec<TaskId>> = BTreeMap::new();
    let waits = runs.iter().filter(|planned| planned.wait.is_some());
    for planned in waits.filter(|planned| !is_of_deletion(planned)) {
        if let Some(task) = planned.run.task_id {
            of.entry(planned.run.workspace_id).or_default().push(task);
        }
    }
    let mut held = HashSet::new();
    for (workspace, ids) in of {
        held.extend(tasks::hold_all(tx, workspace, ids).await?);
    }
    Ok(held)
}

/// Of one that the deletion of its task began, the task is as it was.
fn is_of_deletion(planned: &PlannedRun) -> bool {
    planned.event.kind.as_str() == "task.deleted"
}

fn pair(planned: &PlannedRun) -> Pair {
    (planned.run.rule_id, planned.run.task_id)
}

fn begins_alone(planned: &PlannedRun) -> bool {
    planned.wake.is_none() && planned.recorded && planned.overlap != Overlap::Parallel
}

/// Sees to it that the wait ends.
fn begin(tx: &mut Tx, planned: &PlannedRun, wait: &Wait, since: &Since) -> Result<()> {
    let run = &planned.run;
    let id = WaitId {
        run_id: run.id,
        number: planned.waits_before(),
    };
    let time = Wake {
        workspace_id: run.workspace_id,
        wait: id,
        because: Because::Time,
        failures: 0,
    };
    match wait {
        Wait::Until { at } if *at <= tx.now() => {
            return tx.publish(Message::Wake(Box::new(time)));
        }
        Wait::Until { .. } => {}
        Wait::Event { pattern, .. } => waits::begin(
            tx,
            &EventWait {
                wait: id,
                workspace_id: run.workspace_id,
                task_id: run.task_id,
                pattern: pattern.clone(),
                since: since.clone(),
            },
        )?,
        Wait::Http { request, until } => {
            let number = id.number.to_be_bytes();
            let key: [&[u8]; 3] = [run.id.as_bytes(), b"http", &number];
            let content = Content::Http {
                request: Box::new(request.clone()),
                wait: id,
                until: *until,
            };
            tx.publish(notification(planned, &key, content))?;
        }
        Wait::Approval { user, question, .. } => ask(tx, planned, id, *user, question)?,
    }
    tx.schedule(Timer::of_run(time, wait.until()));
    Ok(())
}

/// Puts a question to a person.
fn ask(
    tx: &mut Tx,
    planned: &PlannedRun,
    wait: WaitId,
    user: UserId,
    question: &str,
) -> Result<()> {
    let run = &planned.run;
    let asked = planned.asked.as_deref();
    let number = wait.number.to_be_bytes();
    let key: [&[u8]; 3] = [run.id.as_bytes(), b"approval", &number];
    let approval = approvals::ask(
        tx,
        NewApproval {
            id: ApprovalId::derived(planned.now, &key),
            workspace_id: run.workspace_id,
            wait,
            rule_id: run.rule_id,
            rule_name: planned.start.rule_name.clone(),
            task_id: run.task_id,
            task_title: asked.and_then(|asked| asked.task_title.clone()),
            user_id: user,
            question: question.to_owned(),
            expires_at: run.resumes_at.unwrap_or(planned.now),
        },
    );
    let Some((to, zone)) = asked.and_then(|asked| asked.to.clone()) else {
        return Ok(());
    };
    let content = approvals::mail(&approval, to, &zone);
    tx.publish(notification(planned, &key, content))
}

fn notification(planned: &PlannedRun, key: &[&[u8]], content: Content) -> Message {
    let run = &planned.run;
    Message::Notification(Box::new(Notification {
        id: NotificationId::derived(planned.event.time, key),
        workspace_id: run.workspace_id,
        run_id: Some(run.id),
        rule_id: Some(run.rule_id),
        task_id: run.task_id,
        created_at: planned.now,
        depth: planned.event.depth.saturating_add(1),
        traceparent: run.traceparent,
        content,
    }))
}
