//! The operator's desk on the command line: thin clients of a running server. What a command prints
//! is what the server answered, as a table or (`--json`) as it came.

mod catalog;
mod client;
mod merchant;
mod table;
mod user;

use anyhow::Result;
use serde_json::{Value, json};

pub(crate) use self::catalog::catalog;
pub(crate) use self::client::{Client, Refused};
pub(crate) use self::merchant::merchant;
pub(crate) use self::user::user;

pub(crate) use self::table::aligned;
use self::table::{Column, page, show};
use crate::args::{
    AuditLog, Desk, DlqCommand, Explain, Letters, PaymentCommand, PoisonCommand, SagaCommand,
};
use crate::exit::{self, Exit};

const SAGAS: &[Column] = &[
    ("ORDER", "/orderId"),
    ("STATE", "/state"),
    ("STUCK IN", "/stuckIn"),
    ("AGE", "/ageSeconds"),
    ("TRIES", "/tries"),
    ("ALLOWED", "/allowed"),
    ("WHY", "/sentence"),
];
const PAYMENTS: &[Column] = &[
    ("PAYMENT", "/id"),
    ("OPERATION", "/operation"),
    ("AGE", "/ageSeconds"),
    ("AT RISK", "/moneyAtRisk"),
    ("NEXT INQUIRY", "/nextInquiryAt"),
    ("WHY", "/sentence"),
];
const POISON: &[Column] = &[
    ("ID", "/id"),
    ("STATE", "/state"),
    ("AT", "/at"),
    ("UNIT", "/unit"),
    ("ORIGIN", "/origin"),
    ("RETRYABLE", "/retryable"),
    ("ERROR", "/error"),
];
const PARKED: &[Column] = &[
    ("CONSUMER", "/consumer"),
    ("KEY", "/key"),
    ("SINCE", "/since"),
    ("TOPIC", "/topic"),
    ("TRIES", "/tries"),
    ("ERROR", "/error"),
];
const AUDIT: &[Column] = &[
    ("AT", "/at"),
    ("WHO", "/who"),
    ("OPERATION", "/operation"),
    ("RESOURCE", "/resource"),
    ("WHY", "/why"),
];

/// `jangbu saga …`
pub(crate) fn saga(desk: &Desk, command: &SagaCommand) -> Result<Exit> {
    let client = Client::open(desk)?;
    let act = |id: &str, verb: &str, reason: &str| {
        client.post(&format!("/api/v1/sagas/{id}/{verb}"), &json!({ "reason": reason }))
    };
    match command {
        SagaCommand::List { state, page: at } => {
            let answer = client.list("/api/v1/sagas", &[("state", Some(state))], at)?;
            print(desk, &answer, |answer| page(answer, SAGAS))
        }
        SagaCommand::Show { id } => print(desk, &client.get(&format!("/api/v1/sagas/{id}"))?, show),
        SagaCommand::Retry(verb) => print(desk, &act(&verb.id, "retry", &verb.reason)?, show),
        SagaCommand::Compensate(verb) => {
            print(desk, &act(&verb.id, "compensate", &verb.reason)?, show)
        }
        SagaCommand::Abandon(verb) => print(desk, &act(&verb.id, "abandon", &verb.reason)?, show),
    }
}

/// `jangbu payment …`
pub(crate) fn payment(desk: &Desk, command: &PaymentCommand) -> Result<Exit> {
    let client = Client::open(desk)?;
    match command {
        PaymentCommand::Unknown { page: at } => {
            let state = [("state", Some("UNKNOWN"))];
            let answer = client.list("/api/v1/payments", &state, at)?;
            print(desk, &answer, |answer| {
                let totals = show(&answer["totals"]);
                page(answer, PAYMENTS) + &totals
            })
        }
        PaymentCommand::Show { id } => {
            print(desk, &client.get(&format!("/api/v1/payments/{id}"))?, show)
        }
        PaymentCommand::Ask(verb) => {
            let path = format!("/api/v1/payments/{}/inquire", verb.id);
            print(desk, &client.post(&path, &json!({ "reason": verb.reason }))?, show)
        }
        PaymentCommand::Resolve { id, refund, verdict, evidence } => {
            let mut body = json!({ "verdict": verdict, "evidence": evidence });
            if let Some(no) = refund {
                body["refund"] = json!(no);
            }
            let path = format!("/api/v1/payments/{id}/resolve");
            print(desk, &client.post(&path, &body)?, show)
        }
    }
}

