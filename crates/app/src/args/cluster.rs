//! Arguments of `jangbu cluster`.

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Start PostgreSQL, Kafka, Redis, the payment gateway and Jangbu
    Up(Up),
    /// Who runs, where, and where the logs are; also as status.html in the directory
    Status {
        /// Print it as JSON
        #[arg(long)]
        json: bool,
    },
    /// Stop what `up` has started, and nothing else; the files stay
    Down,
}

#[derive(Debug, Args)]
pub(crate) struct Up {
    /// Processes of Jangbu: one owns the books, the others forward to it and take over; 0 for the servers alone
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub shops: usize,
    /// Brokers of Kafka: 1 or 3, or 0 for no Kafka
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub brokers: usize,
    /// Do without Redis
    #[arg(long)]
    pub no_redis: bool,
}
