//! Where in the log the records of a payment may stand: a few bytes for thousands of records.
//!
//! ```text
//! log      │ block 0        │ block 1        │ block 2 …        (4,096 records each)
//! ids        1 3 2 … 4090     4093 … 7 … 8180   …
//! range     [1, 4090]        [4093, 8180]
//! strays                      7
//! ```
//!
//! Payment ids grow with time, so the ids of a block stand close together and a range says it all. A
//! late refund, capture or void would pull the range of its block over half of the history, and so
//! would an id from the future; these **strays** are listed one by one. What is usual in a block is
//! learnt from the payments that begin in it: all that is no further from their middle half than twice
//! its width.
//!
//! 64 blocks make a segment. A stray takes 4 bytes: 26 bits of a hash of its payment and the number of
//! its block in the segment. So the index may name a block in vain, but never misses one.

use std::ops::Range;

use super::fate::mix;
use crate::log::{Kind, Record};

/// Blocks in a segment: as many as a mask has bits.
const SEGMENT: u32 = u64::BITS;
const BLOCK_BITS: u32 = SEGMENT.trailing_zeros();

/// Lowest and highest payment id; empty when they are the wrong way round.
#[derive(Debug, Clone, Copy)]
struct Span {
    low: i64,
    high: i64,
}

impl Span {
    const EMPTY: Self = Self { low: i64::MAX, high: i64::MIN };

    fn holds(self, payment: i64) -> bool {
        (self.low..=self.high).contains(&payment)
    }

    fn and(self, other: Self) -> Self {
        Self { low: self.low.min(other.low), high: self.high.max(other.high) }
    }
}

#[derive(Debug)]
struct Segment {
    /// All its blocks together.
    hull: Span,
    blocks: Vec<Span>,
    count: u32,
    /// Sorted.
    strays: Vec<u32>,
}

#[derive(Debug)]
pub(super) struct Index {
    /// Records in a block.
    block: usize,
    segments: Vec<Segment>,
    /// Blocks that are full.
    full: u64,
    /// The payments of the last block, which is not full, and whether they begin with the record.
    last: Vec<(i64, bool)>,
}

impl Index {
    pub(super) fn new(block: usize) -> Self {
        Self { block, segments: Vec::new(), full: 0, last: Vec::new() }
    }

    /// How many records there are.
    pub(super) fn records(&self) -> u64 {
        self.full * self.block as u64 + self.last.len() as u64
    }

    /// Enters the next record of the log.
    pub(super) fn push(&mut self, record: &Record) {
        self.last.push((record.payment, begins(record)));
        if self.last.len() == self.block {
            self.close();
        }
    }

    /// The numbers of those records, block by block, among which all of the payment's are.
    pub(super) fn find(&self, payment: i64) -> Vec<Range<u64>> {
        let block = self.block as u64;
        let mut found = Vec::new();
        for (first, segment) in (0..).step_by(SEGMENT as usize).zip(&self.segments) {
            let mut mask = segment.find(payment);
            while mask != 0 {
                let start = (first + u64::from(mask.trailing_zeros())) * block;
                found.push(start..start + block);
                mask &= mask - 1;
            }
        }
        if self.last.iter().any(|&(other, _)| other == payment) {
            found.push(self.full * block..self.records());
        }
        found
    }

    /// The last block is full: its payments are replaced by their range and the strays.
    fn close(&mut self) {
        if self.segments.last().is_none_or(|segment| segment.count == SEGMENT) {
            let blocks = Vec::with_capacity(SEGMENT as usize);
            self.segments.push(Segment { hull: Span::EMPTY, blocks, count: 0, strays: Vec::new() });
        }
        let usual = usual(&self.last);
        let payments = self.last.drain(..).map(|(payment, _)| payment);
        if let Some(segment) = self.segments.last_mut() {
            segment.push(payments, usual);
        }
        self.full += 1;
    }

    /// Bytes that it takes.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        let strays: usize = self.segments.iter().map(|s| s.strays.capacity()).sum();
        let spans: usize = self.segments.iter().map(|s| s.blocks.capacity()).sum();
        let segments = self.segments.capacity() * size_of::<Segment>();
        let last = self.last.capacity() * size_of::<(i64, bool)>();
        strays * size_of::<u32>() + spans * size_of::<Span>() + segments + last
    }
}

impl Segment {
    fn push(&mut self, payments: impl Iterator<Item = i64>, usual: Span) {
        let mut span = Span::EMPTY;
        for payment in payments {
            if usual.holds(payment) {
                span = span.and(Span { low: payment, high: payment });
            } else {
                self.strays.push(stray(payment) | self.count);
            }
        }
        self.blocks.push(span);
        self.hull = self.hull.and(span);
        self.sort();
        self.count += 1;
        if self.count == SEGMENT {
            self.strays.shrink_to_fit();
        }
    }

    #[expect(clippy::stable_sort_primitive, reason = "it merges: all but the end is sorted")]
    fn sort(&mut self) {
        self.strays.sort();
        self.strays.dedup();
    }

    /// A bit for each block that may hold records of the payment.
    fn find(&self, payment: i64) -> u64 {
        let mut mask = 0;
        if self.hull.holds(payment) {
            for (number, span) in self.blocks.iter().enumerate() {
                mask |= u64::from(span.holds(payment)) << number;
            }
        }
        let mark = stray(payment);
        let from = self.strays.partition_point(|&stray| stray < mark);
        let same = |stray: &&u32| **stray >> BLOCK_BITS == mark >> BLOCK_BITS;
        let strays = self.strays[from..].iter().take_while(same);
        strays.fold(mask, |mask, stray| mask | 1 << (stray % SEGMENT))
    }
}

/// Whether the record is the first of its payment by itself: no news of an older one.
pub(super) fn begins(record: &Record) -> bool {
    match record.kind {
        Kind::Charge | Kind::Authorize | Kind::Decline => true,
        Kind::Fence => record.no == 0,
        Kind::Capture | Kind::Void | Kind::Refund | Kind::Refuse => false,
    }
}

/// The payment's part of a stray.
fn stray(payment: i64) -> u32 {
    (mix(payment.cast_unsigned()) >> 32) as u32 >> BLOCK_BITS << BLOCK_BITS
}

/// What is near the payments that begin in the block.
fn usual(block: &[(i64, bool)]) -> Span {
    let mut begun: Vec<i64> = block.iter().filter(|(_, begins)| *begins).map(|(p, _)| *p).collect();
    begun.sort_unstable();
    let (Some(&low), Some(&high)) = (begun.get(begun.len() / 4), begun.get(begun.len() * 3 / 4))
    else {
        return Span::EMPTY;
    };
    let reach = high.saturating_sub(low).saturating_mul(2);
    Span { low: low.saturating_sub(reach), high: high.saturating_add(reach) }
}

#[cfg(test)]
mod tests;