/// `jangbu poison …`
pub(crate) fn poison(desk: &Desk, command: &PoisonCommand) -> Result<Exit> {
    let client = Client::open(desk)?;
    let path = |id: &str, verb: &str| format!("/api/v1/poison/{id}{verb}");
    match command {
        PoisonCommand::List { state, page: at } => {
            let answer = client.list("/api/v1/poison", &[("state", state.as_deref())], at)?;
            print(desk, &answer, |answer| page(answer, POISON))
        }
        PoisonCommand::Show { id } => print(desk, &client.get(&path(id, ""))?, show),
        PoisonCommand::Retry(verb) => {
            let body = json!({ "reason": verb.reason });
            print(desk, &client.post(&path(&verb.id, "/retry"), &body)?, show)
        }
        PoisonCommand::Discard(verb) => {
            let body = json!({ "reason": verb.reason });
            print(desk, &client.post(&path(&verb.id, "/discard"), &body)?, show)
        }
    }
}

/// `jangbu dlq …`
pub(crate) fn dlq(desk: &Desk, command: &DlqCommand) -> Result<Exit> {
    let client = Client::open(desk)?;
    let path = |Letters { consumer, parked }: &Letters, verb: &str| {
        format!("/api/v1/dlq/{}/{}{verb}", client::escaped(consumer), client::escaped(parked))
    };
    match command {
        DlqCommand::List { consumer, page: at } => {
            let only = [("consumer", consumer.as_deref())];
            let answer = client.list("/api/v1/dlq", &only, at)?;
            print(desk, &answer, |answer| page(answer, PARKED))
        }
        DlqCommand::Show(letters) => print(desk, &client.get(&path(letters, ""))?, show),
        DlqCommand::Replay { letters, dry_run: true, .. } => {
            print(desk, &client.get(&path(letters, "/dry-run"))?, show)
        }
        DlqCommand::Replay { letters, reason, .. } => {
            let body = json!({ "reason": reason });
            print(desk, &client.post(&path(letters, "/replay"), &body)?, show)
        }
        DlqCommand::Discard { letters, reason } => {
            let body = json!({ "reason": reason });
            print(desk, &client.post(&path(letters, "/discard"), &body)?, show)
        }
    }
}

/// `jangbu audit`
pub(crate) fn audit(args: &AuditLog) -> Result<Exit> {
    let client = Client::open(&args.desk)?;
    let filters = [
        ("who", args.who.as_deref()),
        ("operation", args.operation.as_deref()),
        ("resource", args.resource.as_deref()),
    ];
    let answer = client.list("/api/v1/audit", &filters, &args.page)?;
    print(&args.desk, &answer, |answer| page(answer, AUDIT))
}

/// `jangbu idempotency KEY`
pub(crate) fn idempotency(args: &Explain) -> Result<Exit> {
    let client = Client::open(&args.desk)?;
    let path = format!("/api/v1/idempotency/{}", client::escaped(&args.idempotency_key));
    let path = match &args.scope {
        None => path,
        Some(scope) => format!("{path}?scope={}", client::escaped(scope)),
    };
    print(&args.desk, &client.get(&path)?, show)
}

fn print(desk: &Desk, answer: &Value, table: impl FnOnce(&Value) -> String) -> Result<Exit> {
    let text = if desk.json { serde_json::to_string_pretty(answer)? + "\n" } else { table(answer) };
    exit::print(&text)
}
