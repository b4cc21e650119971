//! What travels: commands one way, their answers and the signals of commits the other way.

use std::borrow::Cow;
use std::sync::Arc;

use jangbu_engine::mailbox::{Answer, Item, Why};
use jangbu_kernel::time::Span;
use jangbu_kernel::{Envelope, IdemKey, Lane, Operator, Origin, Time, Trace};
use serde::{Deserialize, Serialize};

use super::codec::{Codec, codec};

/// What a follower says.
#[derive(Serialize, Deserialize)]
pub(super) enum Ahead<'a> {
    /// It lives.
    Ping,
    /// Commands, in order.
    #[serde(borrow)]
    Batch(Vec<Parcel<'a>>),
}

/// What an owner says.
#[derive(Serialize, Deserialize)]
pub(super) enum Back {
    /// It lives.
    Ping,
    /// Of its commits. The signals of a commit come with its answers or before them.
    News {
        /// As [`signal`](super::signal) wrote them.
        signals: Vec<Arc<[u8]>>,
        /// By the number of the parcel.
        answers: Vec<(u64, Told)>,
        /// How far the cell has come, with these commits or later ones: commit and event.
        position: (i64, i64),
    },
    /// It owns the cell no more. What is still under way is sent back.
    Leaving,
}

/// A command on its way. All fields of its envelope travel; the deadline as what is left of it,
/// since two machines have two clocks.
#[derive(Serialize, Deserialize)]
pub(super) struct Parcel<'a> {
    pub(super) no: u64,
    pub(super) unit: &'a str,
    pub(super) inside: bool,
    origin: Origin,
    now: Time,
    left: Option<Span>,
    lane: Lane,
    bytes: u64,
    key: Option<Cow<'a, IdemKey>>,
    pub(super) correlation: Option<Arc<str>>,
    pub(super) trace: Option<Trace>,
    operator: Option<Cow<'a, Operator>>,
    share: Option<i64>,
    body: Cow<'a, [u8]>,
}

impl<'a> Parcel<'a> {
    /// An item as parcel number `no`; none: its unit does not know its type.
    pub(super) fn pack(no: u64, item: &'a Item, now: Time) -> Option<Self> {
        let envelope = &item.envelope;
        let body = codec(envelope.to.0)?.command(&*envelope.body)?;
        Some(Self {
            no,
            unit: envelope.to.0,
            inside: !item.is_client(),
            origin: envelope.origin,
            now: envelope.now,
            left: envelope.deadline.map(|deadline| deadline - now),
            lane: envelope.lane,
            bytes: envelope.bytes as u64,
            key: envelope.key.as_deref().map(Cow::Borrowed),
            correlation: envelope.correlation.clone(),
            trace: envelope.trace,
            operator: envelope.operator.as_deref().map(Cow::Borrowed),
            share: envelope.share,
            body: Cow::Owned(body),
        })
    }

    /// What was packed, with the codec of its unit; none: it cannot be read.
    pub(super) fn open(self, now: Time) -> Option<(Envelope, &'static dyn Codec)> {
        let codec = codec(self.unit)?;
        let mut envelope = Envelope::new(codec.unit(), self.origin, ());
        envelope.now = self.now;
        envelope.deadline = self.left.map(|left| now + left);
        envelope.lane = self.lane;
        envelope.bytes = usize::try_from(self.bytes).unwrap_or(usize::MAX);
        envelope.key = self.key.map(|key| Box::new(key.into_owned()));
        envelope.correlation = self.correlation;
        envelope.trace = self.trace;
        envelope.operator = self.operator.map(|operator| Box::new(operator.into_owned()));
        envelope.share = self.share;
        envelope.body = codec.read_command(&self.body)?;
        Some((envelope, codec))
    }
}

/// An answer on its way.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Told {
    /// As [`Answer::Done`], the reply as its codec writes it.
    Done { reply: Vec<u8>, replayed: bool },
    /// As [`Answer::Refused`].
    Refused(Vec<u8>),
    /// As [`Answer::KeyReused`].
    KeyReused(i64),
    /// As [`Answer::KeyExpired`].
    KeyExpired(i64),
    /// As [`Answer::NotRun`].
    NotRun(Why),
    /// What nobody waits for is done with.
    Heard,
    /// Nothing was done, for the cell is another process' or its owner stops: send it there.
    NotHere,
}

