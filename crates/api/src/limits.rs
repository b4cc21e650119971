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
//! `X-Forwarded-For` says something only behind a proxy that one trusts: it is read from its end,
//! over the addresses of trusted proxies, to the first that is none; and only if the connection
//! itself comes from a trusted proxy.

use std::hash::{BuildHasher as _, Hash, RandomState};
use std::net::IpAddr;
use std::num::NonZero;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::{HeaderMap, HeaderName};
use governor::clock::{Clock as _, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::codes::Own;
use crate::net::Peer;
use crate::problem::Problem;

/// Places of each limit.
const SLOTS: u64 = 1 << 18;
/// Checks between two looks for places to drop.
const TIDY: u64 = 1 << 14;

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
    buckets: Option<Buckets>,
    hash: RandomState,
    checks: AtomicU64,
    refused: AtomicU64,
}

impl Limit {
    fn new(name: &'static str, rate: Rate) -> Self {
        let quota = NonZero::new(rate.per_second).map(|per_second| {
            let burst = NonZero::new(rate.burst).unwrap_or(per_second);
            Quota::per_second(per_second).allow_burst(burst)
        });
        let of = |quota| RateLimiter::new(quota, HashMapStateStore::default(), MonotonicClock);
        Self {
            name,
            buckets: quota.map(of),
            hash: RandomState::new(),
            checks: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    fn check(&self, whom: impl Hash) -> Result<(), Problem> {
        let Some(buckets) = &self.buckets else { return Ok(()) };
        if self.checks.fetch_add(1, Ordering::Relaxed) % TIDY == TIDY - 1 {
            buckets.retain_recent();
        }
        let slot = u32::try_from(self.hash.hash_one(whom) % SLOTS).unwrap_or_default();
        buckets.check_key(&slot).map_err(|until| {
            self.refused.fetch_add(1, Ordering::Relaxed);
            let wait = until.wait_time_from(MonotonicClock.now());
            self.problem(u32::try_from(wait.as_secs()).unwrap_or(u32::MAX - 1) + 1)
        })
    }

    fn problem(&self, seconds: u32) -> Problem {
        let detail = format!("the limit per {} is reached; nothing was done", self.name);
        let mut problem = Problem::of(Own::RateLimited, detail);
        problem.after = Some(seconds);
        problem.at(self.name, format!("come again in {seconds} s"))
    }
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
    pub(crate) fn new(rates: &Rates) -> Self {
        Self {
            key: Limit::new("key", rates.key),
            user: Limit::new("user", rates.user),
            ip: Limit::new("ip", rates.ip),
            stranger: Limit::new("stranger", rates.stranger),
            email: Limit::new("email", rates.email),
            trusted: Arc::clone(&rates.trusted),
        }
    }

    /// Whether addresses matter.
    pub(crate) fn wants_addresses(&self) -> bool {
        self.ip.buckets.is_some() || self.stranger.buckets.is_some()
    }

    /// A request with the key of that name.
    pub(crate) fn key(&self, name: &str) -> Result<(), Problem> {
        self.key.check(name)
    }

    /// An order of that user.
    pub(crate) fn user(&self, user: i64) -> Result<(), Problem> {
        self.user.check(user)
    }

    /// A registration or log-in with the e-mail address of that blind index.
    pub(crate) fn login(&self, index: [i64; 2]) -> Result<(), Problem> {
        self.email.check(index)
    }

    /// A request of a connection from `peer`.
    pub(crate) fn ip(&self, peer: Peer, headers: &HeaderMap) -> Result<(), Problem> {
        self.address(&self.ip, peer, headers)
    }

    /// A registration or log-in of a connection from `peer`: it counts as a request, too.
    pub(crate) fn stranger(&self, peer: Peer, headers: &HeaderMap) -> Result<(), Problem> {
        self.address(&self.stranger, peer, headers)?;
        self.ip(peer, headers)
    }

    fn address(&self, limit: &Limit, peer: Peer, headers: &HeaderMap) -> Result<(), Problem> {
        let address = self.client(peer.0, headers);
        if address.is_loopback() {
            return Ok(());
        }
        limit.check(match address {
            IpAddr::V4(address) => u64::from(address.to_bits()),
            // A household or a server has a /64 and can take any address of it.
            IpAddr::V6(address) => {
                u64::try_from(address.to_bits() >> 64).unwrap_or_default() | 1 << 63
            }
        })
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

    /// Name and count of what was refused.
    pub(crate) fn refused(&self) -> [(&'static str, u64); 5] {
        [&self.key, &self.user, &self.ip, &self.stranger, &self.email]
            .map(|limit| (limit.name, limit.refused.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Rate = Rate { per_second: 1, burst: 2 };

    fn limits(trusted: &[&str]) -> Limits {
        let trusted = trusted.iter().map(|text| text.parse().unwrap()).collect();
        Limits::new(&Rates { key: ONE, user: ONE, ip: ONE, stranger: ONE, email: ONE, trusted })
    }

    fn forwarded(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED, line.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_burst_passes_and_then_each_is_told_when_to_come() {
        let limits = limits(&[]);
        assert!(limits.user(1).is_ok() && limits.user(1).is_ok());
        let problem = limits.user(1).unwrap_err();
        assert_eq!((problem.code, problem.after), ("RATE_LIMITED", Some(1)));
        assert_eq!(problem.details[0].field, "user");
        assert!(limits.user(2).is_ok(), "another user");
        assert!(limits.key("1").is_ok(), "another limit");
        let refused = [("key", 0), ("user", 1), ("ip", 0), ("stranger", 0), ("email", 0)];
        assert_eq!(limits.refused(), refused);
        let off = Limits::new(&Rates { user: Rate::OFF, ..Rates::default() });
        assert!((0..10_000).all(|_| off.user(1).is_ok()));
    }

    #[test]
    fn memory_is_bounded_whoever_comes() {
        let limits = limits(&[]);
        for user in 0..600_000 {
            let _ = limits.user(user);
        }
        let places = limits.user.buckets.as_ref().unwrap().len();
        assert!(places as u64 <= SLOTS, "{places}");
    }

    #[test]
    fn an_address_is_believed_only_from_trusted_proxies() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let limits = limits(&["10.0.0.0/8", "fd00::/8", "192.0.2.7"]);
        for (peer, lines, wanted) in [
            ("203.0.113.9", &["198.51.100.1"][..], "203.0.113.9"),
            ("10.1.2.3", &["198.51.100.1"], "198.51.100.1"),
            ("10.1.2.3", &["1.1.1.1, 198.51.100.1, 10.9.9.9"], "198.51.100.1"),
            ("10.1.2.3", &["1.1.1.1", "198.51.100.1", "192.0.2.7"], "198.51.100.1"),
            ("fd00::5", &["2001:db8::1"], "2001:db8::1"),
            ("10.1.2.3", &[], "10.1.2.3"),
            ("10.1.2.3", &["who knows"], "10.1.2.3"),
            ("192.0.2.8", &["1.1.1.1"], "192.0.2.8"),
        ] {
            assert_eq!(limits.client(ip(peer), &forwarded(lines)), ip(wanted), "{peer} {lines:?}");
        }
    }

    #[test]
    fn addresses_of_one_household_count_together_and_loopback_does_not_count() {
        let limits = limits(&[]);
        let ask = |text: &str| limits.ip(Peer(text.parse().unwrap()), &HeaderMap::new()).is_ok();
        assert!(ask("2001:db8::1") && ask("2001:db8::2") && !ask("2001:db8::3"));
        assert!(ask("2001:db8:0:1::1"), "the neighbour");
        assert!((0..10).all(|_| ask("127.0.0.1") && ask("::1")));
        let peer = |text: &str| Peer(text.parse().unwrap());
        let enter = |text| limits.stranger(peer(text), &HeaderMap::new());
        assert!(enter("192.0.2.1").is_ok() && enter("192.0.2.1").is_ok());
        assert_eq!(enter("192.0.2.1").unwrap_err().details[0].field, "stranger");
        assert!(limits.login([1, 2]).is_ok() && limits.login([1, 2]).is_ok());
        assert!(limits.login([1, 2]).is_err() && limits.login([1, 3]).is_ok());
    }

    #[test]
    fn networks_are_read_strictly() {
        for bad in ["", "10.0.0.0/33", "10.0.0/8", "::1/129", "here", "1.2.3.4/-1"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }
}
