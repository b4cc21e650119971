//! `jangbu merchant`.

use clap::Subcommand;

use super::{Page, Verb};

#[derive(Debug, Subcommand)]
pub(crate) enum MerchantCommand {
    /// Make a merchant
    Create {
        /// 1 to 32 of A-Z a-z 0-9 _ -
        merchant: String,
        /// What people call it
        #[arg(long)]
        name: String,
    },
    /// All merchants, by their id
    List {
        #[command(flatten)]
        page: Page,
    },
    /// A merchant with its keys and its fee schedule
    Show {
        /// The merchant
        merchant: String,
    },
    /// Its keys: two are live while one replaces the other
    Keys {
        #[command(subcommand)]
        command: MerchantKeysCommand,
    },
    /// Agree on what the shop keeps from a moment on; the past stays
    Fees {
        /// The merchant
        merchant: String,
        /// From when, such as 2027-01-01T00:00:00+09:00
        #[arg(long)]
        from: String,
        /// Up to when; until it is changed, if missing
        #[arg(long)]
        to: Option<String>,
        /// Hundredths of a percent of each order
        #[arg(long)]
        rate_bp: i64,
        /// Minor units for each order
        #[arg(long, default_value_t = 0)]
        fixed: i64,
        /// Value-added tax on the fee, in hundredths of a percent
        #[arg(long, default_value_t = 1_000)]
        vat_bp: i64,
    },
    /// Refuse it from now on
    Suspend(Verb),
    /// Serve it again
    Resume(Verb),
}

#[derive(Debug, Subcommand)]
pub(crate) enum MerchantKeysCommand {
    /// Make a key and print its secret, once
    Add {
        /// The merchant
        merchant: String,
        /// Let it sign authorizations by X-HMAC-SHA256, too, while its clients move
        #[arg(long)]
        legacy: bool,
    },
    /// End a key at once
    Revoke {
        /// The merchant
        merchant: String,
        /// The key
        #[arg(value_name = "KEY_ID")]
        id: String,
        /// Why
        #[arg(long)]
        reason: String,
    },
}
