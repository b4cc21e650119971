//! Balance and history.

use std::sync::Arc;

use jangbu_domain::point::command::What;
use jangbu_domain::point::model::{Account, Lot};
use jangbu_kernel::id::{decode, encode};
use jangbu_kernel::{Currency, GrantId, OrderId, PaymentId, UserId};
use jangbu_services::queries::PointMovement;
use serde::Serialize;

use super::{CURRENCY, user};
use crate::Api;
use crate::call::Call;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::text::{At, shown};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PointsOut {
    #[serde(serialize_with = "shown::one")]
    user_id: UserId,
    #[serde(serialize_with = "shown::one")]
    currency: Currency,
    balance: i64,
    paid: i64,
    earned: i64,
    next_expiry: Option<ExpiryOut>,
    lots: Vec<LotOut>,
}

#[derive(Serialize)]
struct ExpiryOut {
    at: At,
    points: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LotOut {
    kind: &'static str,
    points: i64,
    expires_at: Option<At>,
}

impl PointsOut {
    fn of(user_id: UserId, account: &Account) -> Self {
        let Account { currency, left, lots, .. } = account;
        let lot = |lot: &Lot| LotOut {
            kind: lot.kind.name(),
            points: lot.amount,
            expires_at: lot.until.map(At),
        };
        let first = account.first_end();
        let with_first = lots.iter().take_while(|lot| lot.until == first);
        let points = with_first.map(|lot| lot.amount).fold(0, i64::saturating_add);
        Self {
            user_id,
            currency: *currency,
            balance: left.sum(),
            paid: left.paid,
            earned: left.earned,
            next_expiry: first.map(|at| ExpiryOut { at: At(at), points }),
            lots: lots.iter().map(lot).collect(),
        }
    }
}

pub(super) async fn points(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let user = user(call)?;
    let found = api.read(move |queries| queries.points(user)).await?;
    let account = found.unwrap_or_else(|| Account::new(CURRENCY));
    Ok(Reply::ok(&PointsOut::of(user, &account)))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    items: Vec<MovementOut>,
    next_cursor: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MovementOut {
    at: At,
    what: &'static str,
    #[serde(serialize_with = "shown::option")]
    order_id: Option<OrderId>,
    #[serde(serialize_with = "shown::option")]
    payment_id: Option<PaymentId>,
    #[serde(serialize_with = "shown::option")]
    grant_id: Option<GrantId>,
    paid: i64,
    earned: i64,
    balance: i64,
}

impl From<&PointMovement> for MovementOut {
    fn from(line: &PointMovement) -> Self {
        let PointMovement { n: _, at, what, about, paid, earned, balance } = *line;
        let mut out = Self {
            at: At(at),
            what: what.name(),
            order_id: None,
            payment_id: None,
            grant_id: None,
            paid,
            earned,
            balance,
        };
        match what {
            What::Charged | What::Refunded | What::Unrefunded => {
                out.payment_id = Some(PaymentId(about));
            }
            What::Granted => out.grant_id = Some(GrantId(about)),
            What::Earned | What::Spent | What::Restored | What::ClawedBack | What::Unclawed => {
                out.order_id = Some(OrderId(about));
            }
            What::Expired => {}
        }
        out
    }
}

pub(super) async fn history(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let user = user(call)?;
    let query = call.query()?;
    let (limit, before) = (query.limit()?, query.cursor(decode)?);
    let found =
        api.view(call, move |queries| queries.point_history(user, before, limit + 1)).await?;
    let page = found.len().min(limit as usize);
    let last = found[..page].last().filter(|_| found.len() > page);
    let items = found[..page].iter().map(MovementOut::from).collect();
    Ok(Reply::ok(&Page { items, next_cursor: last.map(|line| cursor(line.n)) }))
}

/// The number of a movement, as ids are written.
fn cursor(n: i64) -> String {
    let mut digits = [0; 13];
    encode(n, &mut digits);
    digits.into_iter().map(char::from).collect()
}