impl Told {
    /// An answer to a client (or to who only told something: `inside`) of another process.
    pub(super) fn of(answer: Answer, codec: &dyn Codec, inside: bool) -> Self {
        match answer {
            Answer::NotRun(Why::Moved | Why::Stopping | Why::StoreFailed) => Self::NotHere,
            Answer::NotRun(why) if inside && why != Why::Poison => Self::NotHere,
            _ if inside => Self::Heard,
            Answer::NotRun(why) => Self::NotRun(why),
            Answer::KeyReused { resource } => Self::KeyReused(resource),
            Answer::KeyExpired { resource } => Self::KeyExpired(resource),
            // What cannot be written was done or refused all the same.
            Answer::Done { reply, replayed } => codec
                .reply(&*reply)
                .map_or(Self::NotRun(Why::Unsure), |reply| Self::Done { reply, replayed }),
            Answer::Refused(refusal) => {
                codec.refusal(&refusal).map_or(Self::NotRun(Why::Unsure), Self::Refused)
            }
        }
    }

    /// The answer; none: there is none, or not here.
    pub(super) fn answer(self, codec: &dyn Codec) -> Option<Answer> {
        let unsure = || Answer::NotRun(Why::Unsure);
        Some(match self {
            Self::Heard | Self::NotHere => return None,
            Self::NotRun(why) => Answer::NotRun(why),
            Self::KeyReused(resource) => Answer::KeyReused { resource },
            Self::KeyExpired(resource) => Answer::KeyExpired { resource },
            Self::Done { reply, replayed } => codec
                .read_reply(&reply)
                .map_or_else(unsure, |reply| Answer::Done { reply, replayed }),
            Self::Refused(refusal) => {
                codec.read_refusal(&refusal).map_or_else(unsure, Answer::Refused)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use jangbu_domain::order::command::{Command, UNIT, Verb};
    use jangbu_kernel::OrderId;

    use super::super::frame;
    use super::*;

    fn envelope() -> Envelope {
        let (order, verb, reason) = (OrderId(7), Verb::Retry, "no answer for a day".into());
        let command = Command::Operate { order, verb, reason };
        let mut envelope = Envelope::new(UNIT, Origin::Client, command);
        envelope.now = Time(5);
        envelope.deadline = Some(Time(1_000));
        envelope.lane = Lane::Batch;
        envelope.bytes = 300;
        let (scope, key) = ("client:saga.retry".into(), "k-1".into());
        envelope.key = Some(Box::new(IdemKey { scope, key, body: [3; 17] }));
        envelope.correlation = Some("corr".into());
        let came = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        envelope.trace = Trace::parse(came);
        let (who, why, operation) = ("kim".into(), "asked".into(), "saga.retry".into());
        envelope.operator = Some(Box::new(Operator { who, why, operation }));
        envelope.share = Some(-9);
        envelope
    }

    #[test]
    fn every_field_of_an_envelope_travels() {
        let item = Item::alone(envelope());
        let parcel = Parcel::pack(4, &item, Time(400)).unwrap();
        let bytes = frame::encode(&Ahead::Batch(vec![parcel])).unwrap();
        let Ahead::Batch(mut parcels) = frame::decode(&bytes[4..]).unwrap() else { panic!() };
        let parcel = parcels.remove(0);
        assert_eq!((parcel.no, parcel.unit, parcel.inside), (4, "order", true));
        let (back, _) = parcel.open(Time(10_400)).unwrap();
        // The owner's clock is 10 ms ahead: so is the deadline.
        let expected = Envelope { deadline: Some(Time(11_000)), ..envelope() };
        assert_eq!(format!("{back:?}"), format!("{expected:?}"));
    }

    #[test]
    fn what_was_not_done_here_is_told_apart_from_what_was_refused() {
        let codec = codec("order").unwrap();
        for (why, client, inside) in [
            (Why::Moved, Told::NotHere, Told::NotHere),
            (Why::Stopping, Told::NotHere, Told::NotHere),
            (Why::StoreFailed, Told::NotHere, Told::NotHere),
            (Why::Shed, Told::NotRun(Why::Shed), Told::NotHere),
            (Why::Unsure, Told::NotRun(Why::Unsure), Told::NotHere),
            (Why::Poison, Told::NotRun(Why::Poison), Told::Heard),
        ] {
            assert_eq!(Told::of(Answer::NotRun(why), codec, false), client);
            assert_eq!(Told::of(Answer::NotRun(why), codec, true), inside);
        }
    }
}
