//! What kind of world a seed is: how large, how its cells are cut, and what goes wrong in it.
//!
//! Each group of faults is missing from half of the worlds. A world with everything in it hides
//! what happens when, say, the gateway alone is ill and everything else goes on as fast as it can.

use jangbu_engine::desk;
use jangbu_kernel::UnitId;
use jangbu_services::registry::UNITS;

use crate::dice::Dice;

/// Which units share a cell. Each cell has a desk, for what is set aside in it.
pub(crate) type Cut = Vec<Vec<UnitId>>;

/// How the units are cut into cells, by their names: a new one has its place at once.
fn cut(cells: usize) -> Cut {
    let home = |unit: &UnitId| match (cells, unit.0) {
        (4, "inventory" | "coupon") | (2, "order" | "payment" | "ledger" | "point") => 1,
        (4, "order") => 2,
        (4, "payment" | "ledger" | "point") => 3,
        (1 | 2 | 4, _) => 0,
        _ => UNITS.iter().position(|known| known == unit).unwrap_or(0),
    };
    let of = |cell| UNITS.iter().filter(move |unit| **unit != desk::UNIT && home(unit) == cell);
    let all = (0..UNITS.len()).map(|cell| of(cell).copied().collect::<Vec<_>>());
    let mut cut: Cut = all.filter(|units| !units.is_empty()).collect();
    for units in &mut cut {
        units.push(desk::UNIT);
    }
    cut
}

/// How often something happens, in a thousand.
pub(crate) type PerMille = u32;

/// What the store does to a step.
#[derive(Debug, Clone, Default)]
pub(crate) struct StoreRisks {
    pub(crate) transient: PerMille,
    pub(crate) item: PerMille,
    pub(crate) full: PerMille,
    pub(crate) fatal: PerMille,
    /// A commit that happened, or not, and whose answer is lost.
    pub(crate) lost: PerMille,
    /// The process dies between two steps.
    pub(crate) crash: PerMille,
    /// The process dies after the commit and before anybody hears of it.
    pub(crate) mute: PerMille,
}

/// What happens to messages between cells.
#[derive(Debug, Clone, Default)]
pub(crate) struct MailRisks {
    pub(crate) lose: PerMille,
    pub(crate) twice: PerMille,
    pub(crate) delay: PerMille,
}

/// What the gateway, and the way to it, do.
#[derive(Debug, Clone, Default)]
pub(crate) struct GatewayRisks {
    pub(crate) decline: PerMille,
    /// It holds the money although it was asked to take it.
    pub(crate) hold: PerMille,
    pub(crate) lose_request: PerMille,
    pub(crate) delay_request: PerMille,
    pub(crate) lose_answer: PerMille,
    /// The answer comes after its time.
    pub(crate) late: PerMille,
    pub(crate) twice: PerMille,
    pub(crate) not_sent: PerMille,
    /// Payments whose refunds it refuses.
    pub(crate) refuse_refund: PerMille,
    /// Payments about which an inquiry finds nothing for a while.
    pub(crate) lag: PerMille,
}

/// A world before it begins.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) cut: Cut,
    pub(crate) skus: i64,
    /// Units of each SKU at the beginning.
    pub(crate) stock: i64,
    pub(crate) actions: i64,
    /// The longest pause between two actions of people, in µs.
    pub(crate) pace: i64,
    pub(crate) store: StoreRisks,
    pub(crate) mail: MailRisks,
    pub(crate) gateway: GatewayRisks,
    /// Whether operators look after what is stuck when the shop is closed.
    pub(crate) operators: bool,
}

impl Plan {
    pub(crate) fn draw(dice: &mut Dice) -> Self {
        let cut = cut(if dice.chance(500) { 1 } else { [2, 4, UNITS.len()][dice.below(3)] });
        let mail = if cut.len() > 1 { MailRisks::draw(dice) } else { MailRisks::default() };
        let paces = [2_000, 50_000, 2_000_000, 30_000_000, 600_000_000];
        Self {
            cut,
            skus: dice.between(1, 3),
            stock: if dice.chance(300) { dice.between(0, 4) } else { dice.between(5, 30) },
            actions: dice.between(8, 40),
            pace: paces[dice.below(paces.len())],
            store: StoreRisks::draw(dice),
            mail,
            gateway: GatewayRisks::draw(dice),
            operators: dice.chance(700),
        }
    }
}

/// Nothing in half of the worlds, else up to `most`.
fn some(dice: &mut Dice, most: i64) -> PerMille {
    if dice.chance(500) { u32::try_from(dice.between(1, most)).unwrap_or(0) } else { 0 }
}

impl StoreRisks {
    fn draw(dice: &mut Dice) -> Self {
        if dice.chance(400) {
            return Self::default();
        }
        Self {
            transient: some(dice, 100),
            item: some(dice, 30),
            full: some(dice, 30),
            fatal: some(dice, 30),
            lost: some(dice, 100),
            crash: some(dice, 60),
            mute: some(dice, 60),
        }
    }
}

impl MailRisks {
    fn draw(dice: &mut Dice) -> Self {
        Self { lose: some(dice, 200), twice: some(dice, 200), delay: some(dice, 300) }
    }
}

impl GatewayRisks {
    fn draw(dice: &mut Dice) -> Self {
        if dice.chance(300) {
            return Self::default();
        }
        Self {
            decline: some(dice, 300),
            hold: some(dice, 200),
            lose_request: some(dice, 250),
            delay_request: some(dice, 250),
            lose_answer: some(dice, 250),
            late: some(dice, 250),
            twice: some(dice, 250),
            not_sent: some(dice, 150),
            refuse_refund: some(dice, 300),
            lag: some(dice, 400),
        }
    }
}
