//! The pages to which the links of a mail lead.
//!
//! Programs open links too: scanners of mail, previews, prefetchers. So looking at a page decides
//! nothing, and only its button does. A link that is not one of ours is the same to us as one to a
//! question that never was.

use crate::app::App;
use crate::extract::read_body;
use crate::html::{escaped, private_page};
use crate::problem::ApiError;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use smarttasks_model::{ApprovalId, TimeZone};
use smarttasks_store::approvals::{self, Approval, Status};
use smarttasks_store::{Error, users, workspaces};

const STYLE: &str = include_str!("style.css");

pub(in crate::routes) fn pages() -> Router<App> {
    Router::new().route("/approvals/{id}", get(show).post(decide))
}

/// What a link says.
struct Link {
    id: ApprovalId,
    approved: bool,
    token: String,
}

impl Link {
    /// From the parameters of a query or a form.
    fn of(id: &str, parameters: &[u8]) -> Option<Self> {
        let parameter = |name: &str| {
            let mut all = url::form_urlencoded::parse(parameters);
            all.find(|(found, _)| found == name)
                .map(|(_, value)| value.into_owned())
        };
        Some(Self {
            id: id.parse().ok()?,
            approved: match parameter("answer")?.as_str() {
                "yes" => true,
                "no" => false,
                _ => return None,
            },
            token: parameter("token")?,
        })
    }

    const fn answer(&self) -> &'static str {
        match self.approved {
            true => "yes",
            false => "no",
        }
    }
}

/// What a page shows of a question.
struct Shown {
    approval: Approval,
    workspace: String,
    zone: TimeZone,
}

async fn show(
    State(app): State<App>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let Some(link) = Link::of(&id, query.unwrap_or_default().as_bytes()) else {
        return unknown();
    };
    match look_up(&app, &link).await {
        Ok(shown) => match shown.approval.status {
            Status::Pending => shown.to_be_decided(&link),
            Status::Approved | Status::Denied => shown.closed(StatusCode::OK),
            Status::Expired | Status::Cancelled => shown.closed(StatusCode::GONE),
        },
        Err(error) => refused(error),
    }
}

async fn decide(State(app): State<App>, Path(id): Path<String>, body: Body) -> Response {
    let form = match read_body(body).await {
        Ok(form) => form,
        Err(problem) => return problem.into_response(),
    };
    let Some(link) = Link::of(&id, &form) else {
        return unknown();
    };
    let mut shown = match look_up(&app, &link).await {
        Ok(shown) => shown,
        Err(error) => return refused(error),
    };
    let asked = &shown.approval.asked;
    let (workspace, id, by) = (asked.workspace_id, asked.id, asked.user_id);
    let approved = link.approved;
    let answered = app.db.write(move |tx| {
        Box::pin(async move { approvals::answer(tx, workspace, id, approved, by).await })
    });
    match answered.await {
        Ok(approval) => {
            shown.approval = approval;
            shown.closed(StatusCode::OK)
        }
        Err(Error::Closed(approval)) => {
            shown.approval = *approval;
            let status = match shown.approval.answered_by {
                Some(_) => StatusCode::CONFLICT,
                None => StatusCode::GONE,
            };
            shown.closed(status)
        }
        Err(error) => refused(error),
    }
}

/// The question of a link, if that is one of ours and whom it was sent to still belongs there.
async fn look_up(app: &App, link: &Link) -> Result<Shown, Error> {
    let (id, token) = (link.id, &link.token);
    let approval = approvals::linked(&app.db, &app.links, id, link.approved, token).await?;
    let asked = &approval.asked;
    let (workspace, user) = (asked.workspace_id, asked.user_id);
    let gone = || Error::NotFound("approval");
    let role = users::role_in(&app.db, workspace, user).await?;
    role.ok_or_else(gone)?;
    let workspace = workspaces::by_ids(&app.db, [workspace])
        .await?
        .into_values()
        .next();
    let user = users::get(&app.db, user).await?;
    Ok(Shown {
        approval,
        workspace: workspace.ok_or_else(gone)?.name,
        zone: user.user.timezone,
    })
}

impl Shown {
    fn to_be_decided(&self, link: &Link) -> Response {
        let (class, label, other) = match link.approved {
            true => ("yes", "Yes", "no"),
            false => ("no", "No", "yes"),
        };
        let body = format!(
            "<p class=\"brand\">SmartTasks</p><main><p class=\"label\">Please decide</p>{about}\
             <form method=\"post\" action=\"{id}\">\
             <input type=\"hidden\" name=\"answer\" value=\"{answer}\">\
             <input type=\"hidden\" name=\"token\" value=\"{token}\">\
             <button class=\"{class}\" type=\"submit\">{label}</button></form>\
             <p class=\"note\">Nothing is decided until you press the button. To say {other}, use the \
             other link in your mail.</p></main>",
            about = self.about(""),
            id = link.id,
            answer = link.answer(),
            token = escaped(&link.token),
        );
        private_page(StatusCode::OK, "Please decide", STYLE, &body)
    }

    fn closed(&self, status: StatusCode) -> Response {
        let title = match self.approval.status {
            Status::Pending => "Open",
            Status::Approved => "The answer is yes",
            Status::Denied => "The answer is no",
            Status::Expired => "Too late",
            Status::Cancelled => "Not asked any more",
        };
        let before = match status {
            StatusCode::CONFLICT => "It was answered before. ",
            _ => "",
        };
        let outcome = self.approval.outcome(&self.zone).unwrap_or_default();
        let outcome = format!("<p class=\"said\">{before}{}</p>", escaped(&outcome));
        let body = format!(
            "<p class=\"brand\">SmartTasks</p><main><p class=\"label\">{title}</p>{}</main>",
            self.about(&outcome)
        );
        private_page(status, title, STYLE, &body)
    }

    /// The question, `then`, and what one must know to answer it.
    fn about(&self, then: &str) -> String {
        let asked = &self.approval.asked;
        let mut about = format!("<h1>{}</h1>{then}<dl>", escaped(&asked.question));
        let until = asked.expires_at.in_words(&self.zone);
        let rule = format!("the rule “{}” ({})", asked.rule_name, self.workspace);
        for (term, text) in [
            ("Task", asked.task_title.as_deref()),
            ("Asked by", Some(rule.as_str())),
            (
                "To be answered by",
                Some(self.approval.name_of(asked.user_id)),
            ),
            ("Answer until", Some(until.as_str())),
        ] {
            if let Some(text) = text {
                about.push_str(&format!("<dt>{term}</dt><dd>{}</dd>", escaped(text)));
            }
        }
        about.push_str("</dl>");
        about
    }
}

fn refused(error: Error) -> Response {
    if let Error::NotFound(_) = error {
        return unknown();
    }
    let status = ApiError::from(error).into_response().status();
    let said = "SmartTasks cannot answer at the moment, and nothing was decided. \
                Please try again in a minute.";
    message(status, "Not now", said)
}

fn unknown() -> Response {
    let said = "Please open it from the mail again, whole and unchanged. If the mail is old, what it \
                asked may have been forgotten.";
    message(StatusCode::NOT_FOUND, "This link leads nowhere", said)
}

fn message(status: StatusCode, title: &str, said: &str) -> Response {
    let body = format!(
        "<p class=\"brand\">SmartTasks</p><main><h1>{title}</h1>\
         <p class=\"said\">{said}</p></main>"
    );
    private_page(status, title, STYLE, &body)
}
