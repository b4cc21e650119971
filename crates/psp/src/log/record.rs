//! One record of the log: what it says, and its 40 bytes.

use crate::gateway::{Currency, Op};

/// Bytes of a record.
pub const RECORD: usize = 40;

/// What a record says happened. The numbers are part of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// Authorised and captured in one step.
    Charge = 1,
    /// Set aside.
    Authorize = 2,
    /// An authorised amount was taken.
    Capture = 3,
    /// An authorisation was given up.
    Void = 4,
    /// Money went back.
    Refund = 5,
    /// A charge or an authorisation was declined.
    Decline = 6,
    /// A refund was refused.
    Refuse = 7,
    /// A key is closed for ever.
    Fence = 8,
}

impl Kind {
    const ALL: [Self; 8] = [
        Self::Charge,
        Self::Authorize,
        Self::Capture,
        Self::Void,
        Self::Refund,
        Self::Decline,
        Self::Refuse,
        Self::Fence,
    ];

    fn of(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|&kind| kind as u8 == number)
    }
}

/// The requests that can cause a record.
const CAUSES: [Op; 6] = [Op::Charge, Op::Authorize, Op::Capture, Op::Void, Op::Refund, Op::Fence];

/// One thing that the gateway did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// Microseconds since 1970; set by [`Log::append`](super::Log::append).
    pub at_us: i64,
    /// Our payment id.
    pub payment: i64,
    /// What happened.
    pub kind: Kind,
    /// The number of the refund, or 0.
    pub no: u32,
    /// In minor units; 0 where no amount is concerned.
    pub amount: i64,
    /// The currency of the amount.
    pub currency: Currency,
    /// The request that caused it.
    pub op: Op,
    /// Why, in declines and refusals.
    pub code: u8,
    /// How many records of the same write stand before it; set by [`Log::append`](super::Log::append).
    pub place: u16,
}

impl Record {
    /// The bytes of the record, its CRC included.
    pub fn encode(&self) -> [u8; RECORD] {
        let mut b = [0; RECORD];
        b[0..8].copy_from_slice(&self.at_us.to_le_bytes());
        b[8..16].copy_from_slice(&self.payment.to_le_bytes());
        b[16] = self.kind as u8;
        b[17..21].copy_from_slice(&self.no.to_le_bytes());
        b[21..29].copy_from_slice(&self.amount.to_le_bytes());
        b[29..32].copy_from_slice(&self.currency.0);
        b[32] = self.op as u8;
        b[33] = self.code;
        b[34..36].copy_from_slice(&self.place.to_le_bytes());
        let crc = crc32fast::hash(&b[..36]);
        b[36..40].copy_from_slice(&crc.to_le_bytes());
        b
    }

    /// The record in these bytes; none when the CRC does not match or a number means nothing.
    pub fn decode(b: &[u8; RECORD]) -> Option<Self> {
        if u32::from_le_bytes(part(b, 36)) != crc32fast::hash(&b[..36]) {
            return None;
        }
        Some(Self {
            at_us: i64::from_le_bytes(part(b, 0)),
            payment: i64::from_le_bytes(part(b, 8)),
            kind: Kind::of(b[16])?,
            no: u32::from_le_bytes(part(b, 17)),
            amount: i64::from_le_bytes(part(b, 21)),
            currency: Currency(part(b, 29)),
            op: CAUSES.into_iter().find(|&op| op as u8 == b[32])?,
            code: b[33],
            place: u16::from_le_bytes(part(b, 34)),
        })
    }

    /// What the record moved towards us: positive, negative for a refund, else 0.
    pub fn moved(&self) -> i64 {
        match self.kind {
            Kind::Charge | Kind::Capture => self.amount,
            Kind::Refund => -self.amount,
            Kind::Authorize | Kind::Void | Kind::Decline | Kind::Refuse | Kind::Fence => 0,
        }
    }
}

pub(super) fn part<const N: usize>(bytes: &[u8], from: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[from..from + N]);
    out
}
