//! What the JSON of each event looks like: public ids, amounts with their currency, names instead
//! of numbers. The schemas in `crates/services/schemas` say the same to the outside.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use jangbu_kernel::{
    CampaignId, CategoryId, CouponId, GrantId, JournalId, OrderId, PaymentId, ProductId, SkuId,
    Time, UserId,
};

/// Text that is borrowed when it is written, and when it is read without escapes.
pub(super) type Text<'a> = Cow<'a, str>;

/// An event.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document<'a> {
    /// Its number in the outbox: it is the same however often it is published.
    #[serde(with = "number")]
    pub(super) event_id: i64,
    /// When it was committed.
    #[serde(with = "moment")]
    pub(super) at: Time,
    /// Version of the aggregate.
    pub(super) version: i64,
    #[serde(flatten, borrow)]
    pub(super) body: Body<'a>,
}

/// Money.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Amount<'a> {
    pub(super) amount: i64,
    #[serde(borrow)]
    pub(super) currency: Text<'a>,
}

/// What is special about an event, by its topic.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub(super) enum Body<'a> {
    #[serde(rename = "order.placed")]
    OrderPlaced {
        #[serde(with = "id")]
        order_id: OrderId,
        #[serde(with = "id")]
        user_id: UserId,
        #[serde(borrow)]
        total: Amount<'a>,
        #[serde(borrow)]
        lines: Vec<Line<'a>>,
    },
    #[serde(rename = "order.completed")]
    OrderCompleted {
        #[serde(with = "id")]
        order_id: OrderId,
        #[serde(with = "id")]
        user_id: UserId,
        #[serde(borrow)]
        total: Amount<'a>,
    },
    #[serde(rename = "order.cancelled")]
    OrderCancelled {
        #[serde(with = "id")]
        order_id: OrderId,
        #[serde(with = "id")]
        user_id: UserId,
        #[serde(borrow)]
        outcome: Text<'a>,
        #[serde(borrow)]
        reason: Text<'a>,
    },
    #[serde(rename = "order.refunded")]
    OrderRefunded {
        #[serde(with = "id")]
        order_id: OrderId,
        no: u32,
        #[serde(borrow)]
        amount: Amount<'a>,
    },
    #[serde(rename = "order.shipped")]
    OrderShipped {
        #[serde(with = "id")]
        order_id: OrderId,
        no: u32,
    },
    #[serde(rename = "order.delivered")]
    OrderDelivered {
        #[serde(with = "id")]
        order_id: OrderId,
        no: u32,
    },
    #[serde(rename = "payment.authorized")]
    PaymentAuthorized {
        #[serde(with = "id")]
        payment_id: PaymentId,
        #[serde(borrow)]
        amount: Amount<'a>,
    },
    #[serde(rename = "payment.capture-requested")]
    PaymentCaptureRequested {
        #[serde(with = "id")]
        payment_id: PaymentId,
        #[serde(borrow)]
        amount: Amount<'a>,
    },
    #[serde(rename = "payment.captured")]
    PaymentCaptured {
        #[serde(with = "id")]
        payment_id: PaymentId,
        posting: i64,
        #[serde(borrow)]
        amount: Amount<'a>,
    },
    #[serde(rename = "payment.refund-requested")]
    PaymentRefundRequested {
        #[serde(with = "id")]
        payment_id: PaymentId,
        no: u32,
        #[serde(borrow)]
        amount: Amount<'a>,
    },
    #[serde(rename = "payment.refunded")]
    PaymentRefunded {
        #[serde(with = "id")]
        payment_id: PaymentId,
        no: u32,
        posting: i64,
        #[serde(borrow)]
        amount: Amount<'a>,
    },
    #[serde(rename = "payment.set-aside")]
    PaymentSetAside {
        #[serde(with = "id")]
        payment_id: PaymentId,
        no: u32,
        posting: i64,
        #[serde(borrow)]
        amount: Amount<'a>,
    },
    #[serde(rename = "payment.released")]
    PaymentReleased {
        #[serde(with = "id")]
        payment_id: PaymentId,
        no: u32,
        posting: i64,
        #[serde(borrow)]
        amount: Amount<'a>,
    },
    #[serde(rename = "product.changed")]
    ProductChanged(#[serde(borrow)] Product<'a>),
    #[serde(rename = "category.changed")]
    CategoryChanged {
        #[serde(with = "id")]
        category_id: CategoryId,
        #[serde(with = "id::option")]
        parent_id: Option<CategoryId>,
        #[serde(borrow)]
        code: Text<'a>,
        #[serde(borrow)]
        name: Text<'a>,
    },
    #[serde(rename = "stock.changed")]
    StockChanged { stocks: Vec<Stock> },
    #[serde(rename = "point.changed")]
    PointChanged {
        #[serde(borrow)]
        moves: Vec<Movement<'a>>,
    },
    #[serde(rename = "coupon.changed")]
    CouponChanged {
        #[serde(with = "id")]
        campaign_id: CampaignId,
        tally: Tally,
        #[serde(borrow)]
        issued: Vec<Holding<'a>>,
        #[serde(borrow)]
        moved: Vec<Holding<'a>>,
    },
    #[serde(rename = "journal.posted")]
    JournalPosted {
        #[serde(with = "id")]
        journal_id: JournalId,
        postings: i64,
        entries: i64,
    },
}

