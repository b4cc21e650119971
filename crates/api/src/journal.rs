//! Journals: what operators book by hand or by import. Up to 500 postings, all or none.
//!
//! A journal is long work: a thousand rows take the writer longer than fifty orders. So it waits
//! in the batch lane, where orders go first, and only [`AT_ONCE`] journals are with the writer at
//! a time; the others wait here.

use std::borrow::Cow;
use std::sync::Arc;

use jangbu_domain::ledger::command::{Command, Reply as Answer, UNIT};
use jangbu_domain::ledger::journal::{Draft, LEGS};
use jangbu_domain::ledger::model::Account;
use jangbu_kernel::id::JournalId;
use jangbu_kernel::{Currency, Lane};
use jangbu_services::queries::Booked;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Api;
use crate::ask::{envelope, operated, unanswered};
use crate::auth::Role;
use crate::call::Call;
use crate::codes::Own;
use crate::idempotency::Canon;
use crate::order::REASON;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::route::{Doc, Route};
use crate::schemas::{id as id_schema, object, optional, text as text_schema, time, whole};
use crate::text::{At, id, shown};

/// Journals that are with the writer at a time.
pub(crate) const AT_ONCE: usize = 8;
/// The longest body: 500 postings of 20 legs with codes of 60 characters fit.
pub(crate) const BODY: usize = 1 << 20;
/// Its route, which alone takes such a body.
pub(crate) const NAME: &str = "ledger.journal";

const MEMO: usize = 200;
const CODE: usize = 255;

const POST: &str = r#"{"reason":"bank statement of 20 November","postings":[{"currency":"KRW",
    "memo":"line 17","legs":[{"account":"bank","amount":1000},
    {"account":"suspense","amount":-1000}]}]}"#;

pub(crate) const ROUTES: &[Route] = &[
    Route {
        method: "POST",
        path: "/api/v1/ledger/journals",
        name: NAME,
        role: Role::Operator,
        keyed: true,
        run: |api, call| Box::pin(async move { post(&api, &call).await }),
        doc: Doc {
            summary: "Book 1 to 500 postings, all of them or none",
            query: &[],
            body: Some(("PostJournal", POST)),
            answers: &[(201, "JournalPosted", "The journal is in the books")],
            codes: &[
                "POSTINGS_INVALID",
                "UNBALANCED",
                "ACCOUNT_CODE_UNKNOWN",
                "ACCOUNT_ID_TAKEN",
                "BALANCE_OVERFLOW",
            ],
        },
    },
    Route {
        method: "GET",
        path: "/api/v1/ledger/journals/{id}",
        name: "ledger.journal.get",
        role: Role::Operator,
        keyed: false,
        run: |api, call| Box::pin(async move { get(&api, &call).await }),
        doc: Doc {
            summary: "A journal with its postings",
            query: &[],
            body: None,
            answers: &[(200, "Journal", "The journal")],
            codes: &["JOURNAL_UNKNOWN"],
        },
    },
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JournalIn<'a> {
    #[serde(borrow)]
    reason: Cow<'a, str>,
    #[serde(borrow)]
    postings: Vec<PostingIn<'a>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PostingIn<'a> {
    #[serde(borrow)]
    currency: Cow<'a, str>,
    #[serde(borrow)]
    legs: Vec<LegIn<'a>>,
    #[serde(borrow, default)]
    memo: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LegIn<'a> {
    #[serde(borrow)]
    account: Cow<'a, str>,
    amount: i64,
}

fn place(posting: usize, name: &str) -> String {
    format!("postings[{posting}].{name}")
}

/// The currency of a posting, mostly that of the one before.
fn currency(at: usize, text: &str, before: Option<Currency>) -> Result<Currency, Problem> {
    match before {
        Some(before) if before.as_str() == text => Ok(before),
        _ => crate::money::currency(text, &format_args!("{}", place(at, "currency"))),
    }
}

/// Reads a journal, and the meaning of its body.
fn draft(call: &Call, id: JournalId) -> Result<(Draft, Canon), Problem> {
    let body: JournalIn<'_> = call.json()?;
    if body.reason.is_empty() || !jangbu_kernel::words::is_prose(&body.reason, REASON) {
        return Err(Problem::field("reason", format!("must have 1 to {REASON} characters")));
    }
    let mut draft = Draft::new(id, Arc::clone(&call.caller.name), &body.reason);
    let mut canon = Canon::new(call.name).text(&body.reason);
    let mut before = None;
    for (at, posting) in body.postings.iter().enumerate() {
        let currency = currency(at, &posting.currency, before)?;
        before = Some(currency);
        let memo = posting.memo.as_deref();
        if memo.is_some_and(|memo| !jangbu_kernel::words::is_line(memo, MEMO)) {
            let message = format!("must have 1 to {MEMO} characters");
            return Err(Problem::field(&place(at, "memo"), message));
        }
        draft.posting(currency, memo);
        canon = canon
            .text(currency.as_str())
            .option(memo)
            .int(i64::try_from(posting.legs.len()).unwrap_or(i64::MAX));
        for (no, leg) in posting.legs.iter().enumerate() {
            if leg.account.len() > CODE {
                let message = format!("must have at most {CODE} bytes");
                return Err(Problem::field(&place(at, &format!("legs[{no}].account")), message));
            }
            draft.leg(&leg.account, leg.amount);
            canon = canon.text(&leg.account).int(leg.amount);
        }
    }
    Ok((draft, canon))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PostedOut {
    #[serde(serialize_with = "shown::one")]
    journal_id: JournalId,
    postings: i64,
    entries: i64,
    at: At,
}

async fn post(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let (draft, canon) = draft(call, JournalId(api.shop.mint()))?;
    let why = draft.reason.clone();
    let envelope = envelope(call, UNIT, Command::Book(Box::new(draft)), canon);
    let mut envelope = operated(envelope, call, &why);
    envelope.lane = Lane::Batch;
    let turn =
        tokio::time::timeout(api.settings.request, Arc::clone(&api.journals).acquire_owned());
    let Ok(Ok(turn)) = turn.await else {
        return Err(Problem::of(Own::Shed, "too many journals wait; send it again later"));
    };
    let asked = tokio::time::timeout(api.settings.request, api.ask::<Answer>(envelope, turn));
    let asked = asked.await.unwrap_or_else(|_| Err(unanswered()))?;
    let Answer::Booked { journal, at, postings, entries } = asked.reply else {
        return Err(Problem::of(Own::Internal, "the reply is not a journal"));
    };
    let out = PostedOut { journal_id: journal, postings, entries, at: At(at) };
    let path = format!("/api/v1/ledger/journals/{journal}");
    Ok(Reply::json(201, &out).at(path).replayed(asked.replayed))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JournalOut<'a> {
    #[serde(serialize_with = "shown::one")]
    journal_id: JournalId,
    at: At,
    who: &'a str,
    reason: &'a str,
    entries: i64,
    postings: Vec<PostingOut<'a>>,
}

#[derive(Serialize)]
struct PostingOut<'a> {
    currency: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    memo: Option<&'a str>,
    legs: Vec<LegOut<'a>>,
}

#[derive(Serialize)]
struct LegOut<'a> {
    account: &'a str,
    amount: i64,
}

