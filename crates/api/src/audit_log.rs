//! The audit log, for operators: who did what, why, and what it changed. Nobody writes it here: a
//! line is part of the commit that carries out what it tells of.

use std::sync::Arc;

use jangbu_engine::desk;
use jangbu_kernel::{Envelope, Lane, Origin};
use jangbu_services::desk::{AuditFilter, AuditLine};
use serde::Serialize;
use serde_json::{Value, json};

use crate::Api;
use crate::ask::operated;
use crate::auth::Role;
use crate::call::Call;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::route::{Doc, Route};
use crate::schemas;
use crate::text::At;

pub(crate) const ROUTES: &[Route] = &[Route {
    method: "GET",
    path: "/api/v1/audit",
    name: "audit.list",
    role: Role::Operator,
    keyed: false,
    run: |api, call| Box::pin(async move { list(&api, &call).await }),
    doc: Doc {
        summary: "What operators did, newest first. With a filter a page may be short, or empty, \
                  and not be the last",
        query: &["cursor", "limit", "who", "operation", "resource"],
        body: None,
        answers: &[(200, "AuditPage", "A page")],
        codes: &[],
    },
}];

pub(crate) fn schemas() -> Value {
    let (text, state) = (schemas::text(), json!({ "type": ["object", "null"] }));
    json!({
        "AuditLine": schemas::object(&json!({
            "id": text, "at": schemas::time(), "who": text, "operation": text, "unit": text,
            "resource": text, "why": text, "before": state, "after": state,
            "correlationId": schemas::nullable("string"),
        })),
        "AuditPage": schemas::page("AuditLine"),
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LineOut<'a> {
    id: String,
    at: At,
    who: &'a str,
    operation: &'a str,
    unit: &'a str,
    resource: &'a str,
    why: &'a str,
    before: Option<Value>,
    after: Option<Value>,
    correlation_id: Option<&'a str>,
}

impl<'a> LineOut<'a> {
    fn of(line: &'a AuditLine) -> Self {
        let state = |text: &Option<String>| text.as_deref().map(serde_json::from_str);
        Self {
            id: line.id.to_string(),
            at: At(line.at),
            who: &line.who,
            operation: &line.operation,
            unit: &line.unit,
            resource: &line.resource,
            why: &line.why,
            before: state(&line.before).and_then(Result::ok),
            after: state(&line.after).and_then(Result::ok),
            correlation_id: line.correlation.as_deref(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page<'a> {
    items: Vec<LineOut<'a>>,
    next_cursor: Option<String>,
}

async fn list(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let query = call.query()?;
    let (limit, before) = (query.limit()?, query.cursor(|text| text.parse::<i64>().ok())?);
    let text = |name| query.get(name).map(str::to_owned);
    let filter =
        AuditFilter { who: text("who"), operation: text("operation"), resource: text("resource") };
    let (lines, next) =
        api.view(call, move |queries| queries.audit_log(&filter, before, limit)).await?;
    Ok(Reply::ok(&Page {
        items: lines.iter().map(LineOut::of).collect(),
        next_cursor: next.map(|id| id.to_string()),
    }))
}

impl Api {
    /// Writes into the audit log what is no command of any unit. The states are JSON objects.
    pub(crate) async fn note(
        &self,
        call: &Call,
        before: Option<&Value>,
        after: Option<&Value>,
    ) -> Result<(), Problem> {
        let (before, after) = (before.map(Value::to_string), after.map(Value::to_string));
        let note = desk::Command::Note { before, after };
        self.at_the_desk(call, note, "").await.map(|_| ())
    }

    /// Asks the engine itself on an operator's behalf.
    pub(crate) async fn at_the_desk(
        &self,
        call: &Call,
        command: desk::Command,
        why: &str,
    ) -> Result<desk::Reply, Problem> {
        let mut envelope = Envelope::new(desk::UNIT, Origin::Client, command);
        call.mark(&mut envelope);
        envelope.lane = Lane::Checkout;
        let asked = self.ask_soon::<desk::Reply>(operated(envelope, call, why)).await?;
        Ok(asked.reply)
    }
}
