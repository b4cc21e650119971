//! Backups of the running shop: begun by an operator, listed with what became of them.

use std::sync::Arc;

use jangbu_engine::trace::shown;
use jangbu_services::backup::{Backups, Error, Known};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Api;
use crate::auth::Role;
use crate::call::Call;
use crate::codes::Own;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::route::{Doc, Route};
use crate::schemas::{list, nullable, object, text, whole, words};
use crate::text::At;

pub(crate) const ROUTES: &[Route] = &[
    Route {
        method: "GET",
        path: "/api/v1/backups",
        name: "backup.list",
        role: Role::Operator,
        keyed: false,
        run: |api, call| Box::pin(async move { list_all(&api, &call).await }),
        doc: Doc {
            summary: "The backups that are there, newest first, the one being made, and the last failure",
            query: &[],
            body: None,
            answers: &[(200, "BackupList", "With the schedule by which they are made")],
            codes: &[],
        },
    },
    Route {
        method: "POST",
        path: "/api/v1/backups",
        name: "backup.begin",
        role: Role::Operator,
        keyed: false,
        run: |api, call| Box::pin(async move { begin(&api, &call).await }),
        doc: Doc {
            summary: "Begin a backup now, while the shop goes on",
            query: &[],
            body: None,
            answers: &[(202, "BackupBegun", "It is being made; the list says what becomes of it")],
            codes: &["BACKUP_RUNNING", "BACKUP_FAILED"],
        },
    },
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Serialize)]
struct Begun<'a> {
    name: &'a str,
    directory: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    directory: String,
    every_seconds: Option<u64>,
    keep: usize,
    items: Vec<Item>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    name: String,
    state: &'static str,
    made_at: Option<At>,
    commit: Option<i64>,
    bytes: Option<u64>,
    keys: Option<bool>,
    error: Option<String>,
}

impl From<Known> for Item {
    fn from(Known { name, manifest, error }: Known) -> Self {
        let state = match (&manifest, &error) {
            (Some(_), _) => "WHOLE",
            (None, Some(_)) => "FAILED",
            (None, None) => "RUNNING",
        };
        let whole = manifest.as_ref();
        Self {
            name,
            state,
            made_at: whole.map(|of| At(of.made_at)),
            commit: whole.map(|of| of.commit),
            bytes: whole.map(|of| of.bytes),
            keys: whole.map(|of| of.keys),
            error,
        }
    }
}

/// Works with the backups on a thread that may block.
async fn with<T: Send + 'static>(
    api: &Api,
    work: impl FnOnce(&Arc<Backups>) -> T + Send + 'static,
) -> Result<T, Problem> {
    let backups = Arc::clone(&api.backups);
    let done = tokio::task::spawn_blocking(move || work(&backups)).await;
    done.map_err(|_| Problem::of(Own::Internal, "the work broke off; the log says where"))
}

async fn list_all(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    call.query()?;
    let known = with(api, |backups| backups.known()).await?;
    let schedule = api.backups.schedule();
    Ok(Reply::ok(&Listed {
        directory: schedule.to.display().to_string(),
        every_seconds: schedule.every.map(|every| every.as_secs()),
        keep: schedule.keep,
        items: known.into_iter().map(Item::from).collect(),
    }))
}

async fn begin(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let Nothing {} = call.json()?;
    let name = with(api, Backups::begin).await?.map_err(|error| match error {
        Error::Running(_) => Problem::of(Own::BackupRunning, error.to_string()),
        error => Problem::of(Own::BackupFailed, error.to_string()),
    })?;
    // A backup is wanted most when nothing can be written any more.
    if let Err(problem) = api.note(call, None, Some(&json!({ "name": name }))).await {
        let (code, correlation, trace) = (problem.code, &*call.correlation, shown(call.trace));
        tracing::warn!(code, correlation, trace, "a backup is not audited");
    }
    let directory = api.backups.path(&name).display().to_string();
    Ok(Reply::json(202, &Begun { name: &name, directory }))
}

/// The schemas of this module.
pub(crate) fn schemas() -> Value {
    let item = json!({
        "name": text(), "state": words(&["RUNNING", "WHOLE", "FAILED"]),
        "madeAt": nullable("string"), "commit": nullable("integer"), "bytes": nullable("integer"),
        "keys": nullable("boolean"), "error": nullable("string"),
    });
    let all = json!({
        "directory": text(), "everySeconds": nullable("integer"), "keep": whole(),
        "items": list("Backup"),
    });
    json!({
        "Backup": object(&item), "BackupList": object(&all),
        "BackupBegun": object(&json!({ "name": text(), "directory": text() })),
    })
}
