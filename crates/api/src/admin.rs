//! For operators: prove the books, take no new business.

use std::sync::Arc;

use jangbu_engine::mailbox::Why;
use jangbu_engine::trace::shown;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::Api;
use crate::auth::Role;
use crate::call::Call;
use crate::codes::Own;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::route::{Doc, Route};

const READ_ONLY: &str = r#"{"on":true}"#;

pub(crate) const ROUTES: &[Route] = &[
    Route {
        method: "POST",
        path: "/api/v1/admin/prove",
        name: "admin.prove",
        role: Role::Operator,
        keyed: false,
        run: |api, call| Box::pin(async move { prove(&api, &call).await }),
        doc: Doc {
            summary: "Prove the books of the running server, as `jangbu prove --json` does",
            query: &[],
            body: None,
            answers: &[(200, "Report", "The report, with its findings if there are any")],
            codes: &["PROVE_FAILED"],
        },
    },
    Route {
        method: "POST",
        path: "/api/v1/admin/read-only",
        name: "admin.read-only",
        role: Role::Operator,
        keyed: false,
        run: |api, call| Box::pin(async move { read_only(&api, &call).await }),
        doc: Doc {
            summary: "Take no new business, or take it again; what was begun still ends",
            query: &[],
            body: Some(("SetReadOnly", READ_ONLY)),
            answers: &[(200, "ReadOnly", "As it is now")],
            codes: &["READ_ONLY", "STORE_FAILED", "SHED", "STOPPING", "UNANSWERED"],
        },
    },
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadOnlyIn {
    on: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReadOnlyOut {
    read_only: bool,
}

async fn prove(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let Nothing {} = call.json()?;
    // The books can be proved, and must be, also when nothing can be written any more.
    if let Err(problem) = api.note(call, None, None).await {
        let (code, correlation, trace) = (problem.code, &*call.correlation, shown(call.trace));
        tracing::warn!(code, correlation, trace, "a proof is not audited");
    }
    let prove = Arc::clone(&api.prove);
    match tokio::task::spawn_blocking(move || prove()).await {
        Ok(Ok(report)) => Ok(Reply::ok(&report)),
        Ok(Err(why)) => Err(Problem::of(Own::ProveFailed, why)),
        Err(_) => Err(Problem::of(Own::Internal, "the proof broke off; the log says where")),
    }
}

async fn read_only(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let ReadOnlyIn { on } = call.json()?;
    // What the server has entered by itself is not an operator's to leave.
    if let Some(why) = api.shop.read_only().filter(|why| *why != Why::ReadOnly) {
        return Err(Problem::not_run(why));
    }
    let state = |on: bool| json!({ "readOnly": on });
    let was = api.shop.read_only().is_some();
    api.note(call, Some(&state(was)), Some(&state(on))).await?;
    let (correlation, trace) = (&*call.correlation, shown(call.trace));
    tracing::warn!(on, correlation, trace, "an operator sets read-only");
    api.shop.set_read_only(on);
    Ok(Reply::ok(&ReadOnlyOut { read_only: api.shop.read_only().is_some() }))
}
