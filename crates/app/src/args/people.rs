//! `jangbu user` and `jangbu keys`.

use clap::Subcommand;

use super::Verb;

#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Register one; the password is a line on standard input
    Create {
        /// The e-mail address
        #[arg(long)]
        email: String,
        /// The name
        #[arg(long)]
        name: String,
        /// The phone number
        #[arg(long)]
        phone: Option<String>,
        /// Where things are sent
        #[arg(long)]
        address: Option<String>,
    },
    /// One of them
    Show {
        /// The id, or the e-mail address
        user: String,
    },
    /// End one for good; its sessions end at once
    Deactivate(Verb),
    /// Set a new password, a line on standard input; unlocks, and ends sessions
    Password {
        /// The id
        user: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Which keys there are, and what each does
    List,
    /// Make a newer session key, which signs from the next start on
    RotateSessions,
    /// Make a newer sealing key, which seals from the next start on
    RotateSealing,
}
