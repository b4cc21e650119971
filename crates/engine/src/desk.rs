//! The operators' desk: what they ask of the engine itself. It is open in read-only mode.
//!
//! | command | does |
//! |---|---|
//! | Note | writes into the audit log what is no command of any unit |
//! | Retry | runs an item of the poison table again; the cell does that, in the same commit |
//! | Discard | gives an item of the poison table up |

use std::any::Any;
use std::collections::BTreeMap;

use jangbu_kernel::domain::{Coded, Ctx};
use jangbu_kernel::{Envelope, Origin, Payload, UnitId};
use serde::{Deserialize, Serialize};

use crate::poison::{Item, POISON, State};
use crate::port::{By, Fields, Read, Table, WritePlan};
use crate::unit::{Refusal, Sink, Unit, Verdict, When};

/// Where the desk's commands go.
pub const UNIT: UnitId = UnitId("desk");

/// What an operator can ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Write into the audit log what is no command of any unit, such as the read-only switch. What
    /// was and what is are JSON objects.
    Note {
        /// How it was.
        before: Option<String>,
        /// How it is.
        after: Option<String>,
    },
    /// Run an item of the poison table again. If it fails again, it stays open with the new error.
    Retry {
        /// The item.
        id: i64,
    },
    /// Give an item of the poison table up.
    Discard {
        /// The item.
        id: i64,
    },
}

impl Command {
    fn item(&self) -> Option<i64> {
        match self {
            Self::Note { .. } => None,
            Self::Retry { id } | Self::Discard { id } => Some(*id),
        }
    }
}

/// What the desk answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// It is written down.
    Noted,
    /// The item is closed.
    Closed(State),
}

/// Why the desk refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reject {
    /// There is no such item.
    Unknown,
    /// It ran again, or was given up, before.
    Closed(State),
    /// It holds a secret, which is not kept, or was set aside by an older version.
    NotRetryable,
}

impl Reject {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unknown => "POISON_UNKNOWN",
            Self::Closed(_) => "POISON_CLOSED",
            Self::NotRetryable => "POISON_NOT_RETRYABLE",
        }
    }
}

impl Coded for Reject {
    fn code(&self) -> &'static str {
        Self::code(*self)
    }
}

/// The command of an item that runs again, as its unit encoded it.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) unit: String,
    pub(crate) payload: Box<[u8]>,
}

/// The item that `envelope` wants to run again.
pub(crate) fn retried(envelope: &Envelope) -> Option<i64> {
    if envelope.to != UNIT {
        return None;
    }
    match envelope.body.expect_ref() {
        Command::Retry { id } => Some(*id),
        Command::Note { .. } | Command::Discard { .. } => None,
    }
}

/// How an item is, as JSON. Quotes within the error become plain ones, which says as much.
pub(crate) fn described(item: &Item) -> String {
    let text = |text: &str| text.replace(|c: char| c.is_control() || "\"\\".contains(c), "'");
    let Item { state, unit, error, .. } = item;
    format!(
        "{{\"state\":\"{}\",\"unit\":\"{}\",\"error\":\"{}\"}}",
        state.name(),
        text(unit),
        text(error)
    )
}

/// The desk of a cell. It holds rows only for the length of a transaction.
#[derive(Debug, Default)]
pub struct Desk {
    wanted: Vec<i64>,
    asked: Vec<i64>,
    items: BTreeMap<i64, Option<(Item, bool)>>,
}

impl Desk {
    fn decided(&mut self, envelope: &Envelope, sink: &mut Sink) -> Result<(), Reject> {
        let command: &Command = envelope.body.expect_ref();
        let Some(id) = command.item() else { return Ok(()) };
        let found = self.items.get_mut(&id).and_then(Option::as_mut);
        let (item, changed) = found.ok_or(Reject::Unknown)?;
        if item.state != State::Open {
            return Err(Reject::Closed(item.state));
        }
        if matches!(command, Command::Retry { .. }) {
            sink.effects.push_back(again(item).ok_or(Reject::NotRetryable)?);
            item.state = State::Retried;
        } else {
            item.state = State::Discarded;
        }
        let why = envelope.operator.as_deref().map(|operator| &*operator.why);
        why.unwrap_or_default().clone_into(&mut item.why);
        *changed = true;
        Ok(())
    }

