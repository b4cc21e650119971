//! What is known of a replica, and what follows from it.
//!
//! Every process looks at the primary and at each replica a few times in the longest delay that is borne, and keeps
//! what it saw with the moment *before* it asked, by its own clock:
//!
//! ```text
//! primary   asked at t1: log at 500     t2: 700     t3: 900
//! replica                        asked now: replayed 700   ─▶ it has all that was committed before t2
//! ```
//!
//! So a replica is behind by at most the time since the last look at the primary that it covers. That needs no
//! clock of another machine and no row that somebody keeps writing, and is right in the cases where other
//! measures are not:
//!
//! | case | what is seen |
//! |---|---|
//! | an idle primary | its log stays where it is, the replica covers the latest look: no delay |
//! | a standby whose replay stands still, or that has lost its primary | the log runs away from it |
//! | a replica that cannot be asked | no look for as long as a delay may be: not used |
//! | a primary that cannot be asked | its looks grow old, and with them everybody's delay |
//! | a promoted standby | it says that it is none |
//! | another server, another database, a standby that did not follow a promotion | another identity or timeline |

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use jangbu_engine::{port::Sight, position::Position};

/// Looks at the primary that are kept: who is further behind is behind, however far.
const KEPT: usize = 600;

/// Which data a server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    /// Of the cluster of files, the same in all its copies.
    pub(super) system: i64,
    /// The database in it.
    pub(super) database: i64,
    /// Which branch of its history. Of a standby: at least this one.
    pub(super) timeline: i64,
}

/// A look at the primary: the end of its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) identity: Identity,
    pub(super) lsn: i64,
}

/// A look at a replica: how far it has replayed the log, and how far the cell had come then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standby {
    pub(super) follows: bool,
    pub(super) identity: Identity,
    pub(super) lsn: i64,
    pub(super) reached: Position,
}

/// The looks at the primary, by the moments at which it was asked.
#[derive(Debug, Default)]
pub(super) struct Heads {
    identity: Option<Identity>,
    marks: VecDeque<(Instant, i64)>,
}

impl Heads {
    /// A look that was asked for at `asked`.
    pub(super) fn add(&mut self, asked: Instant, head: Head) {
        if self.identity != Some(head.identity) {
            // Its log is another one, and old places in it say nothing.
            self.marks.clear();
            self.identity = Some(head.identity);
        }
        match self.marks.back_mut() {
            Some((at, lsn)) if *lsn == head.lsn => *at = asked,
            _ => self.marks.push_back((asked, head.lsn)),
        }
        if self.marks.len() > KEPT {
            self.marks.pop_front();
        }
    }

    /// The last moment before which everything that was committed is in a log up to `lsn`.
    fn covered(&self, lsn: i64) -> Option<Instant> {
        self.marks.iter().rev().find(|(_, mark)| *mark <= lsn).map(|(at, _)| *at)
    }

    /// How a replica stands `now` that was last seen as `seen`, if at most `most` is borne.
    pub(super) fn judge(
        &self,
        seen: Option<(Instant, Standby)>,
        now: Instant,
        most: Duration,
    ) -> Sight {
        let away = |why| Sight { away: Some(why), lag: None, reached: Position::default() };
        let Some((at, standby)) = seen else { return away("it cannot be asked") };
        if now.saturating_duration_since(at) > most {
            return away("it has not answered for too long");
        }
        let Some(primary) = self.identity else { return away("the primary was not seen yet") };
        let Identity { system, database, timeline } = standby.identity;
        if (system, database) != (primary.system, primary.database) {
            return away("it has other data than the primary");
        }
        if !standby.follows {
            return away("it does not follow the primary");
        }
        if timeline != primary.timeline {
            return away("it has not followed the last promotion, as far as it says");
        }
        let lag = self.covered(standby.lsn).map(|at| now.saturating_duration_since(at));
        let near = lag.is_some_and(|lag| lag <= most);
        let away = (!near).then_some("it is too far behind");
        Sight { away, lag, reached: standby.reached }
    }
}

