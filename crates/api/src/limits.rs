//! Rate limits: per key of a caller, per user of an order, per address.
//!
//! | limit | counts | looked at |
//! |---|---|---|
//! | `ip` | requests of one address (IPv6: of one /64); loopback is exempt | first of all |
//! | `key` | requests with one key; operators are exempt | when the caller is known |
//! | `user` | orders for one user | when the body is read |
//! | `stranger` | registrations and log-ins of one address | first of all |
//! | `email` | registrations and log-ins with one e-mail address | when the body is read |
//!
//! Each is a leaky bucket (GCRA, the `governor` crate): `burst` at once, then `per_second`. What is
//! refused says which limit it was and when to come again. Whom a limit is about is hashed to one
//! of [`SLOTS`] places with a key of this process, so that memory is bounded whoever sends what;
//! two of them meet in one place by chance only. Places that are as good as new are dropped from
//! time to time.
//!
//! Processes of one shop keep the buckets together ([`Shared`]): who is within the limit here is asked
//! about there. What this process refuses by itself, all of them would refuse. When nobody answers
//! within milliseconds this process decides alone, with buckets that have counted all along. Who comes
//! rarely, within a [`QUIET`]th of the limit, is not asked about: nearly everybody, and so nearly no order waits
//! for an answer. A limit is exceeded by at most that part of it for each process.
//!
//! `X-Forwarded-For` says something only behind a proxy that one trusts: it is read from its end,
//! over the addresses of trusted proxies, to the first that is none; and only if the connection
//! itself comes from a trusted proxy.

#[cfg(test)]
mod tests;

use std::hash::{BuildHasher as _, Hash, Hasher as _, RandomState};
use std::net::IpAddr;
use std::num::NonZero;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName};
use governor::clock::{Clock as _, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use jangbu_services::shared::{Bucket, Shared, Verdict};
use siphasher::sip::SipHasher13;

use crate::codes::Own;
use crate::net::Peer;
use crate::problem::Problem;

/// Places of each limit.
const SLOTS: u64 = 1 << 18;
/// Checks between two looks for places to drop.
const TIDY: u64 = 1 << 14;

/// The part of a limit up to which nobody else is asked.
const QUIET: u32 = 16;

const FORWARDED: HeaderName = HeaderName::from_static("x-forwarded-for");

/// So many at once, then so many a second; 0 a second: no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Requests a second.
    pub per_second: u32,
    /// Requests at once.
    pub burst: u32,
}

impl Rate {
    /// No limit.
    pub const OFF: Self = Self { per_second: 0, burst: 0 };
}

/// All rate limits.
#[derive(Debug, Clone)]
pub struct Rates {
    /// Of a caller's key.
    pub key: Rate,
    /// Of a user's orders.
    pub user: Rate,
    /// Of an address.
    pub ip: Rate,
    /// Of an address that registers or logs in.
    pub stranger: Rate,
    /// Of registrations and log-ins with one e-mail address.
    pub email: Rate,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted: Arc<[Network]>,
}

impl Default for Rates {
    fn default() -> Self {
        let user = Rate { per_second: 50, burst: 500 };
        let (key, ip, stranger) = (Rate::OFF, Rate::OFF, Rate::OFF);
        Self { key, user, ip, stranger, email: user, trusted: Arc::default() }
    }
}

/// Addresses with a common beginning, such as `10.0.0.0/8`; a bare address is a network of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    first: u128,
    bits: u32,
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("{text} is neither an address nor a network such as 10.0.0.0/8");
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u32>().map_err(|_| bad())?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        // An IPv4 address is the end of a mapped IPv6 address.
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(width);
        if bits > width {
            return Err(bad());
        }
        Ok(Self { first: number(address), bits: bits + 128 - width })
    }
}

impl Network {
    fn has(self, address: IpAddr) -> bool {
        let differs = self.first ^ number(address);
        differs.leading_zeros() >= self.bits
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().into(),
        IpAddr::V6(address) => address.into(),
    }
}

