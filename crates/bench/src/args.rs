//! The arguments of `jangbu bench`, as a clap group that the binary flattens.

use std::path::PathBuf;
use std::time::Duration;

use crate::Error;
use crate::issues::REQUESTS;

/// Stored orders at the first measurement of `aged`.
pub(crate) const AGED_FROM: u64 = 10_000;

/// Orders of a run whose rate is not known before.
const SEARCHED: f64 = 4_000_000.0;

/// Which load is offered; README.md of this crate has a paragraph on each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Preset {
    /// A whole shop: 10,000 products, 100,000 users, 1,000 merchants, 1 to 3 lines an order.
    Spread,
    /// `spread` at 1,000 orders a second for 180 seconds, with the pass marks of the old monolith.
    Seed1000,
    /// One product with 3,000 units and 20,000 requests a second for it.
    Flash,
    /// Payments over the compatible API: authorize, capture, one in ten refunded.
    Payments,
    /// Journals of many postings in one request.
    Ledger,
    /// First come: a million people ask for the 10,000 coupons of a campaign.
    Coupons,
    /// More than the server can do: 80 %, 100 %, 200 % and 500 % of its peak, then 80 % again.
    Overload,
    /// What an order costs with 10,000 stored orders, and with many more.
    Aged,
}

/// What becomes of each payment of `payments`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum PaymentMix {
    /// It is authorised, and no more.
    Authorize,
    /// It is authorised, then captured, and one in ten is given back.
    Full,
}

impl PaymentMix {
    /// The name on the command line and in the certificate.
    pub fn name(self) -> &'static str {
        match self {
            Self::Authorize => "authorize",
            Self::Full => "full",
        }
    }
}

impl Preset {
    /// The name on the command line and in the certificate.
    pub fn name(self) -> &'static str {
        match self {
            Self::Spread => "spread",
            Self::Seed1000 => "seed1000",
            Self::Flash => "flash",
            Self::Payments => "payments",
            Self::Ledger => "ledger",
            Self::Coupons => "coupons",
            Self::Overload => "overload",
            Self::Aged => "aged",
        }
    }

    /// Seconds of the measured phase when `--duration` is not given.
    pub fn default_duration(self) -> Duration {
        Duration::from_secs(match self {
            Self::Spread | Self::Payments | Self::Ledger => 60,
            Self::Seed1000 => 180,
            Self::Flash | Self::Aged => 10,
            Self::Coupons => 33,
            Self::Overload => 75,
        })
    }

    /// The rate when `--rate` is not given; `None` means that it is searched.
    pub fn default_rate(self) -> Option<f64> {
        match self {
            Self::Spread | Self::Payments | Self::Ledger | Self::Overload => None,
            Self::Seed1000 => Some(1_000.0),
            Self::Flash => Some(20_000.0),
            Self::Coupons => Some(30_000.0),
            Self::Aged => Some(5_000.0),
        }
    }
}

/// Arguments of `jangbu bench`.
#[derive(Debug, Clone, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Args {
    /// The load to offer
    #[arg(value_enum)]
    pub preset: Preset,
    /// Arrivals offered per second (searched when it is missing and the preset has none)
    #[arg(long, value_name = "N")]
    pub rate: Option<f64>,
    /// Length of the measured phase, e.g. 60s or 3m
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub duration: Option<Duration>,
    /// Most connections; they are opened on demand and kept alive
    #[arg(long, value_name = "N", default_value_t = 512)]
    pub connections: usize,
    /// Search the highest rate that the server sustains, then confirm it for --duration
    #[arg(long, conflicts_with = "rate")]
    pub find_max: bool,
    /// Arrivals as a Poisson process instead of evenly spaced
    #[arg(long)]
    pub poisson: bool,
    /// Write the certificate to this file (- for standard output)
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the certificate as a page with plots to this file (default: beside --json)
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Exit with 1 when a pass mark is missed
    #[arg(long)]
    pub strict: bool,
    /// Seed of everything random in the load
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Warm-up before the measured phase: not counted, but proven
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "2s")]
    pub warmup: Duration,
    /// Length of one probe of the search
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "8s")]
    pub probe: Duration,
    /// Products of spread and seed1000
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub products: usize,
    /// Users who place orders
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    pub users: u64,
    /// Orders bring neither coupons nor points
    #[arg(long)]
    pub plain: bool,
    /// Coupons that are given away before the run (default: enough for 3 orders of 10)
    #[arg(long, value_name = "N", conflicts_with = "plain")]
    pub coupons: Option<usize>,
    /// Units on sale in flash (3,000), coupons of the campaign in coupons (10,000)
    #[arg(long, value_name = "N")]
    pub units: Option<u64>,
    /// What becomes of each payment of payments
    #[arg(long, value_enum, default_value = "full")]
    pub mix: PaymentMix,
    /// Sign each request of payments with a key of its merchant
    #[arg(long, conflicts_with = "target")]
    pub signed: bool,
    /// Postings in one journal of ledger, two entries each
    #[arg(long, value_name = "N", default_value_t = 500)]
    pub postings: u64,
    /// One account on one side of every posting of ledger
    #[arg(long)]
    pub hot: bool,
    /// The peak that overload multiplies (searched when it is missing)
    #[arg(long, value_name = "RATE", conflicts_with = "rate")]
    pub peak: Option<f64>,
    /// Length of one step of overload
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "15s")]
    pub step: Duration,
    /// Orders that aged stores before it measures for the second time
    #[arg(long, value_name = "N", default_value_t = 5_000_000)]
    pub orders: u64,
    /// A server that runs already, e.g. `http://10.0.0.5:7070`, instead of an own one
    #[arg(long, value_name = "URL", requires = "client_key", requires = "operator_key")]
    pub target: Option<String>,
    /// File with the client key of --target
    #[arg(long, value_name = "FILE", requires = "target")]
    pub client_key: Option<PathBuf>,
    /// File with the operator key of --target (seeds products, asks for the proof)
    #[arg(long, value_name = "FILE", requires = "target")]
    pub operator_key: Option<PathBuf>,
    /// Parent of the fresh directory of the run; must be on a real disk
    #[arg(long, value_name = "DIR", default_value = "data")]
    pub dir: PathBuf,
    /// Run in this new or empty directory and leave it there
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// Another argument for `serve` (repeatable)
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    pub server_arg: Vec<String>,
    /// The binary to start as the server (default: this one)
    #[arg(long, value_name = "FILE", hide = true)]
    pub server_bin: Option<PathBuf>,
}

