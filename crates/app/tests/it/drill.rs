//! Drills: a server that the shop stands on is broken under load and mended, or not; everybody is answered with what
//! is true, and in the end the books are proven against everything that was told.
//!
//! ```text
//! buyers buy ──────────────────────────────────────────────▶ who was not told an outcome asks again,
//!      some are sold ─▶ hurt ─▶ heal ─▶ some are sold again    sagas end, `prove --acks`: lost 0, doubled 0
//! ```
//!
//! Each drill leaves a row of the table in OPERATIONS.md in the file that `JANGBU_DRILLS` names: `cargo xtask drills`
//! runs all of them and prints the table.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::crash::{check_replays, wait_until_settled};
use crate::load::{Journal, Unsold, retry, storm};
use crate::server::{Server, prove_with};

/// Who buys at a time.
const BUYERS: usize = 16;

/// So many must be sold something before it is believed that there is a shop.
const ENOUGH: usize = 40;

/// Longest that anything may take here. A drill that needs it has failed.
const PATIENCE: Duration = Duration::from_mins(1);

/// Lines of the server's log that a drill which fails shows.
const TAIL: usize = 60;

/// A shop with buyers.
pub(crate) struct Drill<'a> {
    test: &'static str,
    pub(crate) server: Server,
    pub(crate) skus: Vec<String>,
    settings: Vec<(&'a str, &'a str)>,
    data: PathBuf,
    acks: PathBuf,
    journal: Journal,
    next: AtomicUsize,
    rows: Mutex<Vec<Row>>,
    log: Log,
}

/// A row of the table: what was done, and what came of it as far as it was looked at.
#[derive(Debug, Default)]
pub(crate) struct Row {
    pub(crate) what: String,
    /// Orders that were asked for, and how many were told no outcome at the first try.
    pub(crate) offered: usize,
    pub(crate) unsold: usize,
    /// Sold while it was hurt and not healed.
    pub(crate) meanwhile: Option<usize>,
    /// The longest time in which nobody was sold anything.
    pub(crate) pause: Option<Duration>,
    /// How long after it was healed all was well.
    pub(crate) recovered: Option<Duration>,
    /// Reads that were answered, and not.
    pub(crate) reads: Option<(usize, usize)>,
}

impl Row {
    fn text(&self, (lost, doubled): (&Value, &Value), test: &str) -> String {
        let Self { what, offered, unsold, meanwhile, pause, recovered, reads } = self;
        let seconds = |time: &Option<Duration>| match time {
            Some(time) => format!("{:.1} s", time.as_secs_f32()),
            None => "–".to_owned(),
        };
        let meanwhile = meanwhile.map_or("–".to_owned(), |sold| sold.to_string());
        let reads = reads.map_or("–".to_owned(), |(shown, not)| format!("{shown} / {not}"));
        let (told, pause, recovered) = (offered - unsold, seconds(pause), seconds(recovered));
        format!(
            "| {what} | {offered} | {told} | {unsold} | {meanwhile} | {pause} | {recovered} | {reads} | {lost} \
             | {doubled} | `{test}` |"
        )
    }
}

/// Whether figures are wanted: then what takes long may take long.
pub(crate) fn is_wanted() -> bool {
    std::env::var_os("JANGBU_DRILLS").is_some()
}

/// Leaves the rows of a test whose books `report` is about, if somebody wants them.
pub(crate) fn tell(test: &str, rows: &[Row], report: &Value) {
    let Some(path) = std::env::var_os("JANGBU_DRILLS") else { return };
    let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
    for row in rows {
        let proven = (&report["lost"], &report["doubled"]);
        writeln!(file, "{}", row.text(proven, test)).unwrap();
    }
}

/// What came of an outage.
struct Seen {
    /// Who was sold something they had asked for when it was hurt and not healed.
    meanwhile: usize,
    /// What was told no outcome at the first try.
    unsold: Unsold,
}

/// Stops a storm, also when a test has failed.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The log of the server, without the many orders; its end is shown when a test fails.
struct Log(PathBuf);

impl Drop for Log {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let text = std::fs::read_to_string(&self.0).unwrap_or_default();
            let lines: Vec<_> = text.lines().filter(|line| !line.contains("\"us\":")).collect();
            let tail = lines[lines.len().saturating_sub(TAIL)..].join("\n");
            _ = writeln!(std::io::stderr().lock(), "the log of the server ends with:\n{tail}");
        }
    }
}

/// Waits until something holds.
pub(crate) fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Lets time pass in which buyers buy.
pub(crate) fn hold(seconds: u64) {
    std::thread::sleep(Duration::from_secs(seconds));
}

impl<'a> Drill<'a> {
    /// Opens a shop below `dir` with these settings; `test` is what the test is called.
    pub(crate) fn begin(test: &'static str, dir: &Path, settings: &[(&'a str, &'a str)]) -> Self {
        let (data, acks) = (dir.join("data"), dir.join("acks.csv"));
        let log = Log(dir.join("jangbu.log"));
        // A fiftieth of the usual patience, as in other tests, would be less than a slow server needs.
        let mut all = vec![("SAGA__PATIENCE_PERCENT", "20"), ("RATES__USER_PER_SECOND", "0")];
        all.extend_from_slice(settings);
        let server = Server::start_logged(&data, &all, &log.0);
        let skus = server.seed(50, 1_000_000);
        let journal = Journal::create(&acks);
        let (next, rows) = (AtomicUsize::new(0), Mutex::default());
        Self { test, server, skus, settings: all, data, acks, journal, next, rows, log }
    }

