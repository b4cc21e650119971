//! From a fact to its JSON and back.

use jangbu_domain::coupon::model::State as CouponState;
use jangbu_domain::point::command::What;
use jangbu_kernel::{
    CampaignId, CategoryId, CouponId, GrantId, JournalId, OrderId, PaymentId, ProductId, SkuId,
    UserId,
};

use super::body::{Amount, Body, Holding, Line, Movement, Product, Stock, Tally};
use super::{Fact, PointMove};

/// What cannot be told to the outside.
type Unknown = &'static str;

/// Coupon, user, state and order as a fact has them.
type Held = (i64, i64, i64, i64);

fn money(amount: i64, currency: &str) -> Result<Amount<'_>, Unknown> {
    if currency.is_empty() {
        return Err("an older version wrote it, without its currency");
    }
    Ok(Amount { amount, currency: currency.into() })
}

/// The JSON of a fact about aggregate `key`; none: it is internal.
pub(super) fn body<'a>(key: i64, fact: &'a Fact<'a>) -> Result<Option<Body<'a>>, Unknown> {
    let order_id = OrderId(key);
    Ok(Some(match fact {
        Fact::OrderAdvanced { .. } => return Ok(None),
        Fact::OrderPlaced { user, total, currency, lines } => Body::OrderPlaced {
            order_id,
            user_id: UserId(*user),
            total: money(*total, currency)?,
            lines: lines.iter().map(|line| of_line(line, currency)).collect::<Result<_, _>>()?,
        },
        Fact::OrderCompleted { user, total, currency } => Body::OrderCompleted {
            order_id,
            user_id: UserId(*user),
            total: money(*total, currency)?,
        },
        Fact::OrderCancelled { user, outcome, reason } => Body::OrderCancelled {
            order_id,
            user_id: UserId(*user),
            outcome: (*outcome).into(),
            reason: (*reason).into(),
        },
        Fact::OrderRefunded { no, amount, currency } => {
            Body::OrderRefunded { order_id, no: *no, amount: money(*amount, currency)? }
        }
        Fact::OrderShipped { no } => Body::OrderShipped { order_id, no: *no },
        Fact::OrderDelivered { no } => Body::OrderDelivered { order_id, no: *no },
        Fact::PaymentAuthorized { .. }
        | Fact::PaymentCaptureRequested { .. }
        | Fact::PaymentCaptured { .. }
        | Fact::PaymentRefundRequested { .. }
        | Fact::PaymentRefunded { .. }
        | Fact::PaymentSetAside { .. }
        | Fact::PaymentReleased { .. } => return payment(PaymentId(key), fact),
        Fact::ProductChanged { .. }
        | Fact::ProductEdited { .. }
        | Fact::CategoryChanged { .. }
        | Fact::StockChanged { .. }
        | Fact::PointChanged { .. }
        | Fact::CouponChanged { .. }
        | Fact::JournalPosted { .. } => return other(key, fact),
    }))
}

fn of_line<'a>(
    (sku, quantity, unit_price, merchant): &(i64, i64, i64, &'a str),
    currency: &'a str,
) -> Result<Line<'a>, Unknown> {
    Ok(Line {
        sku_id: SkuId(*sku),
        merchant_id: (*merchant).into(),
        quantity: *quantity,
        unit_price: money(*unit_price, currency)?,
    })
}