impl Args {
    /// Refuses what no run could honour.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let bad = |why: &str| Err(Error::Usage(why.to_owned()));
        if self.rate.is_some_and(|rate| !(1.0..=1_000_000.0).contains(&rate)) {
            return bad("--rate wants a number from 1 to 1,000,000");
        }
        if self.peak.is_some_and(|rate| !(1.0..=200_000.0).contains(&rate)) {
            return bad("--peak wants a number from 1 to 200,000");
        }
        if !(1..=500).contains(&self.postings) {
            return bad("--postings wants a number from 1 to 500");
        }
        if self.preset == Preset::Aged && self.orders <= AGED_FROM {
            return bad("--orders wants more than 10,000");
        }
        if self.preset == Preset::Overload && (self.rate.is_some() || self.duration.is_some()) {
            return bad("overload wants --peak and --step instead of --rate and --duration");
        }
        if !(1..=20_000).contains(&self.connections) {
            return bad("--connections wants a number from 1 to 20,000");
        }
        if !(1..=65_536).contains(&self.products) {
            return bad("--products wants a number from 1 to 65,536");
        }
        if !(1..=10_000_000).contains(&self.users) {
            return bad("--users wants a number from 1 to 10,000,000");
        }
        if self.duration.is_some_and(|time| time < Duration::from_millis(100)) {
            return bad("--duration wants at least 100ms");
        }
        if self.find_max && matches!(self.preset, Preset::Flash | Preset::Aged | Preset::Coupons) {
            return bad(
                "--find-max makes no sense for flash, coupons and aged: their load is fixed",
            );
        }
        if self.step < Duration::from_millis(100) {
            return bad("--step wants at least 100ms");
        }
        Ok(())
    }

    /// Whether orders bring coupons and points.
    pub(crate) fn is_full(&self) -> bool {
        let orders = matches!(
            self.preset,
            Preset::Spread | Preset::Seed1000 | Preset::Overload | Preset::Aged
        );
        orders && !self.plain
    }

    /// About how many orders the run can place, for as many coupons: a search is taken for
    /// [`SEARCHED`] orders.
    pub(crate) fn arrivals(&self) -> f64 {
        let Some(rate) = self.fixed_rate() else { return SEARCHED };
        match self.preset {
            Preset::Overload | Preset::Aged => SEARCHED,
            _ => rate * (self.length() + self.warmup).as_secs_f64(),
        }
    }

    /// Length of the measured phase.
    pub(crate) fn length(&self) -> Duration {
        if self.preset == Preset::Overload {
            return self.step * u32::try_from(crate::overload::FACTORS.len()).unwrap_or(1);
        }
        match (self.preset, self.duration, self.fixed_rate()) {
            (Preset::Coupons, None, Some(rate)) => Duration::from_secs_f64(REQUESTS / rate),
            (preset, duration, _) => duration.unwrap_or_else(|| preset.default_duration()),
        }
    }

    /// What there is too little of.
    pub(crate) fn units(&self) -> u64 {
        let usual = if self.preset == Preset::Coupons { 10_000 } else { 3_000 };
        self.units.unwrap_or(usual)
    }

    /// The fixed rate, or `None` when it has to be searched.
    pub(crate) fn fixed_rate(&self) -> Option<f64> {
        if self.find_max {
            return None;
        }
        self.rate.or(self.peak).or_else(|| self.preset.default_rate())
    }

    /// Where the rate of the measured phase comes from.
    pub(crate) fn rate_source(&self) -> &'static str {
        match (self.fixed_rate(), self.rate.or(self.peak)) {
            (None, _) => "found",
            (_, Some(_)) => "given",
            (_, None) => "preset",
        }
    }

    /// Where the page with the plots goes: beside the JSON, unless told otherwise.
    pub(crate) fn page(&self) -> Option<PathBuf> {
        let beside = self.json.as_ref().filter(|path| path.as_os_str() != "-");
        self.html.clone().or_else(|| beside.map(|path| path.with_extension("html")))
    }
}

/// `90`, `90s`, `250ms`, `3m` or `1h`.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let scale = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("{unit} is no unit of time: use ms, s, m or h")),
    };
    let number: f64 = number.parse().map_err(|_| format!("{text} is not a time"))?;
    Duration::try_from_secs_f64(number * scale).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_people_write_them() {
        assert_eq!(duration("60s"), Ok(Duration::from_mins(1)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("1.5m"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("7"), Ok(Duration::from_secs(7)));
        assert!(duration("7 days").is_err());
        assert!(duration("s").is_err());
    }
}
