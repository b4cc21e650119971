//! The books: accounts, entries, balances.
//!
//! Accounts and the trial balance come from the truth in one snapshot; entries and balances at a
//! time come from the projection, which follows within milliseconds.

use std::sync::Arc;

use jangbu_domain::ledger::model::{Account, AccountId, Kind};
use jangbu_kernel::{Currency, Time};
use jangbu_services::queries::{AccountEntry, Source};
use serde::Serialize;

use crate::Api;
use crate::auth::Role;
use crate::call::{Call, Params};
use crate::money::MoneyOut;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::route::{Doc, Route, Work};
use crate::text::{At, shown, time};

const fn get(
    path: &'static str,
    name: &'static str,
    run: fn(Arc<Api>, Call) -> Work,
    doc: Doc,
) -> Route {
    Route { method: "GET", path, name, role: Role::Operator, keyed: false, run, doc }
}

const fn doc(
    summary: &'static str,
    query: &'static [&'static str],
    answers: &'static [(u16, &'static str, &'static str)],
    codes: &'static [&'static str],
) -> Doc {
    Doc { summary, query, body: None, answers, codes }
}

pub(crate) const ROUTES: &[Route] = &[
    get(
        "/api/v1/ledger/accounts",
        "ledger.accounts",
        |api, call| Box::pin(async move { accounts(&api, &call).await }),
        doc(
            "All accounts, in a fixed order",
            &["cursor", "limit"],
            &[(200, "AccountPage", "A page")],
            &[],
        ),
    ),
    get(
        "/api/v1/ledger/accounts/{code}",
        "ledger.account",
        |api, call| Box::pin(async move { account(&api, &call).await }),
        doc(
            "An account",
            &["currency!"],
            &[(200, "Account", "The account")],
            &["ACCOUNT_UNKNOWN", "INVALID_FIELD"],
        ),
    ),
    get(
        "/api/v1/ledger/accounts/{code}/entries",
        "ledger.entries",
        |api, call| Box::pin(async move { entries(&api, &call).await }),
        doc(
            "The entries of an account, newest first",
            &["currency!", "cursor", "limit"],
            &[(200, "EntryPage", "A page")],
            &["ACCOUNT_UNKNOWN", "INVALID_FIELD"],
        ),
    ),
    get(
        "/api/v1/ledger/accounts/{code}/balance",
        "ledger.balance",
        |api, call| Box::pin(async move { balance(&api, &call).await }),
        doc(
            "The balance of an account, now or at a time",
            &["currency!", "at"],
            &[(200, "Balance", "The balance on the account's normal side")],
            &["ACCOUNT_UNKNOWN", "INVALID_FIELD"],
        ),
    ),
    get(
        "/api/v1/ledger/trial-balance",
        "ledger.trial",
        |api, call| Box::pin(async move { trial(&api, &call).await }),
        doc(
            "Debits and credits of every account, in one snapshot",
            &[],
            &[(200, "TrialBalance", "The sums, and whether they balance")],
            &[],
        ),
    ),
];

const fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Asset => "ASSET",
        Kind::Liability => "LIABILITY",
        Kind::Equity => "EQUITY",
        Kind::Income => "INCOME",
        Kind::Expense => "EXPENSE",
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AccountOut<'a> {
    code: &'a str,
    #[serde(serialize_with = "shown::one")]
    currency: Currency,
    kind: &'static str,
    normal_side: &'static str,
    debits: i64,
    credits: i64,
    balance: i64,
}

impl<'a> AccountOut<'a> {
    fn of(account: &'a Account) -> Self {
        Self {
            code: &account.code,
            currency: account.currency,
            kind: kind_name(account.kind),
            normal_side: side(account.kind.is_debit_normal()),
            debits: account.debits,
            credits: account.credits,
            balance: account.balance(),
        }
    }
}

const fn side(debit: bool) -> &'static str {
    if debit { "DEBIT" } else { "CREDIT" }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page<T> {
    items: Vec<T>,
    next_cursor: Option<String>,
}

async fn accounts(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let query = call.query()?;
    let limit = query.limit()?;
    let after = query.cursor(|text| jangbu_kernel::id::decode(text).map(AccountId))?;
    let found = api.view(call, move |queries| queries.accounts(after, limit + 1)).await?;
    let page = found.len().min(limit as usize);
    let last = found[..page].last().filter(|_| found.len() > page);
    let cursor = |id: i64| {
        let mut digits = [0; 13];
        jangbu_kernel::id::encode(id, &mut digits);
        String::from_utf8_lossy(&digits).into_owned()
    };
    Ok(Reply::ok(&Page {
        items: found[..page].iter().map(|(_, account)| AccountOut::of(account)).collect(),
        next_cursor: last.map(|(id, _)| cursor(id.0)),
    }))
}

