//! The mail that asks.

use super::Approval;
use super::links::{NO, YES};
use smarttasks_model::{Content, Recipient, TimeZone};

/// At most so many characters of a question are its subject.
const SUBJECT: usize = 100;

/// The mail that asks `to` the question, with the time in their zone. Its links are put in when it
/// is sent.
pub fn mail(approval: &Approval, to: Recipient, zone: &TimeZone) -> Content {
    let asked = &approval.asked;
    Content::Approval {
        to,
        approval_id: asked.id,
        expires_at: asked.expires_at,
        subject: subject(&asked.question),
        text: text(approval, zone),
        html: html(approval, zone),
    }
}

fn subject(question: &str) -> String {
    let line = question.lines().next().unwrap_or_default();
    match line.char_indices().nth(SUBJECT) {
        Some((end, _)) => format!("Please decide: {}…", &line[..end]),
        None => format!("Please decide: {line}"),
    }
}

const CARE: &str = "A link leads to a page that asks once more; opening it decides nothing. \
    Whoever has a link can answer in your name, so do not pass this mail on.";

fn text(approval: &Approval, zone: &TimeZone) -> String {
    let asked = &approval.asked;
    let task = asked.task_title.as_deref();
    let task = task.map_or_else(String::new, |title| format!("Task: {title}\n"));
    format!(
        "{}\n\n{task}Asked by the rule: {}\nAnswer until: {}\n\nYes: {YES}\n\nNo: {NO}\n\n{CARE}\n",
        asked.question,
        asked.rule_name,
        asked.expires_at.in_words(zone),
    )
}

fn html(approval: &Approval, zone: &TimeZone) -> String {
    let asked = &approval.asked;
    let task = asked.task_title.as_deref();
    let task = task.map_or_else(String::new, |title| {
        format!("Task: {}<br>\n", escaped(title))
    });
    let button = |link: &str, label: &str, color: &str| {
        format!(
            "<a href=\"{link}\" style=\"display:inline-block;margin:0 12px 12px 0;\
             padding:10px 24px;border-radius:6px;background:{color};color:#ffffff;\
             font-weight:bold;text-decoration:none\">{label}</a>"
        )
    };
    format!(
        "<!DOCTYPE html>\n<html><body style=\"font:16px/1.5 sans-serif;color:#1a1a1a\">\n\
         <p style=\"font-size:20px\">{question}</p>\n\
         <p>{task}Asked by the rule: {rule}<br>\nAnswer until: {until}</p>\n\
         <p>{yes}{no}</p>\n\
         <p style=\"font-size:14px;color:#595959\">{CARE}</p>\n</body></html>\n",
        question = escaped(&asked.question).replace('\n', "<br>\n"),
        rule = escaped(&asked.rule_name),
        until = escaped(&asked.expires_at.in_words(zone)),
        yes = button(YES, "Yes", "#1a7f37"),
        no = button(NO, "No", "#b42318"),
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
