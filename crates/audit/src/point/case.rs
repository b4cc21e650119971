//! The points of one id: of an order, of a grant or charge, or of an account whose points expired.

use super::{
    ACCOUNT, AGREES, Both, CHARGE, Counted, EARNED, Lot, NUMBER, ORDER, PAID, POSTED, POSTING,
    Points, Role, SETTLED, USE,
    credit::{self, Credit},
    place, sum,
};
use crate::{
    book::{Book, Rule},
    ids,
    ledger::Leg,
    order::{refund_state, state as order_state},
    payment::state as pay,
    rows::{Cells, Unreadable},
    walk::Case,
};

/// The columns of the uses that are walked, by key.
pub(crate) const USES: &str = "SELECT order_id, user_id, state, parts, restores, earned, claws \
     FROM point_use ORDER BY order_id";

/// Postings of an order from this number on are about points.
pub(crate) const FIRST: i64 = EARN;
const GRANT: i64 = 1;
const EARN: i64 = 1_000_000;
const CLAW: i64 = 2_000_000;
const UNCLAW: i64 = 3_000_000;
const SHORT: i64 = 4_000_000;

const NONE: i64 = 1;
const SPENT: i64 = 2;
const RESTORED: i64 = 3;

/// What an order has to do with points.
#[derive(Debug)]
pub(crate) struct Use {
    user: i64,
    state: i64,
    parts: Vec<Lot>,
    restores: Vec<Back>,
    earned: i64,
    claws: Vec<Claw>,
}

/// What a refund gave back, `[no,paid,earned]`.
#[derive(Debug, serde::Deserialize)]
struct Back {
    no: i64,
    paid: i64,
    earned: i64,
}

/// What a refund took back, `[no,asked,taken,gone,undone 0|1]`.
#[derive(Debug, serde::Deserialize)]
struct Claw {
    no: i64,
    asked: i64,
    taken: i64,
    gone: i64,
    undone: i64,
}

impl Use {
    /// Reads the columns of [`USES`] after the key.
    pub(crate) fn read(cells: &mut Cells<'_>) -> Result<Self, Unreadable> {
        Ok(Self {
            user: cells.int()?,
            state: cells.int_in(NONE..=RESTORED)?,
            parts: cells.json()?,
            restores: cells.json()?,
            earned: cells.int()?,
            claws: cells.json()?,
        })
    }

    /// What has been given back.
    fn restored(&self) -> Both {
        let mut sums = [0; 2];
        for back in &self.restores {
            sums[place(PAID)] += i128::from(back.paid);
            sums[place(EARNED)] += i128::from(back.earned);
        }
        sums
    }

    /// What has been spent and not given back.
    fn out(&self) -> Both {
        let (spent, back) = (sum(&self.parts), self.restored());
        [spent[0] - back[0], spent[1] - back[1]]
    }

    fn clawed(&self) -> i64 {
        let live = self.claws.iter().filter(|claw| claw.undone == 0);
        live.fold(0, |sum, claw| sum.wrapping_add(claw.taken))
    }
}

/// A posting that points must have: debit, credit, amount.
struct Wanted {
    seq: i64,
    debit: Role,
    credit: Role,
    amount: i64,
}

const OWED: Role = Role::Owed(1);

fn wanted(seq: i64, given: bool, amount: i64) -> Wanted {
    let (debit, credit) = if given { (Role::Promo, OWED) } else { (OWED, Role::Promo) };
    Wanted { seq, debit, credit, amount }
}

impl Points {
    /// Whether all postings of this id are about points: those of a grant, and of an account.
    pub(crate) fn has_all_postings(&self, id: i64, credit: Option<&Credit>) -> bool {
        credit.is_some_and(Credit::is_grant) || self.accounts.contains_key(&id)
    }

    /// Adds the points of a case, and checks them.
    pub(crate) fn walk(&mut self, case: &Case<'_>, book: &mut Book) {
        self.owe(case);
        if let Some(credit) = &case.credit {
            self.credit(case, credit, book);
        }
        if let Some(used) = &case.used {
            self.used(case, used, book);
        }
        credit::check(case, book);
        agrees(case, book);
        self.settled(case, book);
        if self.accounts.contains_key(&case.id) && case.credit.is_none() && case.used.is_none() {
            self.expiries(case, book);
        } else {
            self.postings(case, book);
        }
    }

    /// Adds what the postings of a case leave owed; journals may do with it what they like.
    fn owe(&mut self, case: &Case<'_>) {
        if case.journal.is_some() {
            return;
        }
        for leg in case.legs.iter().chain(case.point_legs) {
            if let Some((Role::Owed(kind), currency)) = self.role(leg.account) {
                self.currencies[currency].owed[kind] -= i128::from(leg.amount);
            }
        }
    }

    fn counted(&mut self, user: i64, subject: String, book: &mut Book) -> Option<&mut Counted> {
        let found = self.accounts.get_mut(&user);
        if found.is_none() {
            let detail = format!("{} has no account", ids::show("usr", user));
            book.find(ACCOUNT, subject, detail);
        }
        found.map(|account| &mut account.counted)
    }