    fn item(&self, body: &dyn Payload) -> Option<&Item> {
        let id = body.expect_ref::<Command>().item()?;
        self.items.get(&id)?.as_ref().map(|(item, _)| item)
    }

    fn changed(&self) -> impl Iterator<Item = (i64, &Item)> {
        let rows = self.items.iter().filter_map(|(id, row)| Some((*id, row.as_ref()?)));
        rows.filter(|(_, (_, changed))| *changed).map(|(id, (item, _))| (id, item))
    }
}

/// The envelope of an item that runs again: whoever asked asks again, under the same key.
fn again(item: &Item) -> Option<Envelope> {
    let (unit, payload) = (item.unit.clone(), item.payload.clone()?);
    let origin: Origin = item.origin?;
    let mut envelope = Envelope::new(UNIT, origin, Kept { unit, payload });
    envelope.key = item.key.clone().map(Box::new);
    envelope.correlation.clone_from(&item.correlation);
    Some(envelope)
}

impl Unit for Desk {
    fn id(&self) -> UnitId {
        UNIT
    }

    fn timers(&self) -> &[&'static Table] {
        &[]
    }

    fn open(&mut self, _reads: &mut Vec<Read>) {}

    fn opening(&mut self, _at: usize, _row: &dyn Fields) {}

    fn opened(&mut self) {}

    fn want(&mut self, body: &dyn Payload) {
        let item = body.expect_ref::<Command>().item();
        self.wanted.extend(item.filter(|id| !self.items.contains_key(id)));
    }

    fn missing(&mut self, reads: &mut Vec<Read>) {
        if !self.wanted.is_empty() {
            let keys = self.wanted.iter().map(|id| [*id, 0, 0]).collect();
            reads.push(Read { table: &POISON, by: By::Keys(keys) });
            self.asked.append(&mut self.wanted);
        }
    }

    fn absorb(&mut self, _table: &'static Table, row: &dyn Fields) {
        self.items.insert(row.int(0), Some((Item::read(row), false)));
    }

    fn absorbed(&mut self) {
        for id in self.asked.drain(..) {
            self.items.entry(id).or_insert(None);
        }
    }

    fn decide(&mut self, envelope: &Envelope, _ctx: &Ctx, sink: &mut Sink) -> Verdict {
        match self.decided(envelope, sink) {
            Ok(()) => Verdict::Done,
            Err(reject) => {
                Verdict::Refused(Refusal { code: reject.code(), reject: Box::new(reject) })
            }
        }
    }

    fn resource(&self, body: &dyn Payload) -> i64 {
        body.expect_ref::<Command>().item().unwrap_or(0)
    }

    fn adopt(&self, _body: &mut dyn Payload, _resource: i64) {}

    fn recall(&self, body: &dyn Payload) -> Option<Box<dyn Any + Send>> {
        let reply = self.item(body).map_or(Reply::Noted, |item| Reply::Closed(item.state));
        Some(Box::new(reply))
    }

    fn subject(&self, body: &dyn Payload) -> String {
        body.expect_ref::<Command>().item().map(|id| id.to_string()).unwrap_or_default()
    }

    fn describe(&self, body: &dyn Payload, when: When) -> Option<String> {
        match (body.expect_ref(), when) {
            (Command::Note { before, .. }, When::Before) => before.clone(),
            (Command::Note { after, .. }, When::After) => after.clone(),
            (Command::Retry { .. } | Command::Discard { .. }, _) => self.item(body).map(described),
        }
    }

    fn wake(&self, table: &'static Table, key: i64) -> Box<dyn Payload> {
        panic!("the desk has no timers, but {} {key} is due", table.name)
    }

    fn is_dirty(&mut self) -> bool {
        self.changed().next().is_some()
    }

    fn seal(&mut self, _ctx: &Ctx, _sink: &mut Sink) {}

    fn save(&mut self, plan: &mut WritePlan) {
        self.changed().for_each(|(id, item)| item.write(id, plan));
    }

    fn committed(&mut self) {
        self.clear();
    }

    fn clear(&mut self) {
        self.wanted.clear();
        self.asked.clear();
        self.items.clear();
    }
}
