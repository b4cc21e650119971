//! What a command under a key that was taken wants otherwise than the first one did, as far as the
//! order tells. Tokens are not kept, so they are not compared.

use std::sync::Arc;

use jangbu_domain::order::model::Order;
use jangbu_kernel::{Money, OrderId, SkuId};

use super::form::{PlaceIn, Wish};
use crate::Api;
use crate::call::Call;
use crate::problem::Problem;
use crate::repeats::Difference;

/// A place whose key belongs to another order.
pub(super) async fn place(api: &Arc<Api>, call: &Call, problem: Problem) -> Problem {
    let Ok(wish) = call.json::<PlaceIn<'_>>().and_then(|body| Wish::read(call, &body)) else {
        return problem;
    };
    let compare = move |order: &Order| {
        let first: Vec<_> = order.lines.iter().map(|line| (line.sku, line.quantity)).collect();
        let later = wish.lines.iter().map(|line| (line.sku, line.quantity)).collect();
        let total = Money { amount: order.total, currency: order.currency };
        let between = [
            Difference::between("userId", (&order.user, &wish.user), ToString::to_string),
            Difference::between("lines", (&first, &later), |lines| shown(lines)),
            Difference::between("expectedTotal", (&total, &wish.expected), ToString::to_string),
            Difference::between("payment.mode", (&order.mode, &wish.mode), |mode| {
                mode.name().to_owned()
            }),
            Difference::between("couponId", (&order.coupon_id(), &wish.coupon), |coupon| {
                named(coupon.as_ref())
            }),
            Difference::between(
                "points",
                (&order.points.wanted, &wish.points),
                ToString::to_string,
            ),
            Difference::between("expectedPay", (&order.expects, &wish.pay), |pay| {
                named(pay.as_ref())
            }),
        ];
        between.into_iter().flatten().collect()
    };
    let read = |queries: &jangbu_services::queries::Queries, id| {
        Ok(queries.order(OrderId(id))?.as_ref().map(compare).unwrap_or_default())
    };
    api.differ(problem, read).await
}

/// A command about `later` whose key belongs to one about another order.
pub(super) async fn other(api: &Arc<Api>, problem: Problem, later: OrderId) -> Problem {
    let read = move |_: &_, first| {
        let between = Difference::between("id", (&OrderId(first), &later), ToString::to_string);
        Ok(between.into_iter().collect())
    };
    api.differ(problem, read).await
}

fn named<T: ToString>(what: Option<&T>) -> String {
    what.map_or_else(|| "none".to_owned(), ToString::to_string)
}

fn shown(lines: &[(SkuId, i64)]) -> String {
    let line = |(sku, quantity): &(SkuId, i64)| format!("{quantity} of {sku}");
    lines.iter().map(line).collect::<Vec<_>>().join(", ")
}