    fn credit(&mut self, case: &Case<'_>, credit: &Credit, book: &mut Book) {
        let prefix = if credit.is_grant() { "grt" } else { "pay" };
        let subject = || ids::show(prefix, case.id);
        if let Some(counted) = self.counted(credit.user, subject(), book) {
            let sum = if credit.is_grant() { &mut counted.granted } else { &mut counted.charged };
            *sum = sum.wrapping_add(credit.amount).wrapping_sub(credit.gone());
        }
        let bought = case.payment.as_ref().map(|payment| {
            let paid = payment.state == pay::CAPTURED;
            (payment.points_of, if paid { payment.captured } else { 0 })
        });
        let expected = (!credit.is_grant()).then_some((Some(credit.user), credit.amount));
        if bought != expected || credit.amount <= 0 {
            let user = ids::show("usr", credit.user);
            let detail = format!("{} for {user}, its payment is {bought:?}", credit.amount);
            book.find(CHARGE, subject(), detail);
        }
    }

    fn used(&mut self, case: &Case<'_>, used: &Use, book: &mut Book) {
        shape(case, used, book);
        let (spent, back) = (sum(&used.parts), used.restored());
        if spent == [0; 2] && used.earned == 0 {
            return; // a tombstone
        }
        let narrow = |n: i128| i64::try_from(n).unwrap_or(i64::MAX);
        if let Some(counted) = self.counted(used.user, ids::order(case.id), book) {
            for kind in 0..2 {
                counted.spent[kind] = counted.spent[kind].wrapping_add(narrow(spent[kind]));
                counted.restored[kind] = counted.restored[kind].wrapping_add(narrow(back[kind]));
            }
            counted.rewarded = counted.rewarded.wrapping_add(used.earned);
            counted.clawed = counted.clawed.wrapping_add(used.clawed());
        }
    }

    /// What an order has spent against what its payment took as points.
    fn settled(&mut self, case: &Case<'_>, book: &mut Book) {
        if case.payment.as_ref().is_some_and(|payment| payment.points_of.is_some()) {
            return self.held(case); // it gives points and takes none
        }
        let out = case.used.as_ref().map(Use::out).unwrap_or_default();
        let (mut taken, mut currency) = ([0; 2], None);
        for leg in case.legs {
            if let Some((Role::Owed(kind), of)) = self.role(leg.account) {
                taken[kind] += i128::from(leg.amount);
                currency = Some(of);
            }
        }
        if out == taken {
            return;
        }
        let user = case.used.as_ref().map(|used| used.user);
        let of_user = user.and_then(|user| self.accounts.get(&user)).map(|a| a.currency);
        if let Some(currency) = of_user.or(currency) {
            for kind in 0..2 {
                self.currencies[currency].unsettled[kind] += out[kind] - taken[kind];
            }
        }
        if is_at_rest(case) && (case.order.is_some() || case.used.is_some()) {
            let detail = format!("{out:?} spent, {taken:?} taken by its payment (paid, earned)");
            book.find(SETTLED, ids::order(case.id), detail);
        }
    }

    /// The postings of a grant, or of an order's points.
    fn postings(&self, case: &Case<'_>, book: &mut Book) {
        let mut wanted = expected(case);
        let of_order = case.order.is_some() || case.used.is_some();
        let prefix = match (of_order, case.payment.is_some()) {
            (true, _) => "ord",
            (false, true) => "pay",
            (false, false) => "grt",
        };
        let mut find = |rule: Rule, detail| book.find(rule, ids::show(prefix, case.id), detail);
        for posting in case.point_legs.chunk_by(|a, b| a.seq == b.seq) {
            let seq = posting[0].seq;
            let at = wanted.iter().position(|wanted| wanted.seq == seq);
            let fits = at.map(|at| wanted.swap_remove(at)).is_some_and(|w| self.fits(&w, posting));
            if !fits {
                find(POSTING, format!("posting {seq}: {posting:?}"));
            }
        }
        for Wanted { seq, amount, .. } in wanted {
            find(POSTED, format!("posting {seq} of {amount} is absent"));
        }
    }

    fn fits(&self, wanted: &Wanted, posting: &[Leg]) -> bool {
        let [debit, credit] = posting else { return false };
        let sides = [self.role(debit.account), self.role(credit.account)];
        let [Some((from, one)), Some((to, other))] = sides else { return false };
        let amounts = (debit.amount, credit.amount) == (wanted.amount, -wanted.amount);
        amounts && one == other && (from, to) == (wanted.debit, wanted.credit)
    }

    /// The postings of an account: one for each lot that has ended.
    fn expiries(&mut self, case: &Case<'_>, book: &mut Book) {
        let (mut expired, mut count) = ([0_i64; 2], 0);
        for posting in case.point_legs.chunk_by(|a, b| a.seq == b.seq) {
            let (amount, seq) = (posting[0].amount, posting[0].seq);
            count += 1;
            let sides = [(Role::Owed(0), Role::Breakage), (OWED, Role::Promo)];
            let kind = sides.into_iter().position(|(debit, credit)| {
                amount > 0 && self.fits(&Wanted { seq, debit, credit, amount }, posting)
            });
            if let Some(kind) = kind.filter(|_| seq == count) {
                expired[kind] = expired[kind].wrapping_add(amount);
            } else {
                let detail = format!("posting {seq}: {posting:?}");
                book.find(POSTING, ids::show("usr", case.id), detail);
            }
        }
        if let Some(account) = self.accounts.get_mut(&case.id) {
            account.posted = (expired, count);
        }
    }
}