/// The account that path and query name.
async fn find(
    api: &Arc<Api>,
    call: &Call,
    query: &Params,
) -> Result<(AccountId, Account), Problem> {
    let currency = crate::money::currency(query.required("currency")?, &"currency")?;
    let code = call.param();
    let id = AccountId::of(code, currency);
    let found = api.view_found(call, move |queries| queries.account(id)).await?;
    let account = found.filter(|account| &*account.code == code && account.currency == currency);
    let unknown =
        || Problem::coded("ACCOUNT_UNKNOWN", "there is no account of this code in this currency");
    Ok((id, account.ok_or_else(unknown)?))
}

async fn account(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let query = call.query()?;
    let (_, account) = find(api, call, &query).await?;
    Ok(Reply::ok(&AccountOut::of(&account)))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EntryOut {
    at: At,
    source: String,
    posting: i64,
    leg: i64,
    side: &'static str,
    amount: MoneyOut,
    balance: MoneyOut,
}

impl EntryOut {
    fn of(entry: &AccountEntry, account: &Account) -> Self {
        let currency = account.currency;
        Self {
            at: At(entry.at),
            source: match entry.source {
                Source::Payment(id) => id.to_string(),
                Source::Journal(id) => id.to_string(),
                Source::Order(id) => id.to_string(),
                Source::Grant(id) => id.to_string(),
                Source::User(id) => id.to_string(),
            },
            posting: entry.seq,
            leg: entry.leg,
            side: side(entry.amount > 0),
            amount: MoneyOut::new(entry.amount.saturating_abs(), currency),
            balance: MoneyOut::new(normal(entry.balance, account.kind), currency),
        }
    }
}

/// Debits less credits, seen from the side on which the account grows.
const fn normal(debits_less_credits: i64, kind: Kind) -> i64 {
    if kind.is_debit_normal() { debits_less_credits } else { debits_less_credits.saturating_neg() }
}

/// Time and number of an entry: where the next page begins.
fn place(text: &str) -> Option<(Time, i64)> {
    let (at, n) = text.split_once('-')?;
    Some((Time(at.parse().ok()?), n.parse().ok()?))
}

async fn entries(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let query = call.query()?;
    let (limit, before) = (query.limit()?, query.cursor(place)?);
    let (id, account) = find(api, call, &query).await?;
    let found = api.view(call, move |queries| queries.entries(id, before, limit + 1)).await?;
    let page = found.len().min(limit as usize);
    let last = found[..page].last().filter(|_| found.len() > page);
    Ok(Reply::ok(&Page {
        items: found[..page].iter().map(|entry| EntryOut::of(entry, &account)).collect(),
        next_cursor: last.map(|entry| format!("{}-{}", entry.at.0, entry.n)),
    }))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BalanceOut<'a> {
    code: &'a str,
    kind: &'static str,
    normal_side: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<At>,
    balance: MoneyOut,
    #[serde(skip_serializing_if = "Option::is_none")]
    debits: Option<MoneyOut>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credits: Option<MoneyOut>,
}

async fn balance(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let query = call.query()?;
    let at = query.get("at").map(|text| {
        let message = "must be an RFC 3339 time such as 2026-11-21T09:00:00Z".to_owned();
        time(text).ok_or_else(|| query.bad("at", message))
    });
    let at = at.transpose()?;
    let (id, account) = find(api, call, &query).await?;
    let money = |amount| MoneyOut::new(amount, account.currency);
    let balance = match at {
        None => account.balance(),
        Some(at) => {
            normal(api.view(call, move |queries| queries.balance_at(id, at)).await?, account.kind)
        }
    };
    Ok(Reply::ok(&BalanceOut {
        code: &account.code,
        kind: kind_name(account.kind),
        normal_side: side(account.kind.is_debit_normal()),
        at: at.map(At),
        balance: money(balance),
        debits: at.is_none().then(|| money(account.debits)),
        credits: at.is_none().then(|| money(account.credits)),
    }))
}

#[derive(Serialize)]
struct TrialOut<'a> {
    accounts: Vec<AccountOut<'a>>,
    totals: Vec<TotalOut>,
    balanced: bool,
}

#[derive(Serialize)]
struct TotalOut {
    #[serde(serialize_with = "shown::one")]
    currency: Currency,
    debits: i128,
    credits: i128,
    balanced: bool,
}

/// One read, hence one snapshot: pages could see a posting half.
async fn trial(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let mut found = api.view(call, |queries| queries.accounts(None, u32::MAX)).await?;
    found.sort_by(|(_, a), (_, b)| (a.currency, &a.code).cmp(&(b.currency, &b.code)));
    let mut totals: Vec<TotalOut> = Vec::new();
    for (_, account) in &found {
        if totals.last().is_none_or(|total| total.currency != account.currency) {
            let currency = account.currency;
            totals.push(TotalOut { currency, debits: 0, credits: 0, balanced: true });
        }
        if let Some(total) = totals.last_mut() {
            total.debits += i128::from(account.debits);
            total.credits += i128::from(account.credits);
            total.balanced = total.debits == total.credits;
        }
    }
    let balanced = totals.iter().all(|total| total.balanced);
    let accounts = found.iter().map(|(_, account)| AccountOut::of(account)).collect();
    Ok(Reply::ok(&TrialOut { accounts, totals, balanced }))
}
