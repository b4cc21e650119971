//! What the generator asks of a load: requests to send, and sense made of their answers.

use std::io;

use crate::tally::Tally;
use crate::wire::Answer;
use crate::world::Mix;

/// One kind of load: orders, payments or journals.
///
/// The generator knows times and connections, a trade knows requests and answers. Each arrival is
/// one job that ends in exactly one outcome; what has to be asked after an answer (the capture of
/// a payment, how an open order ended) is a job that *follows*, and takes a connection before new
/// arrivals do.
pub(crate) trait Trade {
    /// What a connection waits for.
    type Job;

    /// A phase begins with these empty counts.
    fn begin(&mut self, mix: Mix, tally: Tally);

    /// The phase is over: its counts, and the journal is with the operating system.
    fn end(&mut self) -> io::Result<Tally>;

    /// The counts so far.
    fn tally(&mut self) -> &mut Tally;

    /// Renders the request of an arrival: a repeat if one is ready, else something new.
    fn arrival(&mut self, intended: u64, now: u64, request: &mut Vec<u8>) -> Self::Job;

    /// Arrivals that were answered and have not ended.
    fn open(&self) -> usize;

    /// When the next job that follows is due.
    fn next_due(&self) -> Option<u64>;

    /// Renders the next job that follows, if one is due.
    fn follow(&mut self, now: u64, request: &mut Vec<u8>) -> Option<Self::Job>;

    /// An answer came.
    fn answered(&mut self, job: Self::Job, answer: &Answer<'_>, now: u64);

    /// The connection broke before the answer; whatever the server did, the client does not know.
    fn broken(&mut self, job: Self::Job, now: u64);

    /// No answer until the end of the drain.
    fn unanswered(&mut self, job: Self::Job, now: u64);

    /// The drain is over: what is still open stays so.
    fn close(&mut self, now: u64);
}
