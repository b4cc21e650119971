//! What every part of Jangbu speaks: ids, money, time, secrets, the [`Domain`] trait with its
//! [`Rows`], and the [`Envelope`] that carries a command. No IO, no clock, no randomness.
//!
//! | module | holds |
//! |---|---|
//! | [`id`] | time-ordered 63-bit ids and their text form |
//! | [`money`] | [`Money`] in minor units with its [`Currency`] |
//! | [`time`] | [`Time`] in microseconds |
//! | [`secret`] | values that cannot be printed |
//! | [`words`] | what may stand in names and reasons |
//! | [`rows`], [`appends`] | the rows a unit holds in memory: overlay, roll-back, dirty tracking |
//! | [`domain`] | the contract of a bounded context: want, decide, recall, wake |
//! | [`envelope`] | a command on its way, and the effects of one |
//! | [`trace`] | its place in a distributed trace |

pub mod appends;
mod coded;
pub mod domain;
pub mod envelope;
pub mod id;
pub mod money;
pub mod rows;
pub mod secret;
pub mod time;
pub mod trace;
pub mod words;

pub use appends::Appends;
pub use domain::{Coded, Ctx, Domain, Out};
pub use envelope::{Correlation, Envelope, IdemKey, Job, Lane, Operator, Origin, Payload, UnitId};
pub use id::{
    CampaignId, CategoryId, CouponId, GrantId, JournalId, KeyId, Mint, OrderId, PaymentId,
    ProductId, RefundId, SkuId, UserId,
};
pub use money::{Currency, Money};
pub use rows::{RowSet, Rows};
pub use secret::Secret;
#[doc(hidden)]
pub use serde;
pub use time::Time;
pub use trace::{SpanId, Trace, TraceId};