/// A line of an order.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Line<'a> {
    #[serde(with = "id")]
    pub(super) sku_id: SkuId,
    #[serde(borrow)]
    pub(super) merchant_id: Text<'a>,
    pub(super) quantity: i64,
    #[serde(borrow)]
    pub(super) unit_price: Amount<'a>,
}

/// What changed of a product.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "UPPERCASE", rename_all_fields = "camelCase")]
pub(super) enum Product<'a> {
    /// A SKU is offered in another way.
    Offer {
        #[serde(with = "id")]
        product_id: ProductId,
        #[serde(with = "id")]
        sku_id: SkuId,
        #[serde(borrow)]
        merchant_id: Text<'a>,
        #[serde(borrow)]
        price: Amount<'a>,
        on_sale: bool,
    },
    /// It is called otherwise, or stands elsewhere.
    Details {
        #[serde(with = "id")]
        product_id: ProductId,
        #[serde(borrow)]
        name: Text<'a>,
        #[serde(with = "id::option")]
        category_id: Option<CategoryId>,
    },
}

/// Units of a SKU that can be sold.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Stock {
    #[serde(with = "id")]
    pub(super) sku_id: SkuId,
    pub(super) available: i64,
}

/// A movement of points.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Movement<'a> {
    #[serde(with = "id")]
    pub(super) user_id: UserId,
    #[serde(borrow)]
    pub(super) what: Text<'a>,
    #[serde(with = "id::option")]
    pub(super) order_id: Option<OrderId>,
    #[serde(with = "id::option")]
    pub(super) payment_id: Option<PaymentId>,
    #[serde(with = "id::option")]
    pub(super) grant_id: Option<GrantId>,
    pub(super) paid: i64,
    pub(super) earned: i64,
    pub(super) posting: i64,
    pub(super) balance: i64,
}

/// How many coupons of a campaign are in which state.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Tally {
    pub(super) issued: i64,
    pub(super) used: i64,
    pub(super) free: i64,
    pub(super) expired: i64,
    pub(super) revoked: i64,
}

/// A coupon that a user has.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Holding<'a> {
    #[serde(with = "id")]
    pub(super) coupon_id: CouponId,
    #[serde(with = "id")]
    pub(super) user_id: UserId,
    #[serde(borrow)]
    pub(super) state: Text<'a>,
    #[serde(with = "id::option")]
    pub(super) order_id: Option<OrderId>,
}

/// Ids in their text form.
mod id {
    use std::borrow::Cow;
    use std::fmt::Display;

    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::Serializer;

    use jangbu_kernel::{
        CampaignId, CategoryId, CouponId, GrantId, JournalId, OrderId, PaymentId, ProductId, SkuId,
        UserId,
    };

    /// What can be read from its text form.
    pub(super) trait Id: Sized {
        fn read(text: &str) -> Option<Self>;
    }

    macro_rules! ids {
        ($($name:ident),+) => { $(
            impl Id for $name {
                fn read(text: &str) -> Option<Self> {
                    Self::parse(text)
                }
            }
        )+ };
    }

    ids!(
        CampaignId, CategoryId, CouponId, GrantId, JournalId, OrderId, PaymentId, ProductId, SkuId,
        UserId
    );

    pub(super) fn serialize<T: Display, S: Serializer>(id: &T, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(id)
    }

    pub(super) fn deserialize<'de, T: Id, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
        let text = Cow::<'de, str>::deserialize(from)?;
        T::read(&text).ok_or_else(|| D::Error::custom(format_args!("{text} is no such id")))
    }

    pub(super) mod option {
        use super::{Cow, Deserialize, Deserializer, Display, Error, Id, Serializer};

        #[expect(clippy::ref_option, reason = "serde hands over the field by reference")]
        pub(in super::super) fn serialize<T: Display, S: Serializer>(
            id: &Option<T>,
            to: S,
        ) -> Result<S::Ok, S::Error> {
            match id {
                Some(id) => to.collect_str(id),
                None => to.serialize_none(),
            }
        }

        pub(in super::super) fn deserialize<'de, T: Id, D: Deserializer<'de>>(
            from: D,
        ) -> Result<Option<T>, D::Error> {
            let Some(text) = Option::<Cow<'de, str>>::deserialize(from)? else { return Ok(None) };
            let unknown = || D::Error::custom(format_args!("{text} is no such id"));
            T::read(&text).map(Some).ok_or_else(unknown)
        }
    }
}

/// Numbers that may be larger than what every language reads: as text.
mod number {
    use std::borrow::Cow;

    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::Serializer;

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde hands over the field by reference"
    )]
    pub(super) fn serialize<S: Serializer>(number: &i64, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(number)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
        Cow::<'de, str>::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

/// Moments as RFC 3339 text.
mod moment {
    use std::borrow::Cow;

    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::Serializer;

    use jangbu_kernel::Time;

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde hands over the field by reference"
    )]
    pub(super) fn serialize<S: Serializer>(at: &Time, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(at)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Time, D::Error> {
        let text = Cow::<'de, str>::deserialize(from)?;
        Time::parse(&text).ok_or_else(|| D::Error::custom(format_args!("{text} is no moment")))
    }
}
