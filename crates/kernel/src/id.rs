//! Ids: time-ordered 63-bit integers inside, a prefix and 13 Crockford base32 characters outside.
//!
//! `41 bits of milliseconds since 2024-01-01 UTC | 12 bits of counter | 10 bits of shard slot`.
//! Time-ordered keys keep every append at the right edge of its table; random ones cost three to
//! four times the throughput. Ids are minted at the edge ([`Mint`]), never in `decide`.

use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU16, Ordering};

use serde::{Deserialize, Serialize};

use crate::time::Time;

/// 2024-01-01T00:00:00Z in milliseconds since the Unix epoch.
const EPOCH_MS: i64 = 1_704_067_200_000;
const SLOT_BITS: u32 = 10;
const COUNTER_BITS: u32 = 12;
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const DIGITS: usize = 13;

/// Mints ids that never repeat and never go back, whatever the clock does.
#[derive(Debug)]
pub struct Mint {
    /// Milliseconds and counter of the last id, joined: adding one carries into the next
    /// millisecond when a counter is used up.
    last: AtomicI64,
    slot: AtomicU16,
}

impl Mint {
    /// A mint for shard slot `slot` (0 on one machine).
    pub fn new(slot: u16) -> Self {
        let mint = Self { last: AtomicI64::new(0), slot: AtomicU16::new(0) };
        mint.assign(slot);
        mint
    }

    /// Mints for shard slot `slot` from now on. Ids go on growing.
    pub fn assign(&self, slot: u16) {
        self.slot.store(slot & ((1 << SLOT_BITS) - 1), Ordering::Relaxed);
    }

    /// The next id at or after `now`.
    pub fn next(&self, now: Time) -> i64 {
        self.take(now, 1)
    }

    /// The first of `count` ids at or after `now`; the others follow by [`Mint::block`].
    pub fn take(&self, now: Time, count: u32) -> i64 {
        let floor = ((now.0 / 1_000 - EPOCH_MS).max(0)) << COUNTER_BITS;
        let step = |last: i64| Some(floor.max(last + 1) + i64::from(count.max(1)) - 1);
        let before = self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step);
        let last = before.unwrap_or_else(|same| same);
        let slot = i64::from(self.slot.load(Ordering::Relaxed));
        (floor.max(last + 1) << SLOT_BITS) | slot
    }

    /// The ids that were taken together with `first`, and all that could have been: what made them
    /// needs to remember the first one alone.
    pub fn block(first: i64) -> impl Iterator<Item = i64> {
        std::iter::successors(Some(first), |id| id.checked_add(1 << SLOT_BITS))
    }
}

/// Writes the 13 base32 digits of `id`.
pub fn encode(id: i64, out: &mut [u8; DIGITS]) {
    let mut rest = id.cast_unsigned();
    for digit in out.iter_mut().rev() {
        *digit = ALPHABET[(rest & 31) as usize];
        rest >>= 5;
    }
}

/// Reads 13 base32 digits (any case, `I` and `L` as 1, `O` as 0); `None` when they are not an id.
pub fn decode(text: &str) -> Option<i64> {
    if text.len() != DIGITS {
        return None;
    }
    let mut id: u64 = 0;
    for byte in text.bytes() {
        let digit = match byte.to_ascii_uppercase() {
            b'I' | b'L' => 1,
            b'O' => 0,
            other => ALPHABET.iter().position(|&a| a == other)? as u64,
        };
        id = id.checked_mul(32)?.checked_add(digit)?;
    }
    i64::try_from(id).ok().filter(|&id| id > 0)
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub i64);

        impl $name {
            /// What the text form starts with.
            pub const PREFIX: &'static str = concat!($prefix, "_");

            /// Parses the text form; `None` when it is not one.
            pub fn parse(text: &str) -> Option<Self> {
                decode(text.strip_prefix(Self::PREFIX)?).map(Self)
            }
        }

        impl From<$name> for i64 {
            fn from(id: $name) -> i64 {
                id.0
            }
        }

        impl From<i64> for $name {
            fn from(id: i64) -> Self {
                Self(id)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut digits = [0; DIGITS];
                encode(self.0, &mut digits);
                f.write_str(Self::PREFIX)?;
                f.write_str(std::str::from_utf8(&digits).unwrap_or("?"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

id!(
    /// An order.
    OrderId, "ord"
);
id!(
    /// A payment; that of an order has the order's number.
    PaymentId, "pay"
);
id!(
    /// A refund that a merchant asked for.
    RefundId, "rfd"
);
id!(
    /// A user of the shop.
    UserId, "usr"
);
id!(
    /// A coupon campaign.
    CampaignId, "cmp"
);
id!(
    /// A coupon that a user holds.
    CouponId, "cpn"
);
id!(
    /// Points that an operator gave.
    GrantId, "grt"
);
id!(
    /// A category of products.
    CategoryId, "cat"
);
id!(
    /// A key with which a merchant signs.
    KeyId, "key"
);
id!(
    /// A product.
    ProductId, "prd"
);
id!(
    /// A stock-keeping unit.
    SkuId, "sku"
);
id!(
    /// A movement of stock: a receipt or an adjustment.
    MovementId, "mov"
);
id!(
    /// A journal: postings that an operator booked together.
    JournalId, "jnl"
);

impl From<OrderId> for PaymentId {
    fn from(order: OrderId) -> Self {
        Self(order.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn minted_ids_grow_even_when_the_clock_goes_back() {
        let mint = Mint::new(3);
        let later = Time(1_800_000_000_000_000);
        let a = mint.next(later);
        let b = mint.next(Time(later.0 - 5_000_000));
        let c = mint.next(later);
        assert!(a < b && b < c, "{a} {b} {c}");
        assert_eq!(a & 1023, 3);
        mint.assign(1_025);
        let d = mint.next(Time(0));
        assert!(c < d && d & 1023 == 1, "{d}");
    }

    #[test]
    fn ids_that_are_taken_together_follow_each_other_and_are_nobody_elses() {
        let (mint, now) = (Mint::new(3), Time(1_800_000_000_000_000));
        let first = mint.take(now, 3);
        let block: Vec<_> = Mint::block(first).take(3).collect();
        assert!(block.is_sorted() && block.iter().all(|id| id & 1023 == 3), "{block:?}");
        let next = mint.next(now);
        assert_eq!(Mint::block(first).nth(3), Some(next));
    }

    #[test]
    fn text_is_forgiving_on_look_alikes_and_strict_on_the_rest() {
        let id = OrderId(0x0123_4567_89ab_cdef);
        let text = id.to_string();
        assert_eq!(OrderId::parse(&text.to_lowercase()), Some(id));
        assert_eq!(OrderId::parse(&text.replace('1', "l").replace('0', "o")), Some(id));
        assert_eq!(PaymentId::parse(&text), None, "another prefix");
        assert_eq!(OrderId::parse("ord_0000000000000"), None, "zero is no id");
        assert_eq!(OrderId::parse("ord_ZZZZZZZZZZZZZ"), None, "65 bits do not fit");
        assert_eq!(OrderId::parse("ord_ß"), None);
    }

    proptest! {
        #[test]
        fn an_id_survives_its_text(id in 1..i64::MAX) {
            prop_assert_eq!(SkuId::parse(&SkuId(id).to_string()), Some(SkuId(id)));
        }
    }
}