/// The postings that an order's points, or a grant, must have.
fn expected(case: &Case<'_>) -> Vec<Wanted> {
    let mut all = Vec::new();
    if let Some(credit) = case.credit.as_ref().filter(|credit| credit.is_grant()) {
        all.push(wanted(GRANT, true, credit.amount));
    }
    for (at, refund) in (1..).zip(case.credit.iter().flat_map(|credit| &credit.refunds)) {
        if refund.missing > 0 {
            let (debit, credit) = (Role::Promo, Role::Owed(place(PAID)));
            all.push(Wanted { seq: SHORT + at, debit, credit, amount: refund.missing });
        }
    }
    let Some(used) = &case.used else { return all };
    if used.earned > 0 {
        all.push(wanted(EARN, true, used.earned));
    }
    for claw in used.claws.iter().filter(|claw| claw.taken > 0) {
        all.push(wanted(CLAW + claw.no, false, claw.taken));
        if claw.undone == 1 {
            all.push(wanted(UNCLAW + claw.no, true, claw.taken));
        }
    }
    all
}

/// Compares an order's own words with the use of its points, once a step is done.
fn agrees(case: &Case<'_>, book: &mut Book) {
    const DONE: i64 = 2;
    let Some(order) = &case.order else { return };
    let (spent, earned) =
        case.used.as_ref().map_or(([0; 2], 0), |used| (sum(&used.parts), used.earned));
    let says = [order.points_paid, order.points_earned].map(i128::from);
    let unspent = order.point_step == DONE && spent != says;
    let wanted = if order.earn_step == 0 { 0 } else { order.earned };
    let unearned = earned != wanted && (order.earn_step == DONE || earned != 0);
    if unspent || unearned {
        let detail = format!(
            "says {says:?} (paid, earned) spent and {wanted} earned; the account {spent:?} and {earned}"
        );
        book.find(AGREES, ids::order(case.id), detail);
    }
}

/// Checks a use in itself and against its order.
fn shape(case: &Case<'_>, used: &Use, book: &mut Book) {
    let mut find = |rule, detail| book.find(rule, ids::order(case.id), detail);
    let lots = used.parts.iter().all(|lot| lot.points > 0 && matches!(lot.kind, EARNED | PAID));
    let backs = used.restores.iter().all(|back| back.paid >= 0 && back.earned >= 0);
    let out = used.out();
    let stands = match used.state {
        NONE => used.parts.is_empty() && used.restores.is_empty(),
        SPENT => !used.parts.is_empty() && out.iter().all(|n| *n >= 0),
        _ => out == [0; 2],
    };
    let claws = used.claws.iter().all(|claw| {
        let whole = i128::from(claw.taken) + i128::from(claw.gone);
        claw.taken >= 0 && claw.gone >= 0 && whole <= i128::from(claw.asked)
    });
    let live = used.claws.iter().filter(|claw| claw.undone == 0);
    let asked: i128 = live.map(|claw| i128::from(claw.asked)).sum();
    if !(lots && backs && stands && claws) || asked > i128::from(used.earned) {
        find(USE, format!("{used:?}"));
    }
    let backs = used.restores.iter().map(|back| back.no);
    let claws = used.claws.iter().map(|claw| claw.no);
    if [doubled(backs), doubled(claws)] != [false; 2] {
        find(NUMBER, format!("{:?}, {:?}", used.restores, used.claws));
    }
    let tombstone = used.parts.is_empty() && used.earned == 0;
    let orderer = case.order.as_ref().map(|order| order.user);
    if orderer.is_some_and(|user| user != used.user) || (orderer.is_none() && !tombstone) {
        let whose = orderer.map(|user| ids::show("usr", user));
        find(ORDER, format!("of {}, the order of {whose:?}", ids::show("usr", used.user)));
    }
}

fn doubled(numbers: impl Iterator<Item = i64>) -> bool {
    let mut all: Vec<i64> = numbers.collect();
    all.sort_unstable();
    all.windows(2).any(|pair| pair[0] == pair[1])
}

/// Whether nothing is under way that could still move points.
fn is_at_rest(case: &Case<'_>) -> bool {
    let Some(order) = &case.order else { return true };
    let moving = order.refunds.iter().any(|refund| {
        matches!(
            refund.state,
            refund_state::REQUESTED
                | refund_state::PSP_REFUND
                | refund_state::RESTORING
                | refund_state::SETTING_ASIDE
        )
    });
    let asking = case.payment.as_ref().is_some_and(|payment| payment.refunds_pending() > 0);
    let ended = !order.is_open() && order.state != order_state::STUCK && !order.is_abandoned();
    ended && !moving && !asking
}
