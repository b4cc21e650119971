//! The rows of inventory and the only functions that change a counter.

use jangbu_kernel::id::MovementId;
use jangbu_kernel::{OrderId, SkuId, Time, coded, rows};

use super::command::Line;

/// The range of every counter: 10^12 units, so that sums of a few of them fit an i64 by far.
pub const LIMIT: i64 = 1_000_000_000_000;

/// The rows that inventory owns.
#[derive(Debug, Default)]
pub struct Rows {
    /// Counters by SKU.
    pub stock: rows::Rows<SkuId, Stock>,
    /// Reservations by order.
    pub reservation: rows::Rows<OrderId, Reservation>,
    /// Receipts and adjustments, written once.
    pub movement: rows::Rows<MovementId, Movement>,
}

/// Where the units of one SKU are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stock {
    /// Came in, ever.
    pub received: i64,
    /// Sum of the corrections; may be negative.
    pub adjusted: i64,
    /// Came back from customers, ever.
    pub returned: i64,
    /// Can be reserved.
    pub available: i64,
    /// In live reservations.
    pub reserved: i64,
    /// Sold, ever: a return does not lower it.
    pub sold: i64,
    /// Came back and cannot be sold again.
    pub written_off: i64,
    /// The number of the commit that last changed `available`; 0 when read from the store. In
    /// memory only, so that the folded event names just the SKUs whose availability changed.
    pub moved_in: i64,
}

impl Stock {
    /// Whether `quantity` more may come in.
    pub fn can_receive(&self, quantity: i64) -> bool {
        within([self.received, quantity, 0]) && within([self.received, self.adjusted, quantity])
    }

    /// Whether the count may be corrected by `delta`, availability aside.
    pub fn can_adjust(&self, delta: i64) -> bool {
        within([self.received, self.adjusted, delta])
    }

    /// Whether `quantity` more may be on their way to customers, availability aside.
    pub fn can_hold(&self, quantity: i64) -> bool {
        within([self.reserved, self.sold, quantity])
    }

    /// Units come in.
    pub fn receive(&mut self, quantity: i64) {
        add(&mut self.received, quantity);
        add(&mut self.available, quantity);
    }

    /// The count is corrected.
    pub fn adjust(&mut self, delta: i64) {
        add(&mut self.adjusted, delta);
        add(&mut self.available, delta);
    }

    /// Units are held for an order.
    pub fn hold(&mut self, quantity: i64) {
        take(&mut self.available, quantity);
        add(&mut self.reserved, quantity);
    }

    /// Held units are free again.
    pub fn free(&mut self, quantity: i64) {
        take(&mut self.reserved, quantity);
        add(&mut self.available, quantity);
    }

    /// Held units are sold.
    pub fn sell(&mut self, quantity: i64) {
        take(&mut self.reserved, quantity);
        add(&mut self.sold, quantity);
    }

    /// Sold units come back to the shelf.
    pub fn restock(&mut self, quantity: i64) {
        add(&mut self.returned, quantity);
        add(&mut self.available, quantity);
    }

    /// Sold units come back and are lost.
    pub fn write_off(&mut self, quantity: i64) {
        add(&mut self.returned, quantity);
        add(&mut self.written_off, quantity);
    }

    /// Asserts invariants 1 to 3 of the module. A failure is a bug, never the input's fault.
    pub fn assert_lawful(&self, sku: SkuId) {
        let came: i64 = [self.received, self.adjusted, self.returned].iter().sum();
        let are: i64 = [self.available, self.reserved, self.sold, self.written_off].iter().sum();
        assert_eq!(came, are, "units of {sku} appeared or vanished: {self:?}");
        let counters = [self.received, self.available, self.reserved, self.written_off];
        let positive = counters.iter().all(|&n| n >= 0) && (0..=self.sold).contains(&self.returned);
        assert!(positive, "a counter of {sku} is negative: {self:?}");
        let ranges = self.can_receive(0) && self.can_adjust(0) && self.can_hold(0);
        assert!(ranges, "a counter of {sku} left its range: {self:?}");
    }
}