impl<'a> JournalOut<'a> {
    /// None: an account of an entry is gone.
    fn of(journal_id: JournalId, booked: &'a Booked) -> Option<Self> {
        let Booked { journal, entries, accounts } = booked;
        let mut postings = Vec::new();
        for posting in entries.chunk_by(|(a, _), (b, _)| a.seq == b.seq) {
            let (first, entry) = posting.first()?;
            let memo = journal.memos.iter().find(|(no, _)| *no == first.seq);
            let account = |id| accounts.get(id);
            let leg = |entry: &'a jangbu_domain::ledger::Entry| {
                let Account { code, .. } = account(&entry.account)?;
                Some(LegOut { account: code, amount: entry.amount })
            };
            postings.push(PostingOut {
                currency: account(&entry.account)?.currency.as_str(),
                memo: memo.map(|(_, memo)| &**memo),
                legs: posting.iter().map(|(_, entry)| leg(entry)).collect::<Option<_>>()?,
            });
        }
        Some(Self {
            journal_id,
            at: At(journal.at),
            who: &journal.who,
            reason: &journal.reason,
            entries: journal.entries,
            postings,
        })
    }
}

async fn get(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let id = id(JournalId::parse, JournalId::PREFIX, call.param(), || "id".into())?;
    let found = api.view_found(call, move |queries| queries.journal(id)).await?;
    let unknown = || Problem::of(Own::JournalUnknown, format!("there is no journal {id}"));
    let found = found.ok_or_else(unknown)?;
    let damaged = || Problem::of(Own::Internal, "an account is gone; run `jangbu prove`");
    Ok(Reply::ok(&JournalOut::of(id, &found).ok_or_else(damaged)?))
}

/// The schemas of these endpoints.
pub(crate) fn schemas() -> Value {
    let currency = json!({ "type": "string", "pattern": "^[A-Z]{3}$" });
    let memo = json!({ "type": "string", "minLength": 1, "maxLength": MEMO });
    let account = json!({ "type": "string", "maxLength": CODE });
    let amount = json!({
        "type": "integer", "format": "int64", "description": "Debit > 0, credit < 0, never 0",
    });
    let legs = json!({
        "type": "array", "minItems": 2, "maxItems": LEGS,
        "items": object(&json!({ "account": account, "amount": amount })),
    });
    let posting = |memo: &Value| {
        optional(&json!({ "currency": currency, "memo": memo, "legs": legs }), &["memo"])
    };
    let sent = posting(&json!({ "type": ["string", "null"], "minLength": 1, "maxLength": MEMO }));
    let postings = |posting: Value| {
        let most = jangbu_domain::ledger::journal::POSTINGS;
        json!({ "type": "array", "minItems": 1, "maxItems": most, "items": posting })
    };
    let reason = json!({ "type": "string", "minLength": 1, "maxLength": REASON });
    json!({
        "PostJournal": object(&json!({ "reason": reason, "postings": postings(sent) })),
        "JournalPosted": object(&json!({
            "journalId": id_schema("jnl"), "postings": whole(), "entries": whole(), "at": time(),
        })),
        "Journal": object(&json!({
            "journalId": id_schema("jnl"), "at": time(), "who": text_schema(),
            "reason": text_schema(), "entries": whole(), "postings": postings(posting(&memo)),
        })),
    })
}
