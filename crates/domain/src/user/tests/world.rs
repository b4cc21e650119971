//! Plays the engine: reads what a batch wants, decides, rolls a reject back, writes, forgets.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::hash::Hash;

use jangbu_kernel::domain::Coded;
use jangbu_kernel::rows::{self, RowSet};
use jangbu_kernel::{Ctx, Domain, Out, Time, UserId};

use crate::user::User;
use crate::user::command::{Change, Changes, Command, Event, Reject, Reply};
use crate::user::model::{Account, EmailIndex, Holder, Profile, Rows, Sealed};

pub(super) type Answer = Result<Reply, Reject>;
type Table<K, R> = BTreeMap<K, (R, i64)>;

#[derive(Default)]
pub(super) struct World {
    pub(super) account: Table<UserId, Account>,
    pub(super) email: Table<EmailIndex, Holder>,
    pub(super) bars: BTreeMap<UserId, i64>,
    pub(super) now: i64,
    rows: Rows,
}

impl World {
    pub(super) fn commit(&mut self, batch: &[Command]) -> Vec<Answer> {
        for _pass in 0..2 {
            for command in batch {
                User::want(command, &mut self.rows);
            }
            load(&mut self.rows.account, &self.account);
            load(&mut self.rows.email, &self.email);
        }
        let answers = batch.iter().map(|command| self.decide(command)).collect();
        save(&mut self.rows.account, &mut self.account);
        save(&mut self.rows.email, &mut self.email);
        answers
    }

    /// As the engine does it, a command that another of its batch has made needy is asked again
    /// what it wants.
    fn decide(&mut self, command: &Command) -> Answer {
        User::want(command, &mut self.rows);
        load(&mut self.rows.account, &self.account);
        load(&mut self.rows.email, &self.email);
        let ctx = Ctx { now: Time(self.now), commit: 1, correlation: None, trace: None };
        self.rows.account.mark();
        self.rows.email.mark();
        let mut out = Out::default();
        let answer = User::decide(command, &ctx, &mut self.rows, &mut out);
        assert!(out.sends.is_empty() && out.calls.is_empty());
        if let Ok(reply) = &answer {
            let recalled = User::recall(command, &self.rows);
            assert_eq!(recalled.as_ref(), Some(reply), "the engine answers from the row");
        }
        if answer.is_err() {
            assert!(out.events.is_empty());
            self.rows.account.rollback();
            self.rows.email.rollback();
        }
        for Event::Barred { user, least } in out.events {
            self.bars.insert(user, least);
        }
        answer
    }

    fn answer(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        match *words.as_slice() {
            ["at", seconds] => self.now = seconds.parse::<i64>().unwrap() * 1_000_000,
            ["holder", mail] => {
                let holder = self.email[&index(mail)].0.user;
                return holder.map_or_else(|| "nobody".to_owned(), |user| format!("U{}", user.0));
            }
            ["user", id] => {
                let row = &self.account[&user(id)].0;
                return format!(
                    "{} {} {}",
                    row.state.name(),
                    plain(&row.profile.email),
                    row.generation
                );
            }
            ["profile", id] => {
                let Profile { email, name, phone, address } = &self.account[&user(id)].0.profile;
                let rest = [phone, address];
                let rest = rest.map(|part| part.as_ref().map_or_else(|| "-".to_owned(), plain));
                return format!("{} {} {}", plain(email), plain(name), rest.join(" "));
            }
            _ => {
                let batch: Vec<_> = line.split(';').map(command).collect();
                let mut shown = Vec::new();
                for command in &batch {
                    let before = self.bars.clone();
                    let answer = self.commit(std::slice::from_ref(command)).remove(0);
                    shown.push(show(&answer) + &self.raised(&before));
                }
                return shown.join("; ");
            }
        }
        String::new()
    }

    fn raised(&self, before: &BTreeMap<UserId, i64>) -> String {
        let raised = self.bars.iter().filter(|(user, least)| before.get(user) != Some(least));
        raised
            .map(|(user, least)| match *least {
                i64::MAX => format!(", bar U{} MAX", user.0),
                least => format!(", bar U{} {least}", user.0),
            })
            .collect()
    }
}

pub(super) fn check(table: &str) {
    let mut world = World::default();
    for line in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (asked, expected) = line.split_once(" => ").unwrap_or((line, ""));
        assert_eq!(world.answer(asked.trim()), expected, "{line}");
    }
}

fn load<K: Copy + Ord + Hash + Debug, R: Clone>(rows: &mut rows::Rows<K, R>, from: &Table<K, R>) {
    for key in rows.take_wanted() {
        rows.load(key, from.get(&key).cloned());
    }
}

fn save<K: Copy + Ord + Hash + Debug, R: Clone>(rows: &mut rows::Rows<K, R>, to: &mut Table<K, R>) {
    for row in rows.changed() {
        to.insert(*row.key, (row.row.clone(), row.version));
    }
    rows.clear();
}

pub(super) fn register(user: UserId, mail: &str) -> Command {
    let (index, address) = email(mail);
    let profile = Profile { email: address, name: sealed("Kim"), phone: None, address: None };
    Command::Register { user, index, profile, password: sealed("secret") }
}

fn command(text: &str) -> Command {
    let words: Vec<&str> = text.split_whitespace().collect();
    let part = |text: &str| match text {
        "-" => Change::Clear,
        text => Change::Set(sealed(text)),
    };
    let change = |id, changes| Command::Update { user: user(id), changes };
    match *words.as_slice() {
        ["register", id, mail] => register(user(id), mail),
        ["email", id, mail] => {
            change(id, Changes { email: Some(email(mail)), ..Changes::default() })
        }
        ["name", id, name] => {
            change(id, Changes { name: Some(sealed(name)), ..Changes::default() })
        }
        ["phone", id, phone] => change(id, Changes { phone: part(phone), ..Changes::default() }),
        ["address", id, address] => {
            change(id, Changes { address: part(address), ..Changes::default() })
        }
        ["right", id, seen] => login(id, seen, true),
        ["wrong", id, seen] => login(id, seen, false),
        ["password", id, seen] => {
            let seen = seen.parse().ok();
            Command::ChangePassword { user: user(id), seen, password: sealed("new") }
        }
        ["deactivate", id] => Command::Deactivate { user: user(id) },
        _ => panic!("{text} is no command"),
    }
}

fn login(id: &str, seen: &str, good: bool) -> Command {
    Command::Login { user: user(id), seen: seen.parse().unwrap(), good }
}

fn show(answer: &Answer) -> String {
    match answer {
        Ok(Reply::Done(_)) => "done".to_owned(),
        Ok(Reply::LoggedIn { generation }) => format!("in {generation}"),
        Ok(Reply::Failed { locked_until: None }) => "failed".to_owned(),
        Ok(Reply::Failed { locked_until: Some(until) }) => {
            format!("locked until {}", until.0 / 1_000_000)
        }
        Err(reject) => reject.code().to_owned(),
    }
}

fn user(word: &str) -> UserId {
    UserId(word.trim_start_matches('U').parse().unwrap())
}

pub(super) fn sealed(text: &str) -> Sealed {
    Sealed(text.as_bytes().into())
}

fn plain(sealed: &Sealed) -> String {
    String::from_utf8(sealed.0.to_vec()).unwrap()
}

pub(super) fn index(mail: &str) -> EmailIndex {
    let mut bytes = [0; 16];
    bytes[..mail.len()].copy_from_slice(mail.as_bytes());
    EmailIndex::from(bytes)
}

pub(super) fn email(mail: &str) -> (EmailIndex, Sealed) {
    (index(mail), sealed(mail))
}
