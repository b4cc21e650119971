//! [`World`] plays the engine: it reads what a batch wants, decides each command with all that
//! follows from it, rolls a reject back, seals and writes. It forgets every row after each commit,
//! so a row that `want` does not name is missed at once.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::hash::Hash;

use jangbu_kernel::rows::{self, RowSet};
use jangbu_kernel::{CampaignId, CouponId, Ctx, Domain, Out, Time, UserId};

use crate::coupon::Coupons;
use crate::coupon::command::{Command, Event, Holding, Reject, Reply, Tally};
use crate::coupon::model::{Campaign, Holder, HolderKey, Issue, IssueKey, Rows, State, UserCoupon};

type Table<K, R> = Vec<(K, R, i64)>;
pub(super) type Answer = Result<Reply, Reject>;

/// What a database would hold: rows with their versions.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Store {
    pub(super) campaign: Table<CampaignId, Campaign>,
    pub(super) coupon: Table<CouponId, UserCoupon>,
    pub(super) holder: Table<HolderKey, Holder>,
    pub(super) issue: Table<IssueKey, Issue>,
}

pub(super) fn find<K: PartialEq + Copy, R>(table: &Table<K, R>, key: K) -> Option<&R> {
    table.iter().find(|(other, _, _)| *other == key).map(|(_, row, _)| row)
}

#[derive(Default)]
pub(super) struct World {
    pub(super) store: Store,
    pub(super) rows: Rows,
    pub(super) now: i64,
    commits: i64,
    /// What the last commit said.
    pub(super) said: Vec<Event>,
    /// What all commits said together.
    pub(super) told: BTreeMap<CampaignId, Tally>,
    pub(super) known: BTreeMap<CouponId, (UserId, State)>,
}

impl World {
    /// One commit of commands, each with its time.
    pub(super) fn commit(&mut self, batch: &[(Time, Command)]) -> Vec<Answer> {
        self.commits += 1;
        for _pass in 0..2 {
            for (_, command) in batch {
                Coupons::want(command, &mut self.rows);
            }
            self.load();
        }
        let answers = batch.iter().map(|(now, command)| self.root(*now, command)).collect();
        let ctx = Ctx { now: Time(self.now), commit: self.commits, correlation: None, trace: None };
        let mut out = Out::default();
        Coupons::seal(&ctx, &mut self.rows, &mut out);
        self.hear(out);
        self.write();
        answers
    }

    pub(super) fn load(&mut self) {
        load(&mut self.rows.campaign, &self.store.campaign);
        load(&mut self.rows.coupon, &self.store.coupon);
        load(&mut self.rows.holder, &self.store.holder);
        load(&mut self.rows.issue, &self.store.issue);
    }

    /// A command and what follows from it.
    fn root(&mut self, now: Time, command: &Command) -> Answer {
        let mut out = Out::default();
        let answer = self.decide(now, command, &mut out);
        let mut steps = 0;
        while !out.sends.is_empty() {
            let send = out.sends.remove(0);
            steps += 1;
            assert!(steps <= 64, "a cascade without an end");
            let command: &Command = send.body.expect_ref();
            for _pass in 0..2 {
                Coupons::want(command, &mut self.rows);
                self.load();
            }
            assert_eq!(self.decide(now, command, &mut out), Ok(Reply::Expired));
        }
        answer
    }

    fn decide(&mut self, now: Time, command: &Command, out: &mut Out<Event>) -> Answer {
        let ctx = Ctx { now, commit: self.commits, correlation: None, trace: None };
        self.each(|rows| rows.mark());
        let before = dirty(&self.rows);
        let answer = Coupons::decide(command, &ctx, &mut self.rows, out);
        assert!(out.events.is_empty() && out.calls.is_empty());
        if answer.is_err() {
            assert!(out.sends.is_empty(), "a reject of {command:?} sent something");
            assert_eq!(dirty(&self.rows), before, "a reject of {command:?} changed rows");
            self.each(|rows| rows.rollback());
            assert_eq!(dirty(&self.rows), before, "a rollback of {command:?} changed rows");
        }
        answer
    }

    pub(super) fn each(&mut self, f: impl Fn(&mut dyn RowSet)) {
        f(&mut self.rows.campaign);
        f(&mut self.rows.coupon);
        f(&mut self.rows.holder);
        f(&mut self.rows.issue);
    }

    fn hear(&mut self, out: Out<Event>) {
        self.said = out.events;
        for Event::Changed { campaign, tally, issued, moved } in &self.said {
            assert!(issued.is_sorted_by_key(|holding| holding.coupon));
            assert!(moved.is_sorted_by_key(|holding| holding.coupon));
            self.told.insert(*campaign, *tally);
            for Holding { coupon, user, state, .. } in moved {
                self.known.insert(*coupon, (*user, *state));
            }
            for Holding { coupon, user, state, .. } in issued {
                assert!(self.known.insert(*coupon, (*user, *state)).is_none(), "issued twice");
            }
        }
    }

    fn write(&mut self) {
        save(&mut self.rows.campaign, &mut self.store.campaign);
        save(&mut self.rows.coupon, &mut self.store.coupon);
        save(&mut self.rows.holder, &mut self.store.holder);
        save(&mut self.rows.issue, &mut self.store.issue);
    }

    /// One commit of one command.
    pub(super) fn run(&mut self, command: &Command) -> Answer {
        self.commit(&[(Time(self.now), command.clone())]).remove(0)
    }
}

fn load<K: Copy + Eq + Hash + Debug, R: Clone>(rows: &mut rows::Rows<K, R>, from: &Table<K, R>) {
    for key in rows.take_wanted() {
        let found = from.iter().find(|(other, _, _)| *other == key);
        rows.load(key, found.map(|(_, row, version)| (row.clone(), *version)));
    }
}

fn save<K: Copy + Eq + Hash + Debug, R: Clone>(rows: &mut rows::Rows<K, R>, to: &mut Table<K, R>) {
    for dirty in rows.changed() {
        let new = (*dirty.key, dirty.row.clone(), dirty.version);
        if let Some(old) = to.iter_mut().find(|(key, _, _)| key == dirty.key) {
            assert_eq!(old.2, dirty.stored, "a lost update");
            *old = new;
        } else {
            assert_eq!(dirty.stored, 0, "a lost row");
            to.push(new);
        }
    }
    rows.clear();
}

/// All that a commit would write, as text.
fn dirty(rows: &Rows) -> String {
    fn list<K: Copy + Eq + Hash + Debug, R: Clone + Debug>(rows: &rows::Rows<K, R>) -> String {
        format!("{:?}", rows.changed().collect::<Vec<_>>())
    }
    [list(&rows.campaign), list(&rows.coupon), list(&rows.holder), list(&rows.issue)].concat()
}
