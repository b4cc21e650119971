use std::pin::pin;
use std::task::{Context, Poll, Waker};

use jangbu_kernel::SkuId;
use jangbu_services::cache::Soon;
use jangbu_services::shared::{Heard, Link};
use parking_lot::Mutex;

use super::*;

const ONE: Rate = Rate { per_second: 1, burst: 2 };

fn limits(trusted: &[&str]) -> Limits {
    let trusted = trusted.iter().map(|text| text.parse().unwrap()).collect();
    let rates = Rates { key: ONE, user: ONE, ip: ONE, stranger: ONE, email: ONE, trusted };
    Limits::new(&rates, None)
}

/// Alone, a limit decides at once.
fn now<T>(decides: impl Future<Output = T>) -> T {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(decides).poll(&mut context) {
        Poll::Ready(decided) => decided,
        Poll::Pending => panic!("it waits for somebody"),
    }
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
    assert!(now(limits.user(1)).is_ok() && now(limits.user(1)).is_ok());
    let problem = now(limits.user(1)).unwrap_err();
    assert_eq!((problem.code, problem.after), ("RATE_LIMITED", Some(1)));
    assert_eq!(problem.details[0].field, "user");
    assert!(now(limits.user(2)).is_ok(), "another user");
    assert!(now(limits.key("1")).is_ok(), "another limit");
    let refused = [("key", 0), ("user", 1), ("ip", 0), ("stranger", 0), ("email", 0)];
    assert_eq!(limits.refused(), refused);
    let off = Limits::new(&Rates { user: Rate::OFF, ..Rates::default() }, None);
    assert!((0..10_000).all(|_| now(off.user(1)).is_ok()));
}

#[test]
fn memory_is_bounded_whoever_comes() {
    let limits = limits(&[]);
    for user in 0..600_000 {
        let _ = now(limits.user(user));
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
    let none = HeaderMap::new();
    let ask = |text: &str| now(limits.ip(Peer(text.parse().unwrap()), &none)).is_ok();
    assert!(ask("2001:db8::1") && ask("2001:db8::2") && !ask("2001:db8::3"));
    assert!(ask("2001:db8:0:1::1"), "the neighbour");
    assert!((0..10).all(|_| ask("127.0.0.1") && ask("::1")));
    let peer = |text: &str| Peer(text.parse().unwrap());
    let enter = |text| now(limits.stranger(peer(text), &none));
    assert!(enter("192.0.2.1").is_ok() && enter("192.0.2.1").is_ok());
    assert_eq!(enter("192.0.2.1").unwrap_err().details[0].field, "stranger");
    let login = |index| now(limits.login(index)).is_ok();
    assert!(login([1, 2]) && login([1, 2]) && !login([1, 2]) && login([1, 3]));
}

/// Says what it is told to say, and notes who was asked about.
#[derive(Debug, Default)]
struct Others {
    verdict: Mutex<Option<Verdict>>,
    asked: Mutex<Vec<Bucket>>,
}

impl Shared for Others {
    fn pass(&self, bucket: Bucket) -> Soon<Option<Verdict>> {
        self.asked.lock().push(bucket);
        Box::pin(std::future::ready(*self.verdict.lock()))
    }

    fn close(&self, _sku: SkuId, _age: Duration) {}

    fn open(&self, _skus: &[SkuId]) {}

    fn listen(&self, _heard: Heard) {}

    fn link(&self) -> Link {
        Link::default()
    }
}

#[test]
fn all_processes_decide_together_and_each_alone_when_nobody_answers() {
    let others: Arc<Others> = Arc::default();
    let shared: Arc<dyn Shared> = Arc::clone(&others) as _;
    let limits = |rate| {
        let rates = Rates { user: rate, ..Rates::default() };
        Limits::new(&rates, Some(&shared))
    };
    let of_users = limits(ONE);
    *others.verdict.lock() = Some(Verdict::Waits(Duration::from_millis(1_500)));
    let problem = now(of_users.user(1)).unwrap_err();
    assert_eq!((problem.code, problem.after), ("RATE_LIMITED", Some(2)));
    *others.verdict.lock() = Some(Verdict::Passes);
    assert!(now(of_users.user(1)).is_ok());
    *others.verdict.lock() = None;
    assert!(now(of_users.user(1)).is_err(), "the third one here, whoever counts");
    assert!(now(of_users.user(2)).is_ok(), "nobody answered");
    assert_eq!(of_users.decided(), [2, 1]);
    let asked: Vec<_> = others.asked.lock().drain(..).collect();
    assert_eq!(asked.len(), 3, "what is refused here is not asked about");
    assert_eq!((asked[0].per_second, asked[0].burst, asked[0].limit), (1, 2, "user"));
    assert!(asked[0].whom == asked[1].whom && asked[0].whom != asked[2].whom);
    assert!(now(limits(Rate::OFF).user(1)).is_ok());
    assert!(others.asked.lock().is_empty(), "no limit, nothing to ask");
}

#[test]
fn who_comes_rarely_is_not_asked_about() {
    let others: Arc<Others> = Arc::default();
    let shared: Arc<dyn Shared> = Arc::clone(&others) as _;
    *others.verdict.lock() = Some(Verdict::Passes);
    let user = Rate { per_second: 16, burst: 64 };
    let limits = Limits::new(&Rates { user, ..Rates::default() }, Some(&shared));
    for _ in 0..4 {
        assert!(now(limits.user(1)).is_ok());
    }
    assert!(others.asked.lock().is_empty(), "a sixteenth of the burst");
    for _ in 0..16 {
        assert!(now(limits.user(1)).is_ok());
    }
    // One comes back each second to who is still quiet.
    assert!(others.asked.lock().len() > 10, "the rest are");
    let before = others.asked.lock().len();
    assert!(now(limits.user(2)).is_ok());
    assert_eq!(others.asked.lock().len(), before, "another one has come once");
}

#[test]
fn networks_are_read_strictly() {
    for bad in ["", "10.0.0.0/33", "10.0.0/8", "::1/129", "here", "1.2.3.4/-1"] {
        assert!(bad.parse::<Network>().is_err(), "{bad}");
    }
}
