//! The certificate for people: a compact table.

use std::fmt::{self, Display, Formatter};

use crate::certificate::Certificate;
use crate::plot::short;
use crate::tally::Quantiles;

impl Display for Certificate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.load(f)?;
        self.times(f)?;
        self.costs(f)?;
        self.verdict(f)
    }
}

impl Certificate {
    fn load(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { preset, rate, rate_source, duration_s, conditions, .. } = self;
        writeln!(
            f,
            "{preset}: {rate:.0}/s ({rate_source}) for {duration_s:.0} s, {} connections, seed {}",
            conditions.connections, conditions.seed
        )?;
        writeln!(
            f,
            "  requests    offered {}  issued {}  completed {}  dropped {}",
            self.offered, self.issued, self.completed, self.dropped
        )?;
        write!(f, "  outcomes   ")?;
        for (name, count) in &self.outcomes {
            write!(f, " {name} {count}")?;
        }
        writeln!(f)?;
        writeln!(
            f,
            "  throughput  {:.0} {}/s, drained in {:.2} s",
            self.throughput,
            self.goal(),
            self.drain_s
        )?;
        self.special(f)
    }

    fn times(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "  ms             p50      p95      p99      max")?;
        row(f, "accepted", self.accepted)?;
        row(f, "settled", self.settled)?;
        for (name, quantiles) in &self.settled_by_outcome {
            if self.settled_by_outcome.len() > 1 {
                row(f, &format!("- {name}"), Some(*quantiles))?;
            }
        }
        for (name, quantiles) in &self.latency_by_step {
            row(f, name, Some(*quantiles))?;
        }
        row(f, "lateness", self.generator_lateness)
    }

    /// What `throughput` counts.
    pub(crate) fn goal(&self) -> &'static str {
        match self.preset {
            "payments" => "payments",
            "ledger" => "journals",
            "coupons" => "coupons",
            _ => "SOLD",
        }
    }

    /// What only one preset has.
    fn special(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(ledger) = &self.ledger {
            let (rate, balances) = (ledger.entries_per_second, ledger.balances);
            writeln!(
                f,
                "  entries     {rate:.0}/s in journals of {} postings | accounts {} differing {}",
                ledger.postings, balances.accounts, balances.differing
            )?;
        }
        if self.with_coupon + self.with_points > 0 {
            let Self { with_coupon, with_points, orders, .. } = self;
            writeln!(
                f,
                "  brought     a coupon {with_coupon}, points {with_points} of {orders} orders"
            )?;
        }
        if let Some(positions) = &self.positions {
            writeln!(
                f,
                "  positions   {} of {} told, {} doubled, {} wrong counts | {:.0} requests/s",
                positions.told,
                positions.total,
                positions.doubled,
                positions.lies,
                positions.requests_per_second
            )?;
        }
        if let Some(trend) = &self.trend {
            writeln!(
                f,
                "  per hour    memory {} MB, p99 {} ms ({} now), WAL {} MB (most {}), files {} MB = {} bytes an order",
                number(trend.memory_mb_per_hour),
                number(trend.p99_ms_per_hour),
                number(trend.p99_ms),
                number(trend.wal_mb_per_hour),
                number(trend.wal_mb_most),
                number(trend.files_mb_per_hour),
                number(trend.file_bytes_per_order),
            )?;
        }
        if let Some(aged) = &self.aged {
            writeln!(
                f,
                "  age         {} orders: CPU us {} p99 {} ms | {} orders: CPU us {} p99 {} ms | x{}",
                aged.young.stored,
                number(aged.young.server_us),
                number(aged.young.settled_p99),
                aged.old.stored,
                number(aged.old.server_us),
                number(aged.old.settled_p99),
                aged.cost_factor.map_or_else(|| "?".to_owned(), |factor| format!("{factor:.2}")),
            )?;
        }
        for step in self.overload.iter().flat_map(|overload| &overload.steps) {
            writeln!(
                f,
                "  {:>3.0} %       good {:.0}/s  refused {:.1} %  dropped {:.1} %  p99 {} from sending p50 {} p99 {} refusal p99 {} lateness p99 {}",
                step.factor * 100.0,
                step.goodput,
                step.refused * 100.0,
                step.dropped * 100.0,
                number(step.accepted.map(|q| q.p99)),
                number(step.served.map(|q| q.p50)),
                number(step.served.map(|q| q.p99)),
                number(step.refusals.map(|q| q.p99)),
                number(step.lateness.map(|q| q.p99)),
            )?;
        }
        Ok(())
    }

    fn costs(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (cpu, per, phase) = (&self.cpu_us_per_order, &self.per_order, &self.phase_us_per_order);
        writeln!(
            f,
            "  per order   CPU us: server {} generator {} | rows {} pages {} WAL bytes {} fsyncs {}",
            number(cpu.server),
            number(cpu.generator),
            number(per.rows),
            number(per.pages),
            number(per.wal_bytes),
            number(per.fsyncs)
        )?;
        writeln!(
            f,
            "  writer us   read {} decide {} write {} commit {} | batch p50 {} p99 {}",
            number(phase.read),
            number(phase.decide),
            number(phase.write),
            number(phase.commit),
            number(self.batch.p50),
            number(self.batch.p99)
        )?;
        writeln!(
            f,
            "  memory MB   idle {} peak {} | events unsent {} | lag ms p50 {} p99 {}",
            number(self.memory_mb.idle),
            number(self.memory_mb.peak),
            self.events_unsent.map_or_else(|| "?".to_owned(), |count| count.to_string()),
            number(self.events.lag_p50_ms),
            number(self.events.lag_p99_ms)
        )?;
        let Some(kafka) = self.kafka else { return Ok(()) };
        writeln!(
            f,
            "  to Kafka    {} acknowledged | lag ms p50 {} p99 {} | all of it s {}",
            kafka.acknowledged.map_or_else(|| "?".to_owned(), |count| count.to_string()),
            number(kafka.lag_p50_ms),
            number(kafka.lag_p99_ms),
            number(kafka.drain_s)
        )
    }

    fn verdict(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match (&self.proof, &self.proof_error) {
            (Some(sums), _) => writeln!(
                f,
                "  proof       lost {}  doubled {}  mismatched {}",
                sums.lost, sums.doubled, sums.mismatched
            )?,
            (None, why) => {
                writeln!(f, "  proof       DID NOT RUN: {}", why.as_deref().unwrap_or("unknown"))?;
            }
        }
        for mark in self.marks.iter().filter(|mark| !mark.pass) {
            let (value, wanted) = (mark.measured(short), mark.wanted(short));
            writeln!(f, "  missed      {}: {value}, wanted {wanted}", mark.name)?;
        }
        writeln!(f, "  {}", if self.pass { "PASS" } else { "NOT PASSED" })
    }
}

fn row(f: &mut Formatter<'_>, name: &str, quantiles: Option<Quantiles>) -> fmt::Result {
    match quantiles {
        Some(Quantiles { p50, p95, p99, max }) => {
            writeln!(f, "  {name:<10} {p50:>8.2} {p95:>8.2} {p99:>8.2} {max:>8.2}")
        }
        None => writeln!(f, "  {name:<10}        -        -        -        -"),
    }
}

fn number(value: Option<f64>) -> String {
    match value {
        Some(value) if value.abs() >= 100.0 => format!("{value:.0}"),
        Some(value) => format!("{value:.1}"),
        None => "?".to_owned(),
    }
}
