//! Signals of the owner's commits, as they travel to its followers. There are four:
//!
//! | signal | who hears it |
//! |---|---|
//! | an order that ended, or a refund of it | requests that wait for it |
//! | a payment without an order that was answered | requests that wait for it |
//! | a merchant that changed | the directory of merchants' keys of each process |
//! | a user whose older sessions are worth nothing | the bars of each process |

use std::any::Any;
use std::borrow::Cow;

use jangbu_domain::order::model::Order;
use jangbu_domain::user;
use jangbu_engine::unit::Signal;
use serde::{Deserialize, Serialize};

use crate::merchant::Changed;
use crate::payment::Settled;

#[derive(Serialize, Deserialize)]
enum Body<'a> {
    Order(Cow<'a, Order>),
    Payment(Cow<'a, Settled>),
    Merchant(Cow<'a, Changed>),
    User(user::command::Event),
}

/// A signal as bytes; none: it is of a type that nobody outside of this process needs.
pub(super) fn encode(signal: &Signal) -> Option<Vec<u8>> {
    let body = &*signal.body;
    let body = if let Some(order) = body.downcast_ref::<Order>() {
        Body::Order(Cow::Borrowed(order))
    } else if let Some(settled) = body.downcast_ref::<Settled>() {
        Body::Payment(Cow::Borrowed(settled))
    } else if let Some(changed) = body.downcast_ref::<Changed>() {
        Body::Merchant(Cow::Borrowed(changed))
    } else if let Some(event) = body.downcast_ref::<user::command::Event>() {
        Body::User(*event)
    } else {
        tracing::error!(key = signal.key, "a signal of a type that does not travel");
        return None;
    };
    jangbu_kernel::secret::carried(|| postcard::to_stdvec(&(signal.key, body))).ok()
}

/// The signal that [`encode`] wrote.
pub(super) fn decode(bytes: &[u8]) -> Option<Signal> {
    let (key, body): (i64, Body<'_>) = postcard::from_bytes(bytes).ok()?;
    let body: Box<dyn Any + Send> = match body {
        Body::Order(order) => Box::new(order.into_owned()),
        Body::Payment(settled) => Box::new(settled.into_owned()),
        Body::Merchant(changed) => Box::new(changed.into_owned()),
        Body::User(event) => Box::new(event),
    };
    Some(Signal { key, body })
}

#[cfg(test)]
mod tests {
    use jangbu_kernel::UserId;

    use super::*;

    #[test]
    fn a_signal_travels_and_another_type_stays() {
        let event = user::command::Event::Barred { user: UserId(7), least: 3 };
        let bytes = encode(&Signal { key: 7, body: Box::new(event) }).unwrap();
        let back = decode(&bytes).unwrap();
        assert_eq!((back.key, back.body.downcast_ref()), (7, Some(&event)));
        assert!(encode(&Signal { key: 7, body: Box::new("words") }).is_none());
        assert!(decode(&[9, 9]).is_none());
    }
}