    /// Buyers buy while `hurt` and then `heal` happen, until they are sold something again.
    pub(crate) fn outage(&self, what: &str, hurt: impl FnOnce(), heal: impl FnOnce()) {
        self.outage_until(what, hurt, heal, None);
    }

    /// The same, until `back` says that what was hurt is whole again, too.
    pub(crate) fn outage_until(
        &self,
        what: &str,
        hurt: impl FnOnce(),
        heal: impl FnOnce(),
        back: Option<&dyn Fn() -> bool>,
    ) {
        let (stop, from, begun) = (AtomicBool::new(false), self.offered(), Instant::now());
        let (load, reads, times) = std::thread::scope(|scope| {
            let stopping = Stop(&stop);
            let load = scope.spawn(|| {
                storm(&self.server, &self.skus, &self.journal, (&self.next, &stop), BUYERS)
            });
            self.until_sold(begun);
            let reader = scope.spawn(|| self.read(&stop));
            let hurting = Instant::now();
            hurt();
            heal();
            let healed = Instant::now();
            let whole = back.map(|back| {
                until(what, back);
                healed.elapsed()
            });
            self.until_sold(healed);
            let sold = self.journal.sold_since(healed)[0] - healed;
            drop(stopping);
            let recovered = sold.max(whole.unwrap_or_default());
            (load.join().unwrap(), reader.join().unwrap(), (hurting, healed, recovered))
        });
        let seen = Seen { meanwhile: self.meanwhile(times.0, times.1), unsold: load };
        self.note(what, (begun, from), &seen, (reads, times.2));
    }

    /// Waits until some are sold what they ask for from now on: for what must not stop the shop.
    pub(crate) fn keeps_selling(&self) {
        self.until_sold(Instant::now());
    }

    fn offered(&self) -> usize {
        self.next.load(Ordering::Relaxed)
    }

    fn until_sold(&self, since: Instant) {
        until("nothing is sold", || self.journal.sold_since(since).len() >= ENOUGH);
    }

    fn meanwhile(&self, hurt: Instant, healed: Instant) -> usize {
        self.journal.sold_since(hurt).iter().filter(|told| **told < healed).count()
    }

    /// Somebody looks at an order again and again: how often it was shown, and how often not.
    fn read(&self, stop: &AtomicBool) -> (usize, usize) {
        let (_, _, first) = self.journal.told()[0].clone();
        let path = format!("/api/v1/orders/{}", crate::load::essence(&first).0);
        let (mut shown, mut refused) = (0, 0);
        while !stop.load(Ordering::Relaxed) {
            let reply = self.server.get(&path);
            let now = reply.status == 200;
            assert!(now || reply.status == 503, "{reply:?}");
            (shown, refused) = (shown + usize::from(now), refused + usize::from(!now));
            std::thread::sleep(Duration::from_millis(20));
        }
        (shown, refused)
    }

    /// A row of the table.
    fn note(
        &self,
        what: &str,
        (begun, from): (Instant, usize),
        seen: &Seen,
        ((shown, hidden), recovered): ((usize, usize), Duration),
    ) {
        let Unsold { refused, silent } = seen.unsold;
        assert_eq!(silent, 0, "{what}: somebody was not answered within 20 s");
        let offered = self.offered() - from;
        let row = Row {
            what: what.to_owned(),
            offered,
            unsold: refused,
            meanwhile: Some(seen.meanwhile),
            pause: Some(self.journal.longest_pause(begun)),
            recovered: Some(recovered),
            reads: Some((shown, hidden)),
        };
        self.rows.lock().unwrap().push(row);
    }

    /// Who was told no outcome asks again, everything under way ends, and the books are proven. Where they are.
    pub(crate) fn end(self) -> PathBuf {
        let plans = self.offered();
        let Self { test, server, skus, settings, data, acks, journal, rows, log: _log, .. } = self;
        retry(&server, &skus, &journal, plans);
        check_replays(&server, &skus, &journal, 0);
        wait_until_settled(&server);
        until("the projections have not caught up", || {
            // What cannot be read at the moment is not on the page.
            let [taken, there] = ["jangbu_projection_seq{name=\"derived\"}", "jangbu_outbox_seq "]
                .map(|name| server.find_metric(name));
            taken.is_some() && taken >= there
        });
        assert_eq!(server.metric("jangbu_poison_total "), 0);
        assert!(server.stop().success());
        let (code, report) = prove_with(&data, Some(&acks), &settings);
        assert_eq!(code, 0, "{report:#}");
        assert_eq!(report["in_flight"]["orders_open"], 0, "every saga ends: {report}");
        tell(test, &rows.into_inner().unwrap(), &report);
        data
    }
}
