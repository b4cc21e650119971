//! Rankings, as a reader makes them from the rows of days, or is told by another process that has just
//! made them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jangbu_domain::catalog::model::Product;
use jangbu_engine::port::{By, Fault, Read};
use jangbu_kernel::time::Span;
use jangbu_kernel::{CategoryId, ProductId, SkuId, Time};
use parking_lot::Mutex;

use super::{SOLD, SOLD_MARK, day};
use crate::projections::shelf::SHELF;
use crate::queries::View;

/// Rankings are made anew at most so often, and are never older.
pub const REFRESH: Span = Span(1_000_000);

/// Products of a ranking that are looked at together, to see which are on sale.
const CHUNK: usize = 200;

/// Over how many days, today included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Window {
    /// Today.
    Day,
    /// Seven days.
    Week,
    /// Thirty days.
    Month,
}

impl Window {
    /// Every window.
    pub const ALL: [Self; 3] = [Self::Day, Self::Week, Self::Month];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// How many days it has.
    pub const fn days(self) -> i64 {
        match self {
            Self::Day => 1,
            Self::Week => 7,
            Self::Month => 30,
        }
    }
}

/// A product in a ranking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Best {
    /// The product.
    pub product: ProductId,
    /// Units of all its SKUs.
    pub units: i64,
    /// Its SKUs that were sold, the best first.
    pub skus: Vec<(SkuId, i64)>,
}

/// A ranking with what it is called.
#[derive(Debug)]
pub struct Ranking {
    /// Its first day, counted from 1970-01-01.
    pub from: i64,
    /// Its last.
    pub to: i64,
    /// The best products that are on sale, and their names.
    pub items: Vec<(Best, Box<str>)>,
    /// All products, if they were ranked for this answer: others may want to know.
    pub fresh: Option<Arc<[Best]>>,
}

/// The first products of a ranking that another process has made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The best first.
    pub best: Vec<Best>,
    /// Whether there are no others.
    pub whole: bool,
    /// How long ago it was made.
    pub age: Span,
}

/// A day as it was read: how often it had changed, and product, SKU, units.
type Seen = (i64, Arc<[(i64, i64, i64)]>);

/// What a reader remembers of days and rankings.
#[derive(Debug, Default)]
pub(crate) struct Remembered(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    days: BTreeMap<i64, Seen>,
    rankings: BTreeMap<Window, Made>,
}

/// A ranking, of which last day and when it was made.
#[derive(Debug)]
struct Made {
    to: i64,
    at: Time,
    best: Arc<[Best]>,
    /// Whether there are no others.
    whole: bool,
}

impl Made {
    fn is_good(&self, to: i64, now: Time) -> bool {
        let age = now - self.at;
        self.to == to && age >= Span(0) && age < REFRESH
    }
}

impl View {
    /// The products that sell best at `now`: on sale, in this category or below it.
    pub fn bestsellers(
        &self,
        window: Window,
        category: Option<CategoryId>,
        limit: usize,
        now: Time,
    ) -> Result<Ranking, Fault> {
        let to = day(now);
        let within = category.map(|root| self.subtree(root)).transpose()?;
        let (ranking, whole) = self.ranking(window, now);
        let (mut found, mut fresh) = (self.on_sale(&ranking, within.as_ref(), limit)?, None);
        if found.len() < limit && !whole {
            let ranking = self.rank(window, now)?;
            found = self.on_sale(&ranking, within.as_ref(), limit)?;
            fresh = Some(ranking);
        }
        let by = By::Keys(found.iter().map(|best| [best.product.0, 0, 0]).collect());
        let products = self.many::<Product>(Read { table: &crate::catalog::PRODUCT, by })?;
        let names: BTreeMap<_, _> = products.into_iter().map(|(id, p)| (id, p.name)).collect();
        let named = |best: Best| {
            let name = names.get(&best.product).cloned().unwrap_or_default();
            (best, name)
        };
        let items = found.into_iter().map(named).collect();
        Ok(Ranking { from: to + 1 - window.days(), to, items, fresh })
    }

    /// The first products of a ranking that are on sale, in these categories.
    fn on_sale(
        &self,
        ranking: &[Best],
        within: Option<&BTreeSet<i64>>,
        limit: usize,
    ) -> Result<Vec<Best>, Fault> {
        let mut found: Vec<Best> = Vec::with_capacity(limit);
        for chunk in ranking.chunks(CHUNK) {
            let by = By::Keys(chunk.iter().map(|best| [best.product.0, 0, 0]).collect());
            let mut listed = BTreeMap::new();
            self.derived.read(&[Read { table: &SHELF, by }], &mut |_, row| {
                listed.insert(row.int(0), (row.int(1) == 1, row.int(3)));
            })?;
            let wanted = |best: &&Best| {
                let on = listed.get(&best.product.0).filter(|(published, _)| *published);
                on.is_some_and(|(_, at)| within.is_none_or(|set| set.contains(at)))
            };
            found.extend(chunk.iter().filter(wanted).take(limit - found.len()).cloned());
            if found.len() == limit {
                break;
            }
        }
        Ok(found)
    }