fn payment<'a>(payment_id: PaymentId, fact: &'a Fact<'a>) -> Result<Option<Body<'a>>, Unknown> {
    Ok(Some(match fact {
        Fact::PaymentAuthorized { amount, currency } => {
            Body::PaymentAuthorized { payment_id, amount: money(*amount, currency)? }
        }
        Fact::PaymentCaptureRequested { amount, currency } => {
            Body::PaymentCaptureRequested { payment_id, amount: money(*amount, currency)? }
        }
        Fact::PaymentCaptured { seq, amount, currency } => {
            Body::PaymentCaptured { payment_id, posting: *seq, amount: money(*amount, currency)? }
        }
        Fact::PaymentRefundRequested { no, amount, currency } => {
            let amount = money(*amount, currency)?;
            Body::PaymentRefundRequested { payment_id, no: *no, amount }
        }
        Fact::PaymentRefunded { no, seq, amount, currency } => {
            let (amount, posting) = (money(*amount, currency)?, *seq);
            Body::PaymentRefunded { payment_id, no: *no, posting, amount }
        }
        Fact::PaymentSetAside { no, seq, amount, currency } => {
            let (amount, posting) = (money(*amount, currency)?, *seq);
            Body::PaymentSetAside { payment_id, no: *no, posting, amount }
        }
        Fact::PaymentReleased { no, seq, amount, currency } => {
            let (amount, posting) = (money(*amount, currency)?, *seq);
            Body::PaymentReleased { payment_id, no: *no, posting, amount }
        }
        _ => return Ok(None),
    }))
}

fn other<'a>(key: i64, fact: &'a Fact<'a>) -> Result<Option<Body<'a>>, Unknown> {
    Ok(Some(match fact {
        Fact::ProductChanged { sku, merchant, price, currency, on_sale } => {
            Body::ProductChanged(Product::Offer {
                product_id: ProductId(key),
                sku_id: SkuId(*sku),
                merchant_id: (*merchant).into(),
                price: money(*price, currency)?,
                on_sale: *on_sale,
            })
        }
        Fact::ProductEdited { name, category } => Body::ProductChanged(Product::Details {
            product_id: ProductId(key),
            name: (*name).into(),
            category_id: category.map(CategoryId),
        }),
        Fact::CategoryChanged { parent, code, name } => Body::CategoryChanged {
            category_id: CategoryId(key),
            parent_id: parent.map(CategoryId),
            code: (*code).into(),
            name: (*name).into(),
        },
        Fact::StockChanged { stocks } => {
            let stock = |&(sku, available)| Stock { sku_id: SkuId(sku), available };
            Body::StockChanged { stocks: stocks.iter().map(stock).collect() }
        }
        Fact::PointChanged { moves } => {
            Body::PointChanged { moves: moves.iter().map(movement).collect::<Result<_, _>>()? }
        }
        Fact::CouponChanged {
            tally: [issued, used, free, expired, revoked],
            issued: new,
            moved,
        } => Body::CouponChanged {
            campaign_id: CampaignId(key),
            tally: Tally {
                issued: *issued,
                used: *used,
                free: *free,
                expired: *expired,
                revoked: *revoked,
            },
            issued: new.iter().map(holding).collect::<Result<_, _>>()?,
            moved: moved.iter().map(holding).collect::<Result<_, _>>()?,
        },
        Fact::JournalPosted { postings, entries } => Body::JournalPosted {
            journal_id: JournalId(key),
            postings: *postings,
            entries: *entries,
        },
        _ => return Ok(None),
    }))
}

/// What a movement of points is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum About {
    Order,
    Payment,
    Grant,
    Time,
}

fn about(what: What) -> About {
    match what {
        What::Charged | What::Refunded | What::Unrefunded => About::Payment,
        What::Granted => About::Grant,
        What::Earned | What::Spent | What::Restored | What::ClawedBack | What::Unclawed => {
            About::Order
        }
        What::Expired => About::Time,
    }
}

fn movement(line: &PointMove) -> Result<Movement<'static>, Unknown> {
    let PointMove { user, what, about: id, paid, earned, seq, balance } = *line;
    let what = What::from_code(what).ok_or("a movement of points without a meaning")?;
    let is = |kind| (about(what) == kind).then_some(id);
    Ok(Movement {
        user_id: UserId(user),
        what: what.name().into(),
        order_id: is(About::Order).map(OrderId),
        payment_id: is(About::Payment).map(PaymentId),
        grant_id: is(About::Grant).map(GrantId),
        paid,
        earned,
        posting: seq,
        balance,
    })
}

