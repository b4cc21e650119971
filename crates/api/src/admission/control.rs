//! How the limits move, window by window. Pure: it is told what was seen.

use super::AdmissionRules;

/// Length of a window.
pub(super) const WINDOW_US: u64 = 50_000;

/// Fewer delays than this say nothing.
const SAMPLES: u64 = 8;

/// Windows without an answer before the queue is closed: a quarter of a second.
const PATIENCE: u32 = 5;

/// Late windows in a row that make a standing queue of a burst: while nothing is refused, and once
/// the limit has been lowered.
const BURST: u32 = 6;
const STANDING: u32 = 3;

/// How far above the target a burst may be.
const SLACK: u64 = 2;

/// So many times the target no burst explains.
const FAR: u64 = 4;

/// How much longer than at ease the delay may be.
const EASE: u64 = 3;

/// What was seen in a window.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    /// Sum and number of the delays that ended in it.
    pub(super) sum_us: u64,
    pub(super) count: u64,
    /// Most requests in flight, and the commands that were at its end.
    pub(super) peak: u32,
    pub(super) busy: u32,
    /// Whether a command was refused.
    pub(super) refused: bool,
}

/// The limits and what they depend on.
#[derive(Debug)]
pub(super) struct Control {
    rules: AdmissionRules,
    checkout: u32,
    browse: u32,
    batch: u32,
    target_us: u64,
    delay_us: u64,
    /// Windows in a row in which the delay was above the target, and above a half and a quarter.
    late: [u32; 3],
    /// Windows in a row in which it was far above the target.
    far: u32,
    /// Windows in a row in which hardly anything ended.
    still: u32,
}

impl Control {
    pub(super) fn new(rules: AdmissionRules) -> Self {
        let batch = (rules.browse / 4).max(1);
        Self {
            rules,
            checkout: rules.most,
            browse: rules.browse,
            batch,
            target_us: super::micros(rules.target),
            delay_us: 0,
            late: [0; 3],
            far: 0,
            still: 0,
        }
    }

    pub(super) fn limits(&self) -> [u32; 3] {
        [self.checkout, self.browse, self.batch]
    }

    pub(super) fn delay_us(&self) -> u64 {
        self.delay_us
    }

    pub(super) fn target_us(&self) -> u64 {
        self.target_us
    }

    /// Takes a window in; the new limits.
    pub(super) fn turn(&mut self, window: &Window) -> [u32; 3] {
        if window.count >= SAMPLES {
            self.delay_us = window.sum_us / window.count;
            self.learn(window.peak);
            self.still = 0;
        } else if window.busy > 0 {
            return self.stall(window.busy);
        } else {
            (self.delay_us, self.still) = (0, 0);
        }
        let target = self.target_us;
        let calm = self.checkout == self.rules.most;
        let bounds = [if calm { target * SLACK } else { target }, target / 2, target / 4];
        for (late, bound) in self.late.iter_mut().zip(bounds) {
            *late = if self.delay_us > bound { *late + 1 } else { 0 };
        }
        self.far = if self.delay_us > target * FAR { self.far + 1 } else { 0 };
        self.checkout = self.next_checkout(window, target);
        let most = self.rules.browse;
        self.browse = give_way(self.browse, self.late[1] > 1, most);
        self.batch = give_way(self.batch, self.late[2] > 1, (most / 4).max(1));
        self.limits()
    }

    /// Hardly anything ends although something is there: a stall, which says nothing of a rate. A
    /// short one is what a queue is for; in a longer one nobody joins the queue any more.
    fn stall(&mut self, busy: u32) -> [u32; 3] {
        self.still += 1;
        if self.still > PATIENCE {
            self.checkout = self.checkout.min(busy).max(self.rules.least.min(self.rules.most));
        }
        self.limits()
    }

    /// The delay of a few commands is no queue, however long it is: then the disk is slow, or the
    /// machine is busy with something that refusing more would not make less.
    fn learn(&mut self, peak: u32) {
        let wanted = (self.delay_us * EASE).max(super::micros(self.rules.target));
        if wanted < self.target_us {
            self.target_us = wanted;
        } else if peak <= self.rules.least.saturating_mul(2) {
            self.target_us += (wanted - self.target_us) / 8;
        }
    }

    fn next_checkout(&self, window: &Window, target: u64) -> u32 {
        let AdmissionRules { least, most, .. } = self.rules;
        let patience = if self.checkout == most { BURST } else { STANDING };
        let next = if self.late[0] >= patience || self.far >= 2 {
            let in_flight = u64::from(self.checkout.min(window.peak));
            let fit = in_flight * target / self.delay_us.max(1);
            // Never by more than a half: the delay that was seen is older than the limit.
            u32::try_from(fit.max(in_flight / 2)).unwrap_or(u32::MAX)
        } else if self.late[1] == 0 {
            self.checkout.saturating_add(self.checkout / 4 + 1)
        } else if self.late[0] == 0 && window.refused {
            self.checkout.saturating_add(self.checkout / 8 + 1)
        } else {
            self.checkout
        };
        next.clamp(least.min(most), most)
    }
}

