//! A command on its way to a unit, and the work that leaves the process.

use std::any::Any;
use std::borrow::Cow;
use std::fmt::{self, Debug};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::time::Time;
use crate::trace::Trace;

/// The name of a unit (a domain behind its adapter): `order`, `inventory`, …
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitId(pub &'static str);

impl Debug for UnitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// A command or an answer whose type only its unit knows. `Debug` is what a poison record keeps.
pub trait Payload: Any + Send + Debug {}

impl<T: Any + Send + Debug> Payload for T {}

impl dyn Payload {
    /// The concrete command. A wrong type is a bug of the routing, not of the input.
    pub fn expect_ref<T: Any>(&self) -> &T {
        let any: &dyn Any = self;
        any.downcast_ref().unwrap_or_else(|| panic!("payload is not a {}", type_name::<T>()))
    }

    /// The concrete command, to rewrite it.
    pub fn expect_mut<T: Any>(&mut self) -> &mut T {
        let any: &mut dyn Any = self;
        any.downcast_mut().unwrap_or_else(|| panic!("payload is not a {}", type_name::<T>()))
    }
}

fn type_name<T>() -> &'static str {
    std::any::type_name::<T>()
}

/// The correlation id of the request that everything here began with.
pub type Correlation = Option<Arc<str>>;

/// Who asked, which is also the identity of the command: the same origin again is the same
/// command, and the rows it touched recognise it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// A client of the API; identified by the envelope's [`IdemKey`].
    Client,
    /// The saga of `parent`: the answer goes back to it as the outcome of `step`.
    Saga {
        /// The aggregate that asked.
        parent: i64,
        /// Which of its steps.
        step: u16,
    },
    /// A due row.
    Timer,
    /// A fact of another unit, or the answer of a call to the outside.
    Event,
}

impl Origin {
    /// As a text that [`Origin::parse`] reads: `CLIENT`, `SAGA:parent:step`, `TIMER`, `EVENT`.
    pub fn text(self) -> String {
        match self {
            Self::Client => "CLIENT".to_owned(),
            Self::Saga { parent, step } => format!("SAGA:{parent}:{step}"),
            Self::Timer => "TIMER".to_owned(),
            Self::Event => "EVENT".to_owned(),
        }
    }

    /// The origin that [`Origin::text`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "CLIENT" => Some(Self::Client),
            "TIMER" => Some(Self::Timer),
            "EVENT" => Some(Self::Event),
            saga => {
                let (parent, step) = saga.strip_prefix("SAGA:")?.split_once(':')?;
                Some(Self::Saga { parent: parent.parse().ok()?, step: step.parse().ok()? })
            }
        }
    }
}

/// Which queue an envelope waits in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Lane {
    /// Money and orders, and everything that ends a saga.
    Checkout,
    /// Catalogue and stock-keeping.
    Normal,
    /// Long work in slices: at most a fifth of a batch.
    Batch,
}

/// An idempotency key with its scope and the fingerprint of the command that came with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdemKey {
    /// Principal and operation, such as `client:order.place`.
    pub scope: Box<str>,
    /// What the client sent.
    pub key: Box<str>,
    /// Version byte and the first 16 bytes of SHA-256 of the canonical command.
    pub body: [u8; 17],
}

impl IdemKey {
    /// Whether both name the same request; the commands may still differ.
    pub fn is_same(&self, other: &Self) -> bool {
        self.key == other.key && self.scope == other.scope
    }
}

/// The person or tool behind an operator's command: what the audit log keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operator {
    /// The name of the key that came with the request.
    pub who: Arc<str>,
    /// The reason that was given.
    pub why: Box<str>,
    /// The operation, such as `saga.retry`.
    pub operation: Cow<'static, str>,
}

/// A command on its way.
#[derive(Debug)]
pub struct Envelope {
    /// The unit that decides it.
    pub to: UnitId,
    /// Who asked.
    pub origin: Origin,
    /// When it was accepted; an effect inherits its parent's.
    pub now: Time,
    /// Not started after this moment. Undo and commit commands have none.
    pub deadline: Option<Time>,
    /// Its queue.
    pub lane: Lane,
    /// About how much memory it holds; counts against the mailbox.
    pub bytes: usize,
    /// The client's idempotency key.
    pub key: Option<Box<IdemKey>>,
    /// Carried through everything that follows.
    pub correlation: Correlation,
    /// Its place in a trace that is recorded; none for nearly all.
    pub trace: Option<Trace>,
    /// Set on what an operator asks: it is audited in the commit that carries it out.
    pub operator: Option<Box<Operator>>,
    /// Whose share of a batch it takes, such as a hash of the user or merchant: nobody gets more
    /// than a share while others wait. None: it counts against nobody.
    pub share: Option<i64>,
    /// The command.
    pub body: Box<dyn Payload>,
}

impl Envelope {
    /// An envelope of the checkout lane without key and deadline.
    pub fn new(to: UnitId, origin: Origin, body: impl Payload) -> Self {
        Self {
            to,
            origin,
            now: Time(0),
            deadline: None,
            lane: Lane::Checkout,
            bytes: 256,
            key: None,
            correlation: None,
            trace: None,
            operator: None,
            share: None,
            body: Box::new(body),
        }
    }
}

/// A call to the outside, started only after the commit that wrote down its intent.
#[derive(Debug)]
pub struct Job {
    /// The unit that receives the answer.
    pub to: UnitId,
    /// After this the answer counts as unknown.
    pub deadline: Time,
    /// Carried through.
    pub correlation: Correlation,
    /// Carried through; in the hands of the executor's caller it names the call itself.
    pub trace: Option<Trace>,
    /// What to ask; the executor's caller knows the type.
    pub body: Box<dyn Payload>,
}