type Buckets = RateLimiter<u32, HashMapStateStore<u32>, MonotonicClock, NoOpMiddleware<Instant>>;
type Instant = std::time::Instant;

/// One limit at work.
struct Limit {
    name: &'static str,
    rate: Rate,
    shared: Option<Arc<dyn Shared>>,
    buckets: Option<Buckets>,
    /// Those who come rarely; only with others, and for limits that can be divided.
    quiet: Option<Buckets>,
    hash: RandomState,
    checks: AtomicU64,
    refused: AtomicU64,
    /// Decided with other processes, and alone although there are others.
    decided: [AtomicU64; 2],
}

impl Limit {
    fn new(name: &'static str, rate: Rate, shared: Option<Arc<dyn Shared>>) -> Self {
        let rate =
            Rate { burst: if rate.burst == 0 { rate.per_second } else { rate.burst }, ..rate };
        let of = |per_second: u32, burst: u32| {
            let quota =
                Quota::per_second(NonZero::new(per_second)?).allow_burst(NonZero::new(burst)?);
            Some(RateLimiter::new(quota, HashMapStateStore::default(), MonotonicClock))
        };
        let quiet = shared.as_ref().and_then(|_| of(rate.per_second / QUIET, rate.burst / QUIET));
        Self {
            name,
            rate,
            shared,
            buckets: of(rate.per_second, rate.burst),
            quiet,
            hash: RandomState::new(),
            checks: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            decided: Default::default(),
        }
    }

    /// Counts one more here, and then among all.
    async fn check(&self, whom: impl Hash) -> Result<(), Problem> {
        let slot = self.alone(&whom)?;
        if self.quiet.as_ref().is_some_and(|quiet| quiet.check_key(&slot).is_ok()) {
            return Ok(());
        }
        let Some(shared) = self.shared.as_deref().filter(|_| self.buckets.is_some()) else {
            return Ok(());
        };
        let Rate { per_second, burst } = self.rate;
        let bucket = Bucket { limit: self.name, whom: alike(&whom), per_second, burst };
        let verdict = shared.pass(bucket).await;
        self.decided[usize::from(verdict.is_none())].fetch_add(1, Ordering::Relaxed);
        match verdict {
            None | Some(Verdict::Passes) => Ok(()),
            Some(Verdict::Waits(wait)) => Err(self.refuse(wait)),
        }
    }

    /// Counts one more here; the place of whom it is about.
    fn alone(&self, whom: &impl Hash) -> Result<u32, Problem> {
        let slot = u32::try_from(self.hash.hash_one(whom) % SLOTS).unwrap_or_default();
        let Some(buckets) = &self.buckets else { return Ok(slot) };
        if self.checks.fetch_add(1, Ordering::Relaxed) % TIDY == TIDY - 1 {
            buckets.retain_recent();
            self.quiet.iter().for_each(RateLimiter::retain_recent);
        }
        let checked = buckets.check_key(&slot);
        checked.map_err(|until| self.refuse(until.wait_time_from(MonotonicClock.now())))?;
        Ok(slot)
    }

    fn refuse(&self, wait: Duration) -> Problem {
        self.refused.fetch_add(1, Ordering::Relaxed);
        self.problem(u32::try_from(wait.as_secs()).unwrap_or(u32::MAX - 1) + 1)
    }

    fn problem(&self, seconds: u32) -> Problem {
        let detail = format!("the limit per {} is reached; nothing was done", self.name);
        let mut problem = Problem::of(Own::RateLimited, detail);
        problem.after = Some(seconds);
        problem.at(self.name, format!("come again in {seconds} s"))
    }
}

