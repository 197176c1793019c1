//! What a rule would do, in virtual time.

mod input;
mod view;

use super::super::tasks::OnlyWorkspace;
use super::trial::{Surroundings, Tried, answer, refused};
use crate::app::App;
use crate::caller::{Member, Read};
use crate::extract::ApiPath;
use crate::once::Post;
use crate::problem::ApiError;
use crate::trials::Trial;
use axum::extract::State;
use axum::response::Response;
pub(super) use input::Draft;
use input::SimulateRule;
use smarttasks_model::{RuleId, WorkspaceId};
use smarttasks_rules::{Circumstances, Program, Simulation, Step, Timeline};
use smarttasks_store::rules::{self, Rule};
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
pub(super) use view::MomentSchema;
use view::TimelineSchema;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(simulate_rule))
        .routes(routes!(simulate_draft))
}

/// Says what a rule would do in virtual time, with what is given to it. Nothing is done.
#[utoipa::path(post, path = "/api/v1/rules/{id}/simulate", tag = "rules",
    params(("id" = Uuid, Path), OnlyWorkspace), request_body = SimulateRule,
    responses((status = 200, body = TimelineSchema)))]
async fn simulate_rule(
    State(app): State<App>,
    member: Member<Read>,
    ApiPath(id): ApiPath<RuleId>,
    Post { body, key }: Post<SimulateRule>,
) -> Result<Response, ApiError> {
    let rule = rules::get(&app.db, member.workspace_id, id).await?;
    let told = simulated(&app, &member, Some(&rule), body).await?;
    app.answer_once(key, told).await
}

/// The same for a rule that is not stored: with `rule`, or with `script` and `triggers`.
#[utoipa::path(post, path = "/api/v1/rules/simulate", tag = "rules", params(OnlyWorkspace),
    request_body = SimulateRule, responses((status = 200, body = TimelineSchema)))]
async fn simulate_draft(
    State(app): State<App>,
    member: Member<Read>,
    Post { body, key }: Post<SimulateRule>,
) -> Result<Response, ApiError> {
    let told = simulated(&app, &member, None, body).await?;
    app.answer_once(key, told).await
}

async fn simulated(
    app: &App,
    member: &Member<Read>,
    stored: Option<&Rule>,
    body: SimulateRule,
) -> Result<Timeline, ApiError> {
    let workspace = member.workspace_id;
    let simulation = body.read(app, member, stored).await?;
    let around = Surroundings::of(app, workspace).await?;
    let trial = app.trials.begin().await?;
    let program = compiled(&trial, simulation.spec.script.clone()).await?;
    let tried = Tried {
        rule: simulation.rule,
        task: simulation.task,
        state: simulation.state,
    };
    let circumstances = Circumstances {
        inputs: around.inputs(&tried, simulation.event, simulation.at),
        stored: simulation.stored,
        until: simulation.until,
        events: simulation.events,
        answers: simulation.answers,
        deadlines: true,
        endpoints: Some(around.endpoints.clone()),
    };
    let simulation = Simulation::new(program, circumstances);
    run(app, &trial, workspace, simulation).await
}

/// A program that may run.
pub(super) async fn compiled(trial: &Trial, script: String) -> Result<Arc<Program>, ApiError> {
    let compile = trial.run(move |language| language.compile(&script));
    let program = compile.await?;
    program.map(Arc::new).map_err(refused)
}

/// Runs a simulation to its end, answering what it asks from the workspace as it is.
pub(super) async fn run(
    app: &App,
    trial: &Trial,
    workspace: WorkspaceId,
    mut simulation: Simulation,
) -> Result<Timeline, ApiError> {
    loop {
        let step;
        let stepped = trial.run(move |_| {
            let step = simulation.step();
            (simulation, step)
        });
        (simulation, step) = stepped.await?;
        match step {
            Step::Done(told) => return Ok(*told),
            Step::Ask(query, now) => {
                simulation.answer(answer(app, workspace, &query, now).await?);
            }
        }
    }
}