/// A class that gives way loses a third per window, down to a trickle, and comes back faster than
/// it went.
fn give_way(limit: u32, late: bool, most: u32) -> u32 {
    let next = if late { limit - limit / 3 } else { limit.saturating_add(limit / 2 + 1) };
    next.clamp(4.min(most), most)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::time::Duration;

    use super::*;

    fn rules() -> AdmissionRules {
        AdmissionRules { target: Duration::from_millis(10), ..AdmissionRules::default() }
    }

    fn window(delay_us: u64, peak: u32) -> Window {
        Window { sum_us: delay_us * 100, count: 100, peak, busy: peak, refused: false }
    }

    fn repeat(control: &mut Control, times: usize, window: &Window) {
        for _ in 0..times {
            control.turn(window);
        }
    }

    #[test]
    fn a_burst_is_forgiven_and_a_standing_queue_is_not() {
        let mut control = Control::new(rules());
        control.turn(&window(2_000, 20));
        repeat(&mut control, 5, &window(40_000, 900));
        assert_eq!(control.limits()[0], 2_048, "a checkpoint");
        control.turn(&window(2_000, 20));
        repeat(&mut control, 6, &window(21_000, 400));
        assert_eq!(control.limits()[0], 200, "half of what was in flight");
        control.turn(&window(10_000, 200));
        repeat(&mut control, 2, &window(20_000, 200));
        assert_eq!(control.limits()[0], 200, "two more bad windows");
        assert_eq!(control.turn(&window(20_000, 200))[0], 100, "are forgiven, and three are not");
        let mut control = Control::new(rules());
        repeat(&mut control, 2, &window(41_000, 900));
        assert_eq!(control.limits()[0], 450, "what is so late is no burst");
    }

    #[test]
    fn a_stall_without_an_answer_is_not_taken_for_a_rate() {
        let mut control = Control::new(rules());
        let stall = Window { sum_us: 0, count: 0, peak: 500, busy: 500, refused: false };
        for _ in 0..5 {
            assert_eq!(control.turn(&stall), [2_048, 256, 64]);
        }
        assert_eq!(control.turn(&stall), [500, 256, 64], "but nobody joins a long one");
        control.turn(&window(2_000, 500));
        assert_eq!(control.turn(&window(2_000, 300))[0], 783, "and when it is over it grows");
    }

    #[test]
    fn batch_gives_way_before_browse_and_browse_before_checkout() {
        let mut control = Control::new(rules());
        control.turn(&window(1_000, 10));
        let after = |control: &mut Control, delay| {
            repeat(control, 30, &window(delay, 100));
            control.limits()
        };
        assert_eq!(after(&mut control, 2_000), [2_048, 256, 64]);
        assert_eq!(after(&mut control, 4_000), [2_048, 256, 4]);
        assert_eq!(after(&mut control, 7_000), [2_048, 4, 4], "a trickle is always let in");
        let limits = after(&mut control, 22_000);
        assert!(limits[0] < 100 && limits[1..] == [4, 4], "{limits:?}");
        let limits = after(&mut control, 1_000);
        assert!(limits[0] > 1_000 && limits[1..] == [256, 64], "{limits:?}");
    }

    #[test]
    fn a_slow_disk_is_not_overload() {
        let mut control = Control::new(rules());
        repeat(&mut control, 20, &window(30_000, 300));
        assert!(control.limits()[0] <= 32, "at first it looks like one");
        repeat(&mut control, 60, &window(30_000, 30));
        assert!((80_000..=90_000).contains(&control.target_us()), "{}", control.target_us());
        assert_eq!(control.limits()[0], 2_048);
        repeat(&mut control, 7, &window(200_000, 1_000));
        assert!(control.limits()[0] < 1_000, "but that is");
        control.turn(&window(2_000, 300));
        assert_eq!(control.target_us(), 10_000, "a fast one again");
    }

    /// A server with one queue that does `capacity` commands a millisecond in batches, offered
    /// `rate` a millisecond for some seconds: commands done, and their mean delay at the end.
    fn offered(capacity: u32, rate: u32, seconds: u32) -> (u32, f64) {
        let mut control = Control::new(rules());
        let (mut queue, mut done, mut late) = (VecDeque::new(), 0, Vec::new());
        let mut seen = Window { sum_us: 0, count: 0, peak: 0, busy: 0, refused: false };
        for now in 0..seconds * 1_000 {
            let room = control.limits()[0].saturating_sub(u32::try_from(queue.len()).unwrap());
            seen.refused |= room < rate;
            queue.extend(std::iter::repeat_n(now, room.min(rate) as usize));
            seen.peak = seen.peak.max(u32::try_from(queue.len()).unwrap());
            for came in queue.drain(..queue.len().min(capacity as usize)) {
                let delay = u64::from(now - came + 2) * 1_000;
                (seen.sum_us, seen.count, done) = (seen.sum_us + delay, seen.count + 1, done + 1);
                late.push((now, delay));
            }
            if now % 50 == 49 {
                seen.busy = u32::try_from(queue.len()).unwrap();
                control.turn(&seen);
                seen = Window { sum_us: 0, count: 0, peak: seen.busy, refused: false, ..seen };
            }
        }
        late.retain(|(now, _)| *now > seconds * 500);
        let count = u32::try_from(late.len()).unwrap();
        let sum = u32::try_from(late.iter().map(|(_, delay)| delay / 1_000).sum::<u64>()).unwrap();
        (done, f64::from(sum) / f64::from(count))
    }

    #[test]
    fn twice_and_five_times_too_much_is_done_at_capacity_with_the_targets_delay() {
        for times in [2, 5, 20] {
            let (done, delay) = offered(10, 10 * times, 10);
            assert!(done > 95_000, "{times}: {done} of 100000");
            assert!((3.0..20.0).contains(&delay), "{times}: {delay} ms");
        }
        let (done, delay) = offered(10, 8, 10);
        assert!(done > 79_900 && delay < 3.0, "at 80 % nothing is refused: {done}, {delay} ms");
    }
}