fn point_move(line: &Movement<'_>) -> Result<PointMove, Unknown> {
    let Movement { user_id, what, order_id, payment_id, grant_id, .. } = line;
    let known = What::ALL.iter().find(|known| known.name() == *what);
    let what = *known.ok_or("points move for an unknown reason")?;
    let about = match about(what) {
        About::Order => order_id.map(|id| id.0),
        About::Payment => payment_id.map(|id| id.0),
        About::Grant => grant_id.map(|id| id.0),
        About::Time => Some(0),
    };
    let about = about.ok_or("a movement of points lacks what it is about")?;
    let Movement { paid, earned, posting: seq, balance, .. } = *line;
    Ok(PointMove { user: user_id.0, what: what.code(), about, paid, earned, seq, balance })
}

fn holding(&(coupon, user, state, order): &Held) -> Result<Holding<'static>, Unknown> {
    let state = CouponState::from_code(state).ok_or("a coupon in no known state")?;
    Ok(Holding {
        coupon_id: CouponId(coupon),
        user_id: UserId(user),
        state: state.name().into(),
        order_id: (order != 0).then_some(OrderId(order)),
    })
}

fn held(holding: &Holding<'_>) -> Result<Held, Unknown> {
    let Holding { coupon_id, user_id, state, order_id } = holding;
    let known = CouponState::ALL.iter().find(|known| known.name() == *state);
    let state = known.ok_or("a coupon in no known state")?.code();
    Ok((coupon_id.0, user_id.0, state, order_id.map_or(0, |order| order.0)))
}

/// The aggregate and the fact of what [`body`] has made.
pub(super) fn fact<'a>(body: &'a Body<'a>) -> Result<(i64, Fact<'a>), Unknown> {
    Ok(match body {
        Body::OrderPlaced { order_id, user_id, total, lines } => {
            let line = |line: &'a Line<'a>| {
                (line.sku_id.0, line.quantity, line.unit_price.amount, &*line.merchant_id)
            };
            let lines = lines.iter().map(line).collect();
            let Amount { amount: total, currency } = total;
            (order_id.0, Fact::OrderPlaced { user: user_id.0, total: *total, currency, lines })
        }
        Body::OrderCompleted { order_id, user_id, total: Amount { amount: total, currency } } => {
            (order_id.0, Fact::OrderCompleted { user: user_id.0, total: *total, currency })
        }
        Body::OrderCancelled { order_id, user_id, outcome, reason } => {
            (order_id.0, Fact::OrderCancelled { user: user_id.0, outcome, reason })
        }
        Body::OrderRefunded { order_id, no, amount: Amount { amount, currency } } => {
            (order_id.0, Fact::OrderRefunded { no: *no, amount: *amount, currency })
        }
        Body::OrderShipped { order_id, no } => (order_id.0, Fact::OrderShipped { no: *no }),
        Body::OrderDelivered { order_id, no } => (order_id.0, Fact::OrderDelivered { no: *no }),
        Body::ProductChanged(product) => of_product(product),
        Body::CategoryChanged { category_id, parent_id, code, name } => {
            let parent = parent_id.map(|parent| parent.0);
            (category_id.0, Fact::CategoryChanged { parent, code, name })
        }
        Body::StockChanged { stocks } => {
            let stock = |stock: &Stock| (stock.sku_id.0, stock.available);
            (0, Fact::StockChanged { stocks: stocks.iter().map(stock).collect() })
        }
        Body::PointChanged { moves } => {
            let moves = moves.iter().map(point_move).collect::<Result<_, _>>()?;
            (0, Fact::PointChanged { moves })
        }
        Body::CouponChanged { campaign_id, tally, issued: new, moved } => {
            let Tally { issued, used, free, expired, revoked } = *tally;
            let tally = [issued, used, free, expired, revoked];
            let issued = new.iter().map(held).collect::<Result<_, _>>()?;
            let moved = moved.iter().map(held).collect::<Result<_, _>>()?;
            (campaign_id.0, Fact::CouponChanged { tally, issued, moved })
        }
        Body::JournalPosted { journal_id, postings, entries } => {
            (journal_id.0, Fact::JournalPosted { postings: *postings, entries: *entries })
        }
        payment => of_payment(payment)?,
    })
}