    /// Whether a ranking would have to be made, or asked of others.
    pub fn lacks_ranking(&self, window: Window, now: Time) -> bool {
        let inner = self.sold.0.lock();
        let made = inner.rankings.get(&window);
        made.is_none_or(|made| !made.is_good(day(now), now))
    }

    /// Remembers a ranking that another process has made.
    pub fn learn_ranking(&self, window: Window, now: Time, head: Head) {
        let Head { best, whole, age } = head;
        let made = Made { to: day(now), at: Time(now.0 - age.0), best: best.into(), whole };
        self.sold.0.lock().rankings.insert(window, made);
    }

    /// What is known of a ranking: its first products, and whether there are no others.
    fn ranking(&self, window: Window, now: Time) -> (Arc<[Best]>, bool) {
        let inner = self.sold.0.lock();
        let made = inner.rankings.get(&window).filter(|made| made.is_good(day(now), now));
        made.map_or_else(Default::default, |made| (Arc::clone(&made.best), made.whole))
    }

    /// All products that were sold within a window, the best first; ties by age.
    fn rank(&self, window: Window, now: Time) -> Result<Arc<[Best]>, Fault> {
        let to = day(now);
        let mut inner = self.sold.0.lock();
        // Who has waited for the lock may find what it wants.
        let made = inner.rankings.get(&window).filter(|made| made.whole && made.is_good(to, now));
        if let Some(made) = made {
            return Ok(Arc::clone(&made.best));
        }
        self.refresh(&mut inner.days, to)?;
        let days = inner.days.range(to + 1 - window.days()..=to);
        let best: Arc<[Best]> = rank(days.flat_map(|(_, (_, rows))| rows.iter().copied())).into();
        let made = Made { to, at: now, best: Arc::clone(&best), whole: true };
        inner.rankings.insert(window, made);
        Ok(best)
    }

    /// Reads the days again that have changed, and forgets those that no window has.
    fn refresh(&self, days: &mut BTreeMap<i64, Seen>, to: i64) -> Result<(), Fault> {
        let first = to + 1 - Window::Month.days();
        days.retain(|day, _| (first..=to).contains(day));
        let range = |table, from, to| Read {
            table,
            by: By::Range { from, to, descending: false, limit: u32::MAX },
        };
        let mut marks = Vec::new();
        let read = range(&SOLD_MARK, [first, 0, 0], [to, 0, 0]);
        self.derived.read(&[read], &mut |_, row| marks.push((row.int(0), row.int(1))))?;
        marks.retain(|(day, changes)| days.get(day).is_none_or(|(seen, _)| seen != changes));
        for (day, changes) in marks {
            let mut rows = Vec::new();
            let read = range(&SOLD, [day, i64::MIN, i64::MIN], [day, i64::MAX, i64::MAX]);
            self.derived.read(&[read], &mut |_, row| {
                rows.push((row.int(1), row.int(2), row.int(3)));
            })?;
            days.insert(day, (changes, rows.into()));
        }
        Ok(())
    }
}

/// Sums rows of product, SKU and units.
fn rank(rows: impl Iterator<Item = (i64, i64, i64)>) -> Vec<Best> {
    let mut sums: BTreeMap<(i64, i64), i64> = BTreeMap::new();
    for (product, sku, units) in rows {
        *sums.entry((product, sku)).or_insert(0) += units;
    }
    let mut ranked: Vec<Best> = Vec::new();
    for ((product, sku), units) in sums {
        if ranked.last().is_none_or(|best| best.product.0 != product) {
            ranked.push(Best { product: ProductId(product), units: 0, skus: Vec::new() });
        }
        if let Some(best) = ranked.last_mut() {
            best.units += units;
            best.skus.extend((units > 0).then_some((SkuId(sku), units)));
        }
    }
    ranked.retain(|best| best.units > 0);
    for best in &mut ranked {
        best.skus.sort_by_key(|(sku, units)| (-units, *sku));
    }
    ranked.sort_by_key(|best| (-best.units, best.product));
    ranked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_are_in_the_order_of_their_age_and_what_came_back_is_not_there() {
        let rows =
            [(3, 31, 2), (1, 11, 1), (1, 12, 1), (2, 21, 5), (1, 12, 1), (4, 41, 3), (4, 42, -3)];
        let ranked = rank(rows.into_iter());
        let told: Vec<_> = ranked.iter().map(|best| (best.product.0, best.units)).collect();
        assert_eq!(told, [(2, 5), (1, 3), (3, 2)]);
        assert_eq!(ranked[1].skus, [(SkuId(12), 2), (SkuId(11), 1)]);
    }
}
