//! What comes from other processes, and goes back to them when the cell is theirs.

use jangbu_kernel::Envelope;

use super::{Answer, Item, Mailbox, Waiter, Why};

/// What another process has sent.
pub struct Received {
    /// The command.
    pub envelope: Envelope,
    /// Hears what became of it. When it is [`Received::inside`], only that something did.
    pub waiter: Waiter,
    /// Not from a client, but from a saga or from the outside of that process: never refused.
    pub inside: bool,
}

impl std::fmt::Debug for Received {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.envelope.fmt(f)
    }
}

impl Item {
    /// What is said of an item that ran: who only told something hears that it was heard.
    pub(crate) fn told(&self, answer: Option<Answer>) -> Option<Answer> {
        if self.inside && self.waiter.is_some() {
            return Some(Answer::Done { reply: Box::new(()), replayed: false });
        }
        answer
    }
}

impl Mailbox {
    /// Posts what another process has sent, in order. What would be refused to a client of this
    /// process is refused to one of that process.
    pub fn receive(&self, received: impl IntoIterator<Item = Received>) {
        let now = self.clock.now();
        let mut refused = Vec::new();
        let mut queues = self.queues.lock();
        for Received { envelope, waiter, inside } in received {
            if let Some(why) = self.refusal(&queues, &envelope, now).filter(|_| !inside) {
                refused.push((waiter, why));
                continue;
            }
            if !inside {
                queues.clients += 1;
                queues.bytes += envelope.bytes;
            }
            let lane = envelope.lane as usize;
            let queued = (!inside).then_some(now);
            let (waiter, came) = (Some(waiter), now);
            let item = Item { envelope, waiter, inside, linked: true, queued, came };
            queues.lanes[lane].push(item, self.limits.share());
        }
        self.notify(queues);
        for (waiter, why) in refused {
            waiter(Answer::NotRun(why));
        }
    }

    /// Gives what other processes have sent back to them: nothing of it was done.
    pub fn send_back(&self) {
        let (mut back, share) = (Vec::new(), self.limits.share());
        let mut queues = self.queues.lock();
        for lane in &mut queues.lanes {
            lane.take_out(share, |item| item.linked, &mut back);
        }
        for item in back.iter().filter(|item| item.is_client()) {
            queues.clients -= 1;
            queues.bytes -= item.envelope.bytes;
        }
        drop(queues);
        for waiter in back.into_iter().filter_map(|item| item.waiter) {
            waiter(Answer::NotRun(Why::Moved));
        }
    }
}
