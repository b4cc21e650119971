//! Commands, replies and rejects as bytes, for every unit: what travels between two processes of
//! one shop. Static, so that a process needs no unit of its own to ask another one's.
//!
//! Secrets in commands travel, too (`jangbu_kernel::secret::carried`): the owner charges the card
//! that the follower's client named. They are never stored in this form.

use std::any::Any;
use std::marker::PhantomData;

use jangbu_domain::{catalog, coupon, inventory, ledger, merchant, order, payment, point, user};
use jangbu_engine::desk;
use jangbu_engine::unit::Refusal;
use jangbu_kernel::domain::{Coded, Domain};
use jangbu_kernel::secret::carried;
use jangbu_kernel::{Payload, UnitId};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What a unit is asked and answers, as bytes and back. None: another type than the unit's, or
/// bytes that another version wrote.
pub trait Codec: Send + Sync {
    /// The unit.
    fn unit(&self) -> UnitId;

    /// A command.
    fn command(&self, body: &dyn Payload) -> Option<Vec<u8>>;

    /// The command that [`Codec::command`] wrote.
    fn read_command(&self, bytes: &[u8]) -> Option<Box<dyn Payload>>;

    /// A reply.
    fn reply(&self, reply: &(dyn Any + Send)) -> Option<Vec<u8>>;

    /// The reply that [`Codec::reply`] wrote.
    fn read_reply(&self, bytes: &[u8]) -> Option<Box<dyn Any + Send>>;

    /// A refusal.
    fn refusal(&self, refusal: &Refusal) -> Option<Vec<u8>>;

    /// The refusal that [`Codec::refusal`] wrote, with the code that it had.
    fn read_refusal(&self, bytes: &[u8]) -> Option<Refusal>;
}

impl std::fmt::Debug for dyn Codec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Codec({:?})", self.unit())
    }
}

/// The codec of a unit; none: there is no such unit.
pub fn codec(unit: &str) -> Option<&'static dyn Codec> {
    CODECS.iter().copied().find(|codec| codec.unit().0 == unit)
}

/// One for each of [`UNITS`](crate::registry::UNITS).
const CODECS: &[&dyn Codec] = &[
    &of::<user::User>(),
    &of::<merchant::Merchants>(),
    &of::<catalog::Catalog>(),
    &of::<inventory::Inventory>(),
    &of::<point::Points>(),
    &of::<coupon::Coupons>(),
    &of::<order::Orders>(),
    &of::<payment::Payments>(),
    &of::<ledger::Ledger>(),
    &Plain::<desk::Command, desk::Reply, desk::Reject> { unit: desk::UNIT, types: PhantomData },
];

type Of<D> = Plain<<D as Domain>::Command, <D as Domain>::Reply, <D as Domain>::Reject>;

const fn of<D: Domain>() -> Of<D> {
    Plain { unit: D::UNIT, types: PhantomData }
}

type Types<C, Y, J> = PhantomData<fn() -> (C, Y, J)>;

/// Postcard of three types.
struct Plain<C, Y, J> {
    unit: UnitId,
    types: Types<C, Y, J>,
}

impl<C, Y, J> Codec for Plain<C, Y, J>
where
    C: Payload + Serialize + DeserializeOwned,
    Y: Any + Send + Serialize + DeserializeOwned,
    J: Any + Send + Coded + Serialize + DeserializeOwned,
{
    fn unit(&self) -> UnitId {
        self.unit
    }

    fn command(&self, body: &dyn Payload) -> Option<Vec<u8>> {
        let body: &dyn Any = body;
        written::<C>(body)
    }

    fn read_command(&self, bytes: &[u8]) -> Option<Box<dyn Payload>> {
        Some(Box::new(postcard::from_bytes::<C>(bytes).ok()?))
    }

    fn reply(&self, reply: &(dyn Any + Send)) -> Option<Vec<u8>> {
        written::<Y>(reply)
    }

    fn read_reply(&self, bytes: &[u8]) -> Option<Box<dyn Any + Send>> {
        Some(Box::new(postcard::from_bytes::<Y>(bytes).ok()?))
    }

    fn refusal(&self, refusal: &Refusal) -> Option<Vec<u8>> {
        written::<J>(&*refusal.reject)
    }

    fn read_refusal(&self, bytes: &[u8]) -> Option<Refusal> {
        let reject: J = postcard::from_bytes(bytes).ok()?;
        Some(Refusal { code: reject.code(), reject: Box::new(reject) })
    }
}

fn written<T: Any + Serialize>(value: &dyn Any) -> Option<Vec<u8>> {
    let value: &T = value.downcast_ref()?;
    carried(|| postcard::to_stdvec(value)).ok()
}

#[cfg(test)]
mod tests {
    use jangbu_domain::payment::command::Command as Pay;
    use jangbu_kernel::{PaymentId, Secret, Time};

    use super::*;
    use crate::registry::UNITS;

    #[test]
    fn every_unit_has_a_codec() {
        let named: Vec<_> = CODECS.iter().map(|codec| codec.unit()).collect();
        assert_eq!(named, UNITS);
        assert!(codec("order").is_some() && codec("orders").is_none());
    }

    #[test]
    fn a_secret_travels_and_is_stored_nowhere() {
        let (payment, token) = (PaymentId(7), Secret::new("tok_visa_4242"));
        let command = Pay::Authorize { payment, token, deadline: Time(9) };
        let codec = codec("payment").unwrap();
        let bytes = codec.command(&command).unwrap();
        let back = codec.read_command(&bytes).unwrap();
        assert_eq!(back.expect_ref::<Pay>(), &command);
        assert!(postcard::to_stdvec(&command).is_err(), "as the poison table would store it");
    }

    #[test]
    fn a_refusal_keeps_its_code_and_its_words() {
        let codec = codec("coupon").unwrap();
        let (field, must) = ("ends".into(), "must be after starts".into());
        let reject = coupon::command::Reject::TermsInvalid { field, must };
        let refusal = Refusal { code: reject.code(), reject: Box::new(reject.clone()) };
        let back = codec.read_refusal(&codec.refusal(&refusal).unwrap()).unwrap();
        assert_eq!(back.code, "CAMPAIGN_INVALID");
        assert_eq!(back.reject.downcast_ref(), Some(&reject));
    }

    #[test]
    fn what_is_no_command_of_the_unit_is_not_written_or_read() {
        let codec = codec("payment").unwrap();
        assert!(codec.command(&"a text").is_none());
        assert!(codec.read_command(&[250, 1, 2]).is_none());
        assert!(codec.read_reply(&[]).is_none());
    }
}