coded! {
    /// How a reservation stands.
    State {
        /// Held until `next_at`.
        Held = 1 "HELD",
        /// Held until its saga ends it.
        Pinned = 2 "PINNED",
        /// Sold.
        Committed = 3 "COMMITTED",
        /// Given back, or a tombstone.
        Released = 4 "RELEASED",
        /// The hold ran out.
        Expired = 5 "EXPIRED",
    }
}

impl State {
    /// Whether stock rows can still change on its behalf.
    pub const fn is_open(self) -> bool {
        match self {
            Self::Held | Self::Pinned | Self::Committed => true,
            Self::Released | Self::Expired => false,
        }
    }
}

/// What one order holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// How it stands.
    pub state: State,
    /// Summed by SKU, ascending; none for a tombstone.
    pub lines: Vec<Line>,
    /// What came back, in the order of arrival.
    pub returns: Vec<Returned>,
    /// When a HELD one runs out; `None` in every other state.
    pub next_at: Option<Time>,
}

impl Reservation {
    /// What Release leaves for an order never seen.
    pub const fn tombstone() -> Self {
        Self { state: State::Released, lines: Vec::new(), returns: Vec::new(), next_at: None }
    }

    /// Leaves HELD, or goes on from there.
    pub fn enter(&mut self, state: State) {
        self.state = state;
        self.next_at = None;
    }

    /// How many units of `sku` were sold to this order and have not come back.
    pub fn returnable(&self, sku: SkuId) -> i64 {
        if self.state != State::Committed {
            return 0;
        }
        let back: i64 = self.returns.iter().map(|returned| units(&returned.lines, sku)).sum();
        units(&self.lines, sku).saturating_sub(back)
    }
}

/// What came back with one refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Returned {
    /// The order's refund.
    pub no: u32,
    /// Summed by SKU, ascending.
    pub lines: Vec<Line>,
    /// To the shelf; else written off.
    pub restock: bool,
}

coded! {
    /// The kinds of movement.
    Kind {
        /// Goods came in.
        Receive = 1 "RECEIVE",
        /// A count was corrected.
        Adjust = 2 "ADJUST",
    }
}

/// One receipt or adjustment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Movement {
    /// Of which SKU.
    pub sku: SkuId,
    /// Receipt or adjustment.
    pub kind: Kind,
    /// Units; signed for an adjustment.
    pub quantity: i64,
    /// Why, in the operator's words.
    pub reason: Box<str>,
    /// Units available after it.
    pub available: i64,
    /// When.
    pub at: Time,
}

impl Movement {
    /// Whether `other` asks for this very movement.
    pub fn is_repeated_by(&self, other: &Self) -> bool {
        self.sku == other.sku
            && self.kind == other.kind
            && self.quantity == other.quantity
            && self.reason == other.reason
    }
}

/// Units of `sku` in lines that name a SKU once at most.
fn units(lines: &[Line], sku: SkuId) -> i64 {
    lines.iter().find(|line| line.sku == sku).map_or(0, |line| line.quantity)
}

/// Whether the sum of `parts` is in the range of a counter.
fn within(parts: [i64; 3]) -> bool {
    let sum = parts.into_iter().try_fold(0_i64, i64::checked_add);
    sum.is_some_and(|sum| (-LIMIT..=LIMIT).contains(&sum))
}

/// Adds to a counter; the checks at the entrance (invariant 3) make an overflow a bug.
fn add(counter: &mut i64, quantity: i64) {
    *counter = counter.checked_add(quantity).expect("a counter overflowed");
}

/// Takes from a counter; as [`add`].
fn take(counter: &mut i64, quantity: i64) {
    *counter = counter.checked_sub(quantity).expect("a counter overflowed");
}