/// The place in the log after the last record, where `lsn` is the place of the next one: at the beginning of a page,
/// or of a file, these are a header apart, and a standby that has everything would never reach it.
pub(super) const fn end_of_log(lsn: i64, segment: i64) -> i64 {
    const PAGE: i64 = 8_192;
    const LONG: i64 = 40;
    const SHORT: i64 = 24;
    if lsn % segment == LONG {
        lsn - LONG
    } else if lsn % PAGE == SHORT && lsn % segment != SHORT {
        lsn - SHORT
    } else {
        lsn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: Duration = Duration::from_secs(1);
    const PRIMARY: Identity = Identity { system: 7, database: 5, timeline: 1 };

    fn heads(begun: Instant, looks: &[(u64, i64)]) -> Heads {
        let mut heads = Heads::default();
        for (ms, lsn) in looks {
            let head = Head { identity: PRIMARY, lsn: *lsn };
            heads.add(begun + Duration::from_millis(*ms), head);
        }
        heads
    }

    fn standby(lsn: i64) -> Standby {
        let reached = Position { commit: 3, event: 4 };
        Standby { follows: true, identity: PRIMARY, lsn, reached }
    }

    #[test]
    fn a_delay_is_the_time_since_the_last_look_that_is_covered() {
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        let heads = heads(begun, &[(0, 500), (200, 700), (400, 900)]);
        let judge = |lsn, ms| heads.judge(Some((at(ms), standby(lsn))), at(ms), MOST);
        let lag = |ms| Some(Duration::from_millis(ms));
        assert_eq!((judge(900, 450).away, judge(900, 450).lag), (None, lag(50)));
        assert_eq!((judge(899, 450).away, judge(899, 450).lag), (None, lag(250)));
        assert_eq!((judge(500, 450).away, judge(500, 450).lag), (None, lag(450)));
        assert_eq!(judge(900, 450).reached, Position { commit: 3, event: 4 });
        assert_eq!((judge(500, 1_001).away.is_some(), judge(500, 1_001).lag), (true, lag(1_001)));
        assert_eq!((judge(499, 450).away.is_some(), judge(499, 450).lag), (true, None));
    }

    #[test]
    fn an_idle_primary_leaves_nobody_behind() {
        let begun = Instant::now();
        let heads = heads(begun, &[(0, 500), (200, 500), (60_000, 500)]);
        let now = begun + Duration::from_millis(60_100);
        let sight = heads.judge(Some((now, standby(500))), now, MOST);
        assert_eq!((sight.away, sight.lag), (None, Some(Duration::from_millis(100))));
    }

    #[test]
    fn who_cannot_be_asked_is_not_used() {
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        let heads = heads(begun, &[(0, 500), (3_000, 500)]);
        assert!(heads.judge(None, at(3_000), MOST).away.is_some());
        let seen = Some((at(1_900), standby(500)));
        assert!(heads.judge(seen, at(3_000), MOST).away.is_some(), "1.1 s ago, and half-open");
        let seen = Some((at(3_000), standby(500)));
        assert!(heads.judge(seen, at(3_000), MOST).away.is_none());
        let seen = Some((at(4_500), standby(500)));
        assert!(heads.judge(seen, at(4_500), MOST).away.is_some(), "the primary is away");
        assert!(Heads::default().judge(seen, at(4_500), MOST).away.is_some());
    }

    #[test]
    fn other_data_a_promoted_standby_and_one_that_stayed_behind_are_not_used() {
        let begun = Instant::now();
        let heads = heads(begun, &[(0, 500)]);
        let judge = |change: fn(&mut Standby)| {
            let mut standby = standby(500);
            change(&mut standby);
            heads.judge(Some((begun, standby)), begun, MOST).away
        };
        assert_eq!(judge(|_| ()), None);
        assert!(judge(|standby| standby.follows = false).is_some());
        assert!(judge(|standby| standby.identity.system = 8).is_some());
        assert!(judge(|standby| standby.identity.database = 6).is_some());
        assert!(judge(|standby| standby.identity.timeline = 2).is_some());
    }

    #[test]
    fn a_new_primary_forgets_the_log_of_the_old_one() {
        let begun = Instant::now();
        let mut heads = heads(begun, &[(0, 500), (100, 9_000)]);
        let promoted = Identity { timeline: 2, ..PRIMARY };
        heads.add(begun, Head { identity: promoted, lsn: 600 });
        let behind = Standby { identity: promoted, ..standby(599) };
        assert_eq!(heads.judge(Some((begun, behind)), begun, MOST).lag, None);
        let near = Standby { identity: promoted, ..standby(600) };
        assert_eq!(heads.judge(Some((begun, near)), begun, MOST).away, None);
        assert!(heads.judge(Some((begun, standby(9_000))), begun, MOST).away.is_some());
    }

    #[test]
    fn the_end_of_the_log_is_before_the_header_of_an_empty_page() {
        const FILE: i64 = 16 << 20;
        for (next, end) in [
            (FILE + 40, FILE),
            (FILE + 8_192 + 24, FILE + 8_192),
            (FILE + 8_192 + 40, FILE + 8_192 + 40),
            (FILE + 24, FILE + 24),
            (FILE + 1_000, FILE + 1_000),
            (FILE, FILE),
        ] {
            assert_eq!(end_of_log(next, FILE), end, "{next}");
        }
    }
}
