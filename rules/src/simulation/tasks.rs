//! The tasks as a simulated run leaves them, over those that are stored.

use crate::{Action, Answer, Query};
use smarttasks_model::{Task, TaskChanges, TaskFilter, TaskId, Timestamp, WorkspaceId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The tasks that are different from what is stored.
#[derive(Clone, Debug, Default)]
pub(super) struct Tasks {
    /// As they are; none where one is gone.
    now: BTreeMap<TaskId, Arc<Task>>,
    /// As they are stored, where they are.
    stored: BTreeMap<TaskId, Arc<Task>>,
}

impl Tasks {
    /// With the task of the run, which may be stored.
    pub(super) fn with(task: Option<Arc<Task>>, stored: Option<Arc<Task>>) -> Self {
        Self {
            now: task.into_iter().map(|task| (task.id, task)).collect(),
            stored: stored.into_iter().map(|task| (task.id, task)).collect(),
        }
    }

    pub(super) fn get(&self, id: TaskId) -> Option<&Arc<Task>> {
        self.now.get(&id)
    }

    pub(super) fn put(&mut self, task: Arc<Task>) {
        self.now.insert(task.id, task);
    }

    /// Changes a task; what was different before, by name.
    pub(super) fn change(
        &mut self,
        id: TaskId,
        changes: &TaskChanges,
        now: Timestamp,
    ) -> Vec<&'static str> {
        match self.now.get_mut(&id) {
            Some(task) => changes.apply(Arc::make_mut(task), now),
            None => Vec::new(),
        }
    }

    /// Does what an action does to tasks; `seen` are those that queries have found.
    pub(super) fn take(
        &mut self,
        action: &Action,
        seen: &[Answer],
        workspace: WorkspaceId,
        now: Timestamp,
    ) {
        if let Action::CreateTask {
            id,
            creator_id,
            task,
        } = action
        {
            let task = task.clone().into_task(*id, workspace, *creator_id, now);
            self.put(Arc::new(task));
            return;
        }
        let Some(id) = action.task_id() else {
            return;
        };
        if !self.now.contains_key(&id)
            && let Some(found) = found(seen, id)
        {
            self.stored.insert(id, Arc::clone(found));
            self.put(Arc::clone(found));
        }
        if let Some(task) = self.now.get_mut(&id)
            && let Some(changes) = action.changes_for(task)
        {
            changes.apply(Arc::make_mut(task), now);
        }
    }

    /// The answer that the stored tasks gave, as the tasks are now.
    pub(super) fn corrected(&self, query: &Query, answer: Answer, now: Timestamp) -> Answer {
        match (query, answer) {
            (Query::Tasks { filter, limit }, Answer::Tasks(mut found)) => {
                found.retain(|task| !self.now.contains_key(&task.id));
                found.extend(self.passing(filter, now).cloned());
                found.sort_by_key(|task| (task.created_at, task.id));
                found.truncate(usize::try_from(*limit).unwrap_or(usize::MAX));
                Answer::Tasks(found)
            }
            (Query::Count(filter), Answer::Count(number)) => {
                let stored = self.stored.values();
                let before = stored.filter(|task| filter.matches(task, now)).count() as u64;
                let after = self.passing(filter, now).count() as u64;
                Answer::Count(number.saturating_sub(before) + after)
            }
            (_, answer) => answer,
        }
    }

    fn passing<'a>(
        &'a self,
        filter: &'a TaskFilter,
        now: Timestamp,
    ) -> impl Iterator<Item = &'a Arc<Task>> {
        self.now
            .values()
            .filter(move |task| filter.matches(task, now))
    }
}

fn found(seen: &[Answer], id: TaskId) -> Option<&Arc<Task>> {
    seen.iter().find_map(|answer| match answer {
        Answer::Tasks(tasks) => tasks.iter().find(|task| task.id == id),
        Answer::Count(_) => None,
    })
}
