//! Rankings of best-sellers: a sorted set for each window, made anew as a whole and gone after a second.
//!
//! The rows decide what sells best. Who has ranked them leaves the ranking here, so that of several
//! processes one does it once a second. A set that is missing, because Redis was emptied, killed or never
//! there, is made again from the rows by the next who asks; one that is there is never older than what a
//! process may remember by itself. So nothing has to be added up here, and nothing can be counted twice.
//!
//! A member is the product, so padded that ties come in the order of age, and its SKUs; the score is the
//! negative of its units.

use jangbu_kernel::time::Span;
use jangbu_kernel::{ProductId, SkuId};
use jangbu_services::bestseller::{Best, Head, REFRESH};
use redis::{Cmd, pipe};

use super::Core;
use super::live::Live;

/// Products of a ranking that are kept.
const KEPT: usize = 1_000;

/// Products that are read: who finds too few on sale among them ranks the rows.
const READ: usize = 200;

/// Milliseconds for which a ranking is good.
const LIFE: i64 = REFRESH.0 / 1_000;

impl Live {
    /// The first products of the ranking under `key`.
    pub(super) async fn ranking(&self, core: &Core, key: &str) -> Option<Head> {
        let mut questions = pipe();
        questions.cmd("ZRANGE").arg(key).arg(0).arg(READ).arg("WITHSCORES").cmd("PTTL").arg(key);
        let (members, left): (Vec<(String, i64)>, i64) = self.ask_all(core, &questions).await?;
        if left <= 0 {
            return None;
        }
        let whole = members.len() <= READ;
        let best: Option<Vec<Best>> =
            members.iter().take(READ).map(|(member, score)| best(member, *score)).collect();
        let age = Span::millis((LIFE - left).max(0));
        Some(Head { best: best?, whole, age })
    }
}

/// Adds what keeps a ranking to a call of the script `BEST`.
pub(super) fn keep(best: &[Best], question: &mut Cmd) {
    question.arg(LIFE);
    for best in best.iter().take(KEPT) {
        question.arg(-best.units).arg(member(best));
    }
}

fn member(best: &Best) -> String {
    let skus: Vec<_> = best.skus.iter().map(|(sku, n)| format!("{}:{n}", sku.0)).collect();
    format!("{:019} {}", best.product.0, skus.join(","))
}

fn best(member: &str, score: i64) -> Option<Best> {
    let (product, skus) = member.split_once(' ')?;
    let sku = |pair: &str| {
        let (sku, units) = pair.split_once(':')?;
        Some((SkuId(sku.parse().ok()?), units.parse().ok()?))
    };
    let skus: Option<Vec<_>> = skus.split(',').filter(|pair| !pair.is_empty()).map(sku).collect();
    Some(Best { product: ProductId(product.parse().ok()?), units: -score, skus: skus? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_of_a_ranking_comes_back_as_it_was() {
        for skus in [vec![(SkuId(31), 2), (SkuId(i64::MAX), 1)], Vec::new()] {
            let one = Best { product: ProductId(7), units: 3, skus };
            assert_eq!(best(&member(&one), -3), Some(one));
        }
        assert_eq!(best("0007", -3), None);
        assert_eq!(best("0007 1:x", -3), None);
    }
}
