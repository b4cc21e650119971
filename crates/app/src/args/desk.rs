//! What an operator asks of a running shop at the desk: sagas, payments, and what was set aside.

use std::path::PathBuf;

use clap::Subcommand;

/// Which server, as whom, and how the answer is printed.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Desk {
    /// The running server
    #[arg(long, global = true, value_name = "URL", default_value = "http://127.0.0.1:7070")]
    pub server: String,
    /// The file of an operator's key
    #[arg(long, global = true, value_name = "FILE", default_value = "data/keys/operator.key")]
    pub key: PathBuf,
    /// Print what the server answered
    #[arg(long, global = true)]
    pub json: bool,
}

/// Which page of a list.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Page {
    /// Items on a page, up to 100
    #[arg(long, default_value_t = 20)]
    pub limit: u32,
    /// Where the page before ended
    #[arg(long)]
    pub cursor: Option<String>,
}

/// What is done to something, and why; the audit log keeps the reason.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Verb {
    /// Its id
    pub id: String,
    /// Why
    #[arg(long)]
    pub reason: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SagaCommand {
    /// Sagas in a state: STUCK, OPEN, or that of an order
    List {
        /// The state
        #[arg(long, default_value = "STUCK")]
        state: String,
        #[command(flatten)]
        page: Page,
    },
    /// Why an order is not done, and what may be done about it
    Show {
        /// The order
        id: String,
    },
    /// Ask again now, with fresh patience
    Retry(Verb),
    /// Turn it back, as the buyer's cancellation would
    Compensate(Verb),
    /// End it: undo what can be undone, and say what could not
    Abandon(Verb),
}

#[derive(Debug, Subcommand)]
pub(crate) enum PaymentCommand {
    /// Payments of unknown outcome, and the money at risk
    Unknown {
        #[command(flatten)]
        page: Page,
    },
    /// A payment
    Show {
        /// The payment
        id: String,
    },
    /// Ask the gateway now
    Ask(Verb),
    /// Say by evidence what became of a payment or of one of its refunds
    Resolve {
        /// The payment
        id: String,
        /// The refund that is meant
        #[arg(long)]
        refund: Option<u32>,
        /// CAPTURED or `NOT_CHARGED`; of a refund REFUNDED or `NOT_REFUNDED`
        #[arg(long)]
        verdict: String,
        /// Who looked where
        #[arg(long)]
        evidence: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum PoisonCommand {
    /// Commands that were set aside
    List {
        /// OPEN, RETRIED or DISCARDED
        #[arg(long)]
        state: Option<String>,
        #[command(flatten)]
        page: Page,
    },
    /// One of them
    Show {
        /// Its id
        id: String,
    },
    /// Run it again
    Retry(Verb),
    /// Never run it again
    Discard(Verb),
}

#[derive(Debug, Subcommand)]
pub(crate) enum DlqCommand {
    /// Keys whose events a consumer could not take
    List {
        /// Only of this consumer: projections, bestseller, notification
        #[arg(long)]
        consumer: Option<String>,
        #[command(flatten)]
        page: Page,
    },
    /// One of them, with the events that wait
    Show(Letters),
    /// Give the consumer its events again
    Replay {
        #[command(flatten)]
        letters: Letters,
        /// Change nothing: say what would be taken in, and what would be left
        #[arg(long)]
        dry_run: bool,
        /// Why
        #[arg(long, required_unless_present = "dry_run")]
        reason: Option<String>,
    },
    /// Leave the event out that cannot be taken in, and give the consumer those behind it
    Discard {
        #[command(flatten)]
        letters: Letters,
        /// Why
        #[arg(long)]
        reason: String,
    },
}

/// A parked key of a consumer.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Letters {
    /// The consumer
    pub consumer: String,
    /// The key
    #[arg(value_name = "KEY")]
    pub parked: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct AuditLog {
    #[command(flatten)]
    pub desk: Desk,
    /// Only what this operator did
    #[arg(long)]
    pub who: Option<String>,
    /// Only this operation, such as saga.retry
    #[arg(long)]
    pub operation: Option<String>,
    /// Only what was done to this
    #[arg(long)]
    pub resource: Option<String>,
    #[command(flatten)]
    pub page: Page,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Explain {
    /// The idempotency key that a client sent
    pub idempotency_key: String,
    /// Only in this scope, such as client:order.place
    #[arg(long)]
    pub scope: Option<String>,
    #[command(flatten)]
    pub desk: Desk,
}
