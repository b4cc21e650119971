//! Commands that could not be processed: what is kept of them, so that an operator can have them run
//! again or give them up.
//!
//! The command itself is kept in a binary form, unless it holds a secret: a card token must not get
//! into this table, and a command without its token is none. With it is kept who asked and under
//! which idempotency key, so that a command that runs again is still the same one.

use jangbu_kernel::{Correlation, Envelope, IdemKey, Origin, Time};

use crate::port::{Col, Fields, List, Mode, Table, WritePlan};

/// The list of items that nobody has closed yet.
pub const OPEN: &str = "open";

/// Commands that could not be processed, kept for an operator.
pub static POISON: Table = Table {
    rank: 930,
    name: "poison",
    key: &["id"],
    cols: &[
        Col::int("at"),
        Col::text("unit"),
        Col::text("command"),
        Col::text("error"),
        Col::text("owner"),
        Col::int("state"),
        Col::text("origin"),
        Col::text("correlation").or_null(),
        Col::blob("payload").or_null(),
        Col::text("scope").or_null(),
        Col::text("idem_key").or_null(),
        Col::blob("body").or_null(),
        Col::text("why"),
    ],
    versioned: true,
    due: false,
    lists: &[List { name: OPEN, col: "state", value: 1 }],
    hot: false,
};

jangbu_kernel::coded!(
    /// What has become of an item.
    State {
        /// It waits for an operator.
        Open = 1 "OPEN",
        /// It ran again, and was carried out.
        Retried = 2 "RETRIED",
        /// It was given up.
        Discarded = 3 "DISCARDED",
    }
);

/// A command that could not be processed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// When it was set aside.
    pub at: Time,
    /// The unit that could not process it.
    pub unit: String,
    /// The command, as its `Debug` shows it.
    pub command: String,
    /// What went wrong, the last time.
    pub error: String,
    /// Whose business it is.
    pub owner: String,
    /// What has become of it.
    pub state: State,
    /// Who asked; none: it was set aside by a version that did not write that down.
    pub origin: Option<Origin>,
    /// Of the request.
    pub correlation: Correlation,
    /// The command, encoded by its unit; none: it holds a secret.
    pub payload: Option<Box<[u8]>>,
    /// The client's idempotency key.
    pub key: Option<IdemKey>,
    /// Why an operator closed it.
    pub why: String,
    /// Of the row.
    pub version: i64,
}

impl Item {
    /// What is kept of `envelope`, whose command is `payload`.
    pub(crate) fn of(envelope: &Envelope, payload: Option<Vec<u8>>, error: &str, at: Time) -> Self {
        Self {
            at,
            unit: envelope.to.0.to_owned(),
            command: format!("{:?}", envelope.body),
            error: error.to_owned(),
            owner: "operator".to_owned(),
            state: State::Open,
            origin: Some(envelope.origin),
            correlation: envelope.correlation.clone(),
            payload: payload.map(Vec::into_boxed_slice),
            key: envelope.key.as_deref().cloned(),
            why: String::new(),
            version: 0,
        }
    }

    /// Whether it can run again.
    pub fn is_retryable(&self) -> bool {
        self.payload.is_some() && self.origin.is_some()
    }

    /// Reads a row of [`POISON`].
    pub fn read(row: &dyn Fields) -> Self {
        let key = |scope: &str| IdemKey {
            scope: scope.into(),
            key: row.text(11).into(),
            body: row.blob(12).try_into().unwrap_or([0; 17]),
        };
        Self {
            at: Time(row.int(1)),
            unit: row.text(2).to_owned(),
            command: row.text(3).to_owned(),
            error: row.text(4).to_owned(),
            owner: row.text(5).to_owned(),
            state: State::from_code(row.int(6))
                .unwrap_or_else(|| panic!("column poison.state is damaged: {}", row.int(6))),
            origin: Origin::parse(row.text(7)),
            correlation: row.opt_text(8).map(Into::into),
            payload: Some(row.blob(9)).filter(|bytes| !bytes.is_empty()).map(Into::into),
            key: row.opt_text(10).map(key),
            why: row.text(13).to_owned(),
            version: row.int(14),
        }
    }

    /// Puts it into the plan under number `id`, as its next version.
    pub(crate) fn write(&self, id: i64, plan: &mut WritePlan) {
        let mode = match self.version {
            0 => Mode::Insert,
            version => Mode::Update { version },
        };
        let key = self.key.as_ref();
        plan.row(&POISON, mode)
            .int(id)
            .int(self.at.0)
            .text(&self.unit)
            .text(&self.command)
            .text(&self.error)
            .text(&self.owner)
            .int(self.state.code())
            .text(&self.origin.map(Origin::text).unwrap_or_default())
            .opt_text(self.correlation.as_deref())
            .opt_blob(self.payload.as_deref())
            .opt_text(key.map(|key| &*key.scope))
            .opt_text(key.map(|key| &*key.key))
            .opt_blob(key.map(|key| &key.body[..]))
            .text(&self.why)
            .int(self.version + 1);
    }
}
