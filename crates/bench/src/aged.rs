//! Age: what an order costs when millions are stored, against ten thousand.

use serde::Serialize;

use crate::certificate::PerOrder;
use crate::certify::Per;
use crate::load::Measured;

/// Two measurements of the same load, and what lay between.
#[derive(Debug, Clone, Serialize)]
pub struct Aged {
    /// With few stored orders.
    pub young: Age,
    /// With many.
    pub old: Age,
    /// CPU time per order, old over young.
    pub cost_factor: Option<f64>,
    /// Seconds that storing the orders between the two took.
    pub fill_s: f64,
    /// Orders per second while they were stored.
    pub fill_rate: f64,
}

/// One measurement.
#[derive(Debug, Clone, Serialize)]
pub struct Age {
    /// Orders that were stored when it began.
    pub stored: u64,
    /// CPU time of the server per order, microseconds.
    pub server_us: Option<f64>,
    /// Storage work per order.
    pub per_order: PerOrder,
    /// 99 of 100 orders were settled within this time, milliseconds.
    pub settled_p99: Option<f64>,
}

impl Age {
    pub(crate) fn of(stored: u64, measured: &Measured) -> Self {
        let Measured { tally, before, after, .. } = measured;
        let per = Per { orders: tally.orders(), before, after };
        Self {
            stored,
            server_us: measured.server_cpu_us.and_then(|us| per.share(us)),
            per_order: per.storage(),
            settled_p99: tally.settled.quantiles().map(|quantiles| quantiles.p99),
        }
    }
}

impl Aged {
    #[expect(clippy::cast_precision_loss, reason = "counts of a run are far below 2^53")]
    pub(crate) fn of([young, old]: [Age; 2], filled: u64, seconds: f64) -> Self {
        let costs = old.server_us.zip(young.server_us);
        Self {
            cost_factor: costs.and_then(|(old, young)| (young > 0.0).then(|| old / young)),
            fill_s: seconds,
            fill_rate: if filled > 0 { filled as f64 / seconds } else { 0.0 },
            young,
            old,
        }
    }
}