fn of_product<'a>(product: &'a Product<'a>) -> (i64, Fact<'a>) {
    match product {
        Product::Offer { product_id, sku_id, merchant_id, price, on_sale } => {
            let Amount { amount: price, currency } = price;
            let (sku, price, on_sale) = (sku_id.0, *price, *on_sale);
            let merchant = merchant_id;
            (product_id.0, Fact::ProductChanged { sku, merchant, price, currency, on_sale })
        }
        Product::Details { product_id, name, category_id } => {
            let category = category_id.map(|category| category.0);
            (product_id.0, Fact::ProductEdited { name, category })
        }
    }
}

fn of_payment<'a>(body: &'a Body<'a>) -> Result<(i64, Fact<'a>), Unknown> {
    Ok(match body {
        Body::PaymentAuthorized { payment_id, amount: Amount { amount, currency } } => {
            (payment_id.0, Fact::PaymentAuthorized { amount: *amount, currency })
        }
        Body::PaymentCaptureRequested { payment_id, amount: Amount { amount, currency } } => {
            (payment_id.0, Fact::PaymentCaptureRequested { amount: *amount, currency })
        }
        Body::PaymentCaptured { payment_id, posting, amount: Amount { amount, currency } } => {
            (payment_id.0, Fact::PaymentCaptured { seq: *posting, amount: *amount, currency })
        }
        Body::PaymentRefundRequested { payment_id, no, amount: Amount { amount, currency } } => {
            (payment_id.0, Fact::PaymentRefundRequested { no: *no, amount: *amount, currency })
        }
        Body::PaymentRefunded { payment_id, no, posting, amount: Amount { amount, currency } } => {
            let (no, seq, amount) = (*no, *posting, *amount);
            (payment_id.0, Fact::PaymentRefunded { no, seq, amount, currency })
        }
        Body::PaymentSetAside { payment_id, no, posting, amount: Amount { amount, currency } } => {
            let (no, seq, amount) = (*no, *posting, *amount);
            (payment_id.0, Fact::PaymentSetAside { no, seq, amount, currency })
        }
        Body::PaymentReleased { payment_id, no, posting, amount: Amount { amount, currency } } => {
            let (no, seq, amount) = (*no, *posting, *amount);
            (payment_id.0, Fact::PaymentReleased { no, seq, amount, currency })
        }
        _ => return Err("an event of an unknown type"),
    })
}

/// The key of its record: the public id of the aggregate. What is told once for each commit shares
/// one key, so that it stays in order.
pub(super) fn key(body: &Body<'_>) -> String {
    match body {
        Body::OrderPlaced { order_id, .. }
        | Body::OrderCompleted { order_id, .. }
        | Body::OrderCancelled { order_id, .. }
        | Body::OrderRefunded { order_id, .. }
        | Body::OrderShipped { order_id, .. }
        | Body::OrderDelivered { order_id, .. } => order_id.to_string(),
        Body::PaymentAuthorized { payment_id, .. }
        | Body::PaymentCaptureRequested { payment_id, .. }
        | Body::PaymentCaptured { payment_id, .. }
        | Body::PaymentRefundRequested { payment_id, .. }
        | Body::PaymentRefunded { payment_id, .. }
        | Body::PaymentSetAside { payment_id, .. }
        | Body::PaymentReleased { payment_id, .. } => payment_id.to_string(),
        Body::ProductChanged(
            Product::Offer { product_id, .. } | Product::Details { product_id, .. },
        ) => product_id.to_string(),
        Body::CategoryChanged { category_id, .. } => category_id.to_string(),
        Body::StockChanged { .. } => "stock".to_owned(),
        Body::PointChanged { .. } => "point".to_owned(),
        Body::CouponChanged { campaign_id, .. } => campaign_id.to_string(),
        Body::JournalPosted { journal_id, .. } => journal_id.to_string(),
    }
}
