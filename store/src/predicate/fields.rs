//! Custom fields, of which anything may be any JSON, or absent.

use super::{Lean, any, between, holds, is_one_of, near, number_between, numbers, truth};
use crate::entity::tasks::Column;
use sea_orm::DbBackend;
use sea_orm::sea_query::extension::postgres::PgExpr;
use sea_orm::sea_query::{Expr, ExprTrait, Func, SimpleExpr};
use serde_json::Value as Json;
use smarttasks_model::predicate::{Check, Range, Value, Values};

/// A custom field, or something within one.
pub(super) struct Custom {
    on: DbBackend,
    /// Of which kind it is, in the database's words; NULL where it is missing.
    kind: SimpleExpr,
    /// Itself, as the database compares it.
    value: SimpleExpr,
    /// Itself, as text.
    text: SimpleExpr,
}

impl Custom {
    /// None when the database cannot find it.
    pub(super) fn at(path: &[String], on: DbBackend) -> Option<Self> {
        let fields = Expr::col(Column::Fields);
        if on == DbBackend::Postgres {
            let (last, outer) = path.split_last()?;
            if path.iter().any(|key| key.as_str().contains('\0')) {
                return None;
            }
            // Key by key, because a path of several would look into lists too.
            let within = outer.iter().fold(fields, |within, key| {
                within.get_json_field(Expr::val(key.as_str()))
            });
            let value = within.clone().get_json_field(Expr::val(last.as_str()));
            let text = within.cast_json_field(Expr::val(last.as_str()));
            return Some(Self {
                on,
                kind: Func::cust("jsonb_typeof").arg(value.clone()).into(),
                value,
                text: Expr::cust_with_expr(r#"($1) COLLATE "C""#, text),
            });
        }
        let path = sqlite_path(path)?;
        let of = |function: &'static str| -> SimpleExpr {
            Func::cust(function)
                .args([fields.clone(), Expr::val(path.as_str())])
                .into()
        };
        Some(Self {
            on,
            kind: of("json_type"),
            value: of("json_extract"),
            text: of("json_extract"),
        })
    }

    pub(super) fn check(&self, check: &Check, lean: Lean) -> Option<SimpleExpr> {
        Some(match check {
            Check::OneOf(values) => self.one_of(values, lean),
            Check::Range(Range::Number(bounds)) => {
                self.is_number()
                    .and(number_between(&self.value, bounds, lean, |value| {
                        self.number(value)
                    }))
            }
            Check::Range(Range::Text(bounds)) => {
                let order = between(&self.text, bounds, |text| Expr::val(text.as_str()));
                self.is_text().and(order)
            }
            Check::Holds(part) => self.is_text().and(holds(self.text.clone(), part, self.on)),
            // JSON knows no times, and what is a list is no set of tags.
            Check::Range(Range::Time(_)) | Check::Has(_) => truth(false),
        })
    }

    fn one_of(&self, values: &Values, lean: Lean) -> SimpleExpr {
        let texts: Vec<&str> = values
            .iter()
            .filter_map(|value| match value {
                Value::Text(text) => Some(text.as_str()),
                _ => None,
            })
            .collect();
        let others = values.iter().filter_map(|value| match value {
            Value::Absent => Some(self.is_absent()),
            Value::Bool(truth) => Some(self.is_bool(*truth)),
            _ => None,
        });
        let numbers = numbers(values).map(|number| {
            let near = near(&self.value, number, lean, |value| self.number(value));
            self.is_number().and(near)
        });
        let texts = (!texts.is_empty()).then(|| self.is_one_of_texts(&texts));
        any(texts.into_iter().chain(numbers).chain(others))
    }

    fn is_one_of_texts(&self, texts: &[&str]) -> SimpleExpr {
        let values = texts.iter().copied();
        match self.on {
            DbBackend::Postgres => {
                let values = values.map(|text| Expr::val(Json::from(text)));
                is_one_of(&self.value, values.collect())
            }
            _ => {
                let values = values.map(Expr::val).collect();
                self.is_text().and(is_one_of(&self.value, values))
            }
        }
    }

    fn is_absent(&self) -> SimpleExpr {
        self.kind
            .clone()
            .is_null()
            .or(self.kind.clone().eq(word("null")))
    }

    fn is_bool(&self, truth: bool) -> SimpleExpr {
        match self.on {
            DbBackend::Postgres => self.value.clone().eq(Expr::val(Json::from(truth))),
            _ => self
                .kind
                .clone()
                .eq(word(if truth { "true" } else { "false" })),
        }
    }

    fn is_text(&self) -> SimpleExpr {
        let kind = match self.on {
            DbBackend::Postgres => "string",
            _ => "text",
        };
        self.kind.clone().eq(word(kind))
    }

    fn is_number(&self) -> SimpleExpr {
        match self.on {
            DbBackend::Postgres => self.kind.clone().eq(word("number")),
            _ => self.kind.clone().is_in([word("integer"), word("real")]),
        }
    }

    /// A finite number as the value is compared with: in PostgreSQL as JSON, because what is JSON
    /// compares with everything without an error.
    fn number(&self, value: f64) -> SimpleExpr {
        match self.on {
            DbBackend::Postgres => Expr::val(Json::from(value)),
            _ => Expr::val(value),
        }
    }
}

fn word(word: &'static str) -> SimpleExpr {
    SimpleExpr::Constant(word.into())
}

/// `$."a"."b"`; none where a key is stored with escapes, which SQLite may not look through.
fn sqlite_path(path: &[String]) -> Option<String> {
    let mut written = "$".to_owned();
    for key in path {
        if key
            .as_str()
            .contains(|c: char| matches!(c, '"' | '\\') || c.is_control())
        {
            return None;
        }
        written.push_str(".\"");
        written.push_str(key);
        written.push('"');
    }
    (!path.is_empty()).then_some(written)
}
