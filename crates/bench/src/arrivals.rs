//! When requests are due. In the open model that is decided before the first one is sent, so a slow
//! server cannot make its clients come later.

use crate::dice::Dice;

/// How requests arrive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Pace {
    /// So many a second, evenly spaced.
    Even(f64),
    /// So many a second on average, with independent exponential gaps.
    Poisson(f64),
    /// Closed model: always this many outstanding. Only to guess where a search should begin.
    Closed(usize),
}

/// The schedule of one phase, on the generator's clock (nanoseconds).
#[derive(Debug)]
pub(crate) struct Arrivals {
    pace: Pace,
    dice: Dice,
    start: u64,
    end: u64,
    count: u64,
    next: u64,
}

impl Arrivals {
    pub(crate) fn new(pace: Pace, seed: u64, start: u64, end: u64) -> Self {
        let mut arrivals =
            Self { pace, dice: Dice::of(seed, u64::MAX), start, end, count: 0, next: start };
        if matches!(pace, Pace::Poisson(_)) {
            arrivals.advance();
        }
        arrivals
    }

    /// The intended start of the next arrival, if its time has come.
    pub(crate) fn due(&mut self, now: u64) -> Option<u64> {
        let intended = self.next().filter(|&next| next <= now)?;
        self.advance();
        Some(intended)
    }

    /// When the next one is due; `None` when there is none, or in the closed model.
    pub(crate) fn next(&self) -> Option<u64> {
        (self.next < self.end && !matches!(self.pace, Pace::Closed(_))).then_some(self.next)
    }

    /// No more arrivals from `now` on.
    pub(crate) fn over(&self, now: u64) -> bool {
        match self.pace {
            Pace::Closed(_) => now >= self.end,
            Pace::Even(_) | Pace::Poisson(_) => self.next >= self.end,
        }
    }

    /// How many more the closed model wants outstanding.
    pub(crate) fn closed_room(&self, now: u64, busy: usize) -> usize {
        match self.pace {
            Pace::Closed(width) if now < self.end => width.saturating_sub(busy),
            _ => 0,
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive times far below 2^53 nanoseconds"
    )]
    fn advance(&mut self) {
        self.count += 1;
        match self.pace {
            Pace::Even(rate) => self.next = self.start + (self.count as f64 * 1e9 / rate) as u64,
            Pace::Poisson(rate) => self.next += (-self.dice.unit().ln() * 1e9 / rate) as u64,
            Pace::Closed(_) => {}
        }
    }
}

#[cfg(test)]
#[expect(clippy::cast_precision_loss, reason = "small counts and times")]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn all(pace: Pace, seconds: u64) -> Vec<u64> {
        let mut arrivals = Arrivals::new(pace, 3, 5, 5 + seconds * SECOND);
        let list = std::iter::from_fn(|| arrivals.due(u64::MAX)).collect();
        assert!(arrivals.over(0));
        list
    }

    #[test]
    fn even_arrivals_do_not_drift() {
        let times = all(Pace::Even(3_000.0), 60);
        assert_eq!(times.len(), 180_000);
        assert_eq!(times[0], 5);
        assert_eq!(times[90_000], 5 + 30 * SECOND);
    }

    #[test]
    fn poisson_arrivals_have_the_rate_and_the_spread() {
        let times = all(Pace::Poisson(1_000.0), 100);
        let count = times.len() as f64;
        assert!((count - 100_000.0).abs() < 2_000.0, "{count}");
        let gaps: Vec<f64> = times.windows(2).map(|pair| (pair[1] - pair[0]) as f64).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        assert!(
            (variance.sqrt() / mean - 1.0).abs() < 0.05,
            "deviation {}",
            variance.sqrt() / mean
        );
    }

    #[test]
    fn nothing_is_due_before_its_time() {
        let mut arrivals = Arrivals::new(Pace::Even(10.0), 1, 0, SECOND);
        assert_eq!(arrivals.due(0), Some(0));
        assert_eq!(arrivals.due(99_999_999), None);
        assert_eq!(arrivals.next(), Some(100_000_000));
    }
}