/// Whom a limit is about, alike in all processes. It need not be hard to guess: two that meet share
/// a limit, and nobody chooses his own key, user or address among 2^64.
fn alike(whom: &impl Hash) -> u64 {
    let mut hasher = SipHasher13::new();
    whom.hash(&mut hasher);
    hasher.finish()
}

/// The limits at work.
pub(crate) struct Limits {
    key: Limit,
    user: Limit,
    ip: Limit,
    stranger: Limit,
    email: Limit,
    trusted: Arc<[Network]>,
}

impl std::fmt::Debug for Limits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limits").field("trusted", &self.trusted).finish_non_exhaustive()
    }
}

impl Limits {
    pub(crate) fn new(rates: &Rates, shared: Option<&Arc<dyn Shared>>) -> Self {
        let limit = |name, rate| Limit::new(name, rate, shared.cloned());
        Self {
            key: limit("key", rates.key),
            user: limit("user", rates.user),
            ip: limit("ip", rates.ip),
            stranger: limit("stranger", rates.stranger),
            email: limit("email", rates.email),
            trusted: Arc::clone(&rates.trusted),
        }
    }

    /// Whether addresses matter.
    pub(crate) fn wants_addresses(&self) -> bool {
        self.ip.buckets.is_some() || self.stranger.buckets.is_some()
    }

    /// A request with the key of that name.
    pub(crate) async fn key(&self, name: &str) -> Result<(), Problem> {
        self.key.check(name).await
    }

    /// An order of that user.
    pub(crate) async fn user(&self, user: i64) -> Result<(), Problem> {
        self.user.check(user).await
    }

    /// A registration or log-in with the e-mail address of that blind index.
    pub(crate) async fn login(&self, index: [i64; 2]) -> Result<(), Problem> {
        self.email.check(index).await
    }

    /// A request of a connection from `peer`.
    pub(crate) async fn ip(&self, peer: Peer, headers: &HeaderMap) -> Result<(), Problem> {
        self.address(&self.ip, peer, headers).await
    }

    /// A registration or log-in of a connection from `peer`: it counts as a request, too.
    pub(crate) async fn stranger(&self, peer: Peer, headers: &HeaderMap) -> Result<(), Problem> {
        self.address(&self.stranger, peer, headers).await?;
        self.ip(peer, headers).await
    }

    async fn address(&self, limit: &Limit, peer: Peer, headers: &HeaderMap) -> Result<(), Problem> {
        let address = self.client(peer.0, headers);
        if address.is_loopback() {
            return Ok(());
        }
        let whom = match address {
            IpAddr::V4(address) => u64::from(address.to_bits()),
            // A household or a server has a /64 and can take any address of it.
            IpAddr::V6(address) => {
                u64::try_from(address.to_bits() >> 64).unwrap_or_default() | 1 << 63
            }
        };
        limit.check(whom).await
    }

    /// Who is behind a connection.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let trusted = |address| self.trusted.iter().any(|network| network.has(address));
        let mut client = peer;
        let lines = headers.get_all(FORWARDED).iter().rev();
        let mut told = lines.flat_map(|line| line.to_str().unwrap_or("?").rsplit(','));
        while trusted(client) {
            let Some(Ok(next)) = told.next().map(|text| text.trim().parse::<IpAddr>()) else {
                break;
            };
            client = next.to_canonical();
        }
        client
    }

    /// How many checks all processes decided, and how many this one alone although there are others.
    pub(crate) fn decided(&self) -> [u64; 2] {
        let all = [&self.key, &self.user, &self.ip, &self.stranger, &self.email];
        let sum = |at: usize| all.iter().map(|l| l.decided[at].load(Ordering::Relaxed)).sum();
        [sum(0), sum(1)]
    }

    /// Name and count of what was refused.
    pub(crate) fn refused(&self) -> [(&'static str, u64); 5] {
        [&self.key, &self.user, &self.ip, &self.stranger, &self.email]
            .map(|limit| (limit.name, limit.refused.load(Ordering::Relaxed)))
    }
}
