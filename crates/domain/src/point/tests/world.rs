//! [`World`] plays the engine: it reads what a batch wants, decides command by command, rolls a
//! reject back, seals and writes. It forgets every row after each commit, so a row that `want` does
//! not name is missed at once.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::hash::Hash;

use jangbu_kernel::rows::{self, RowSet};
use jangbu_kernel::{Ctx, Domain, OrderId, Out, Time, UserId};

use crate::point::Points;
use crate::point::command::{Command, Event, Move, Moved, Reject, Reply};
use crate::point::model::{Account, Credit, Rows, Timer, Use};

type Table<K, R> = BTreeMap<K, (R, i64)>;
pub(super) type Answer = Result<Reply, Reject>;

/// What a database would hold: rows with their versions.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Store {
    pub(super) account: Table<UserId, Account>,
    pub(super) usage: Table<OrderId, Use>,
    pub(super) credit: Table<i64, Credit>,
    pub(super) timer: Table<UserId, Timer>,
}

#[derive(Default)]
pub(super) struct World {
    pub(super) store: Store,
    pub(super) rows: Rows,
    pub(super) now: i64,
    commits: i64,
    /// What the last commit said, and what all commits said together by account.
    pub(super) changed: Vec<Move>,
    pub(super) told: BTreeMap<UserId, Vec<Move>>,
    /// What the last commit asked the ledger to post, with the place of its command; and all of it.
    pub(super) posted: Vec<(usize, Moved)>,
    pub(super) books: Vec<Moved>,
}

impl World {
    /// An empty one at that time.
    pub(super) fn at(now: Time) -> Self {
        Self { now: now.0, ..Self::default() }
    }

    /// One commit of commands, each with its time.
    pub(super) fn commit(&mut self, batch: &[(Time, Command)]) -> Vec<Answer> {
        self.commits += 1;
        for _pass in 0..2 {
            for (_, command) in batch {
                Points::want(command, &mut self.rows);
            }
            self.load();
        }
        let mut out = Out::default();
        self.posted.clear();
        let mut answers = Vec::new();
        for (at, (now, command)) in batch.iter().enumerate() {
            answers.push(self.decide(*now, command, &mut out));
            self.posted
                .extend(out.events.drain(..).filter_map(|event| Some((at, posting(event)?))));
        }
        self.books.extend(self.posted.iter().map(|(_, moved)| *moved));
        let ctx = Ctx { now: Time(self.now), commit: self.commits, correlation: None, trace: None };
        Points::seal(&ctx, &mut self.rows, &mut out);
        self.hear(out);
        self.write();
        answers
    }

    pub(super) fn load(&mut self) {
        load(&mut self.rows.account, &self.store.account);
        load(&mut self.rows.usage, &self.store.usage);
        load(&mut self.rows.credit, &self.store.credit);
        load(&mut self.rows.timer, &self.store.timer);
    }

    fn decide(&mut self, now: Time, command: &Command, out: &mut Out<Event>) -> Answer {
        let ctx = Ctx { now, commit: self.commits, correlation: None, trace: None };
        let rows = &mut self.rows;
        each(rows, &mut |rows| rows.mark());
        let before = dirty(rows);
        let answer = Points::decide(command, &ctx, rows, out);
        assert!(out.sends.is_empty() && out.calls.is_empty());
        if answer.is_err() {
            assert!(out.events.is_empty(), "a reject of {command:?} stated something");
            assert_eq!(dirty(rows), before, "a reject of {command:?} changed rows");
            each(rows, &mut |rows| rows.rollback());
            assert_eq!(dirty(rows), before, "a rollback of {command:?} changed rows");
        }
        answer
    }

    fn hear(&mut self, mut out: Out<Event>) {
        assert!(out.events.len() <= 1, "one folded event: {:?}", out.events);
        self.changed = match out.events.pop() {
            Some(Event::Changed { moves }) => moves,
            Some(event) => panic!("a commit only folds: {event:?}"),
            None => Vec::new(),
        };
        for line in &self.changed {
            self.told.entry(line.user).or_default().push(*line);
        }
    }

    fn write(&mut self) {
        save(&mut self.rows.account, &mut self.store.account);
        save(&mut self.rows.usage, &mut self.store.usage);
        save(&mut self.rows.credit, &mut self.store.credit);
        save(&mut self.rows.timer, &mut self.store.timer);
        for (account, _) in self.store.account.values_mut() {
            account.moved_in = 0;
            account.moves.clear();
        }
    }

    /// One commit of one command.
    pub(super) fn run(&mut self, command: &Command) -> Answer {
        self.commit(&[(Time(self.now), command.clone())]).remove(0)
    }

    /// The rows as nobody holds them.
    pub(super) fn forget(&mut self) {
        each(&mut self.rows, &mut |rows| rows.clear());
    }
}

fn posting(event: Event) -> Option<Moved> {
    match event {
        Event::Moved(moved) => Some(moved),
        Event::Refunding { .. } => None,
        Event::Changed { moves } => panic!("a command folds nothing: {moves:?}"),
    }
}

fn each(rows: &mut Rows, f: &mut dyn FnMut(&mut dyn RowSet)) {
    f(&mut rows.account);
    f(&mut rows.usage);
    f(&mut rows.credit);
    f(&mut rows.timer);
}

fn load<K: Copy + Ord + Hash + Debug, R: Clone>(rows: &mut rows::Rows<K, R>, from: &Table<K, R>) {
    for key in rows.take_wanted() {
        rows.load(key, from.get(&key).cloned());
    }
}

fn save<K: Copy + Ord + Hash + Debug, R: Clone>(rows: &mut rows::Rows<K, R>, to: &mut Table<K, R>) {
    for row in rows.changed() {
        let old = to.insert(*row.key, (row.row.clone(), row.version));
        assert_eq!(old.map_or(0, |(_, version)| version), row.stored, "a lost update");
    }
    rows.clear();
}

/// All that a commit would write, as text.
fn dirty(rows: &Rows) -> String {
    fn list<K: Copy + Eq + Hash + Debug, R: Clone + Debug>(rows: &rows::Rows<K, R>) -> String {
        format!("{:?}", rows.changed().collect::<Vec<_>>())
    }
    [list(&rows.account), list(&rows.usage), list(&rows.credit), list(&rows.timer)].concat()
}
