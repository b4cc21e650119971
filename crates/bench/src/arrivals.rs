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
    /// Closed model: always this many outstanding, until there were so many in all. To guess where
    /// a search should begin, and to fill a store.
    Closed { width: usize, most: u64 },
    /// Evenly spaced at a rate that changes in steps.
    Stairs(Stairs),
}

/// A rate that changes in steps of equal length.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Stairs {
    /// The rate that the factors multiply.
    pub(crate) peak: f64,
    pub(crate) factors: &'static [f64],
    /// Nanoseconds of one step.
    pub(crate) each: u64,
}

impl Stairs {
    /// When arrival `count` of the stairs is due, in nanoseconds since their start; none after the
    /// last.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive times far below 2^53 nanoseconds"
    )]
    fn due(&self, count: u64) -> Option<u64> {
        let (mut begin, mut rest) = (0, count as f64);
        for factor in self.factors {
            let rate = self.peak * factor;
            let here = (rate * self.each as f64 / 1e9).round();
            if rest < here {
                return Some(begin + (rest * 1e9 / rate) as u64);
            }
            rest -= here;
            begin += self.each;
        }
        None
    }
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
        (self.next < self.end && !self.is_closed()).then_some(self.next)
    }

    /// No more arrivals from `now` on.
    pub(crate) fn over(&self, now: u64) -> bool {
        match self.pace {
            Pace::Closed { most, .. } => now >= self.end || self.count >= most,
            Pace::Even(_) | Pace::Poisson(_) | Pace::Stairs(_) => self.next >= self.end,
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.pace, Pace::Closed { .. })
    }

    /// Whether the closed model wants one more outstanding; it counts as begun then.
    pub(crate) fn closed_room(&mut self, now: u64, busy: usize) -> bool {
        match self.pace {
            Pace::Closed { width, most } if now < self.end && self.count < most => {
                let room = busy < width;
                self.count += u64::from(room);
                room
            }
            _ => false,
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
            Pace::Stairs(stairs) => {
                self.next = stairs.due(self.count).map_or(self.end, |due| self.start + due);
            }
            Pace::Closed { .. } => {}
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
    fn stairs_have_the_rate_of_each_step() {
        let stairs = Stairs { peak: 1_000.0, factors: &[0.8, 5.0, 0.8], each: 2 * SECOND };
        let times = all(Pace::Stairs(stairs), 6);
        let within = |from: u64, to: u64| {
            times.iter().filter(|&&t| (5 + from * SECOND..5 + to * SECOND).contains(&t)).count()
        };
        assert_eq!([within(0, 2), within(2, 4), within(4, 6)], [1_600, 10_000, 1_600]);
        assert_eq!(times.len(), 13_200);
        assert!(times.is_sorted());
    }

    #[test]
    fn a_closed_model_ends_after_its_count() {
        let mut arrivals = Arrivals::new(Pace::Closed { width: 4, most: 10 }, 1, 0, SECOND);
        let begun = (0..100).filter(|turn| arrivals.closed_room(0, turn % 4)).count();
        assert_eq!(begun, 10);
        assert!(arrivals.over(0));
        assert!(!arrivals.closed_room(0, 0));
    }

    #[test]
    fn nothing_is_due_before_its_time() {
        let mut arrivals = Arrivals::new(Pace::Even(10.0), 1, 0, SECOND);
        assert_eq!(arrivals.due(0), Some(0));
        assert_eq!(arrivals.due(99_999_999), None);
        assert_eq!(arrivals.next(), Some(100_000_000));
    }
}
