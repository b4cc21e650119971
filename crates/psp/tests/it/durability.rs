//! What is on the disk: before an answer, after a crash, after damage.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
        mpsc::channel,
    },
};

use jangbu_psp::{
    Currency, Gateway, Op, Said, Simulator,
    log::{HEADER, Kind, Log, Medium, OpenError, RECORD, Record},
    simulator::StartError,
};

use crate::{Bench, LONG, prompt, records, request, short};

/// A file that tells what is done with it, and fails when it is told to.
struct Watched {
    file: File,
    seen: Arc<Mutex<Vec<String>>>,
    fail_writes: Arc<AtomicBool>,
    fail_syncs: Arc<AtomicBool>,
}

impl Watched {
    fn note(&self, what: &str) {
        self.seen.lock().unwrap().push(what.to_owned());
    }
}

impl Medium for Watched {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if self.fail_writes.load(SeqCst) {
            // What a full disk does: a part of it gets through.
            self.file.write_at(&bytes[..bytes.len() / 2], offset)?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        if bytes.iter().any(|&b| b != 0) {
            self.note("write");
        }
        self.file.write_at(bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.fail_syncs.load(SeqCst) {
            return Err(io::Error::other("the disk is gone"));
        }
        self.file.sync()?;
        self.note("sync");
        Ok(())
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.note("cut");
        Medium::set_len(&mut self.file, len)
    }
}

#[derive(Default, Clone)]
struct Watch {
    seen: Arc<Mutex<Vec<String>>>,
    fail_writes: Arc<AtomicBool>,
    fail_syncs: Arc<AtomicBool>,
}

impl Watch {
    /// Restarts the bench's gateway with this watching its file.
    fn put_on(&self, bench: &mut Bench) {
        bench.stop();
        let Self { seen, fail_writes, fail_syncs } = self.clone();
        let medium =
            |file| -> Box<dyn Medium> { Box::new(Watched { file, seen, fail_writes, fail_syncs }) };
        let sim = Simulator::start_with(&bench.log, bench.config.clone(), None, medium);
        bench.sim = Some(sim.unwrap());
    }
}

#[test]
fn records_are_synced_before_anybody_hears_of_them() {
    let (watch, mut bench) = (Watch::default(), Bench::new(prompt()));
    watch.put_on(&mut bench);
    for payment in 1..=20 {
        let (send, answered) = channel();
        let seen = Arc::clone(&watch.seen);
        let done = Box::new(move |said| {
            seen.lock().unwrap().push("answer".to_owned());
            send.send(said).unwrap();
        });
        bench.sim().submit(request(Op::Charge, payment, 0, 100), done);
        assert_eq!(short(&answered.recv_timeout(LONG).unwrap()), "captured 100");
    }
    let seen = watch.seen.lock().unwrap().clone();
    let expected = ["write", "sync", "answer"].repeat(20);
    assert_eq!(seen, expected);
}

#[test]
fn a_killed_gateway_remembers_everything_that_it_said() {
    let mut bench = Bench::new(prompt());
    for payment in 1..=50 {
        bench.say(Op::Charge, payment, 0, payment * 10);
    }
    // The file as it is while the gateway runs is what a killed process leaves.
    let copy = bench.log.with_extension("copy");
    fs::copy(&bench.log, &copy).unwrap();
    let before = records(&copy);
    assert_eq!(before.len(), 50);
    bench.stop();
    fs::rename(&copy, &bench.log).unwrap();
    bench.restart();
    for payment in 1..=50 {
        let said = bench.say(Op::Inquire, payment, 0, 0);
        assert_eq!(short(&said), format!("captured {}", payment * 10));
        bench.say(Op::Charge, payment, 0, payment * 10);
    }
    assert_eq!(bench.records(), before, "a repeated charge was booked again");
}

#[test]
fn time_grows_from_write_to_write_whatever_the_clock_does() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("psp.log");
    for (payment, clock) in (1..).zip([500, 400, 400, 900, -7]) {
        let mut log = Log::open(&path, &mut |_| true).unwrap();
        log.append(&mut [a_charge(payment), a_charge(-payment)], clock).unwrap();
    }
    let times: Vec<_> = records(&path).iter().map(|r| (r.at_us, r.place)).collect();
    let expected = [500, 501, 502, 900, 901].map(|at| [(at, 0), (at, 1)]);
    assert_eq!(times, expected.concat());
}

/// Of a long write only the first record did not get through. The others were never answered: when
/// later writes have filled the gap, they must not come to life behind it. 8,192 records end where
/// the prepared space ends, so that nothing else separates them from what was there before.
#[test]
fn remains_of_a_torn_write_do_not_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("psp.log");
    let charges = |count| (1..=count).map(a_charge).collect::<Vec<_>>();
    for next in [1, 2, 8_192] {
        _ = fs::remove_file(&path);
        let mut log = Log::open(&path, &mut |_| true).unwrap();
        log.append(&mut charges(10_000), 1_000).unwrap();
        drop(log);
        let mut bytes = fs::read(&path).unwrap();
        bytes[HEADER..HEADER + RECORD].fill(0);
        fs::write(&path, bytes).unwrap();
        let mut log = Log::open(&path, &mut |_| panic!("a record of the torn write")).unwrap();
        log.append(&mut charges(next), 2_000).unwrap();
        drop(log);
        let read = records(&path);
        assert_eq!(read.len(), charges(next).len());
        assert!(read.iter().all(|record| record.at_us == 2_000));
    }
}

/// Cuts the last record of a log at every byte: it is gone, the others are there, and the next one
/// takes its place.
#[test]
fn a_torn_end_is_cut_off() {
    let mut bench = Bench::new(prompt());
    for payment in 1..=3 {
        bench.say(Op::Charge, payment, 0, 100);
    }
    bench.stop();
    let whole = fs::read(&bench.log).unwrap();
    let last = HEADER + 2 * RECORD;
    for keep in 0..RECORD {
        fs::write(&bench.log, &whole[..last + keep]).unwrap();
        bench.restart();
        assert_eq!(short(&bench.say(Op::Inquire, 2, 0, 0)), "captured 100");
        assert_eq!(short(&bench.say(Op::Inquire, 3, 0, 0)), "not found");
        assert_eq!(short(&bench.say(Op::Charge, 4, 0, 50)), "captured 50");
        bench.stop();
        let payments: Vec<_> = bench.records().iter().map(|r| r.payment).collect();
        assert_eq!(payments, [1, 2, 4], "with {keep} bytes of the torn record");
    }
}

fn a_charge(payment: i64) -> Record {
    Record {
        at_us: 0,
        payment,
        kind: Kind::Charge,
        no: 0,
        amount: 100,
        currency: Currency::KRW,
        op: Op::Charge,
        code: 0,
        place: 0,
    }
}

/// A log of writes with so many records each, one of them damaged: how many are read from it.
fn damaged(writes: &[i64], record: usize) -> Result<usize, OpenError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("psp.log");
    let mut log = Log::open(&path, &mut |_| true).unwrap();
    for &length in writes {
        let mut records: Vec<_> = (0..length).map(a_charge).collect();
        log.append(&mut records, 1_000).unwrap();
    }
    drop(log);
    let mut bytes = fs::read(&path).unwrap();
    bytes[HEADER + record * RECORD + 21] ^= 1;
    fs::write(&path, bytes).unwrap();
    let mut count = 0;
    let mut read = |_| {
        count += 1;
        true
    };
    Log::open(&path, &mut read)?;
    Ok(count)
}

#[test]
fn damage_is_told_from_a_torn_write() {
    for torn in 0..5 {
        assert_eq!(damaged(&[5], torn).unwrap(), torn, "the only write may be torn");
        assert_eq!(damaged(&[3, 1, 5], 4 + torn).unwrap(), 4 + torn, "so may the last one");
    }
    for safe in 0..4 {
        let offset = (HEADER + safe * RECORD) as u64;
        let refused = damaged(&[3, 1, 5], safe);
        assert!(matches!(refused, Err(OpenError::Damaged { offset: o }) if o == offset));
    }
}

#[test]
fn a_file_that_is_no_log_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("psp.log");
    fs::write(&path, "minutes of the shareholders' meeting").unwrap();
    let refused = Simulator::start(&path, prompt(), None);
    assert!(matches!(refused, Err(StartError::Log(OpenError::NotALog))));
    assert_eq!(fs::read(&path).unwrap(), b"minutes of the shareholders' meeting");
}

#[test]
fn a_creation_cut_short_is_repeated() {
    let mut bench = Bench::new(prompt());
    bench.stop();
    let header = fs::read(&bench.log).unwrap()[..HEADER].to_vec();
    for keep in 0..HEADER {
        fs::write(&bench.log, &header[..keep]).unwrap();
        bench.restart();
        bench.stop();
        assert_eq!(fs::read(&bench.log).unwrap(), header);
    }
}

#[test]
fn a_log_that_contradicts_itself_is_refused() {
    let mut bench = Bench::new(prompt());
    bench.say(Op::Charge, 1, 0, 100);
    bench.stop();
    let charge = bench.records()[0];
    let twice = Record { at_us: charge.at_us + 1, ..charge }.encode();
    let whole = fs::read(&bench.log).unwrap()[..HEADER + RECORD].to_vec();
    fs::write(&bench.log, whole).unwrap();
    OpenOptions::new().append(true).open(&bench.log).unwrap().write_all(&twice).unwrap();
    let offset = (HEADER + RECORD) as u64;
    let refused = Simulator::start(&bench.log, prompt(), None);
    assert!(matches!(
        refused,
        Err(StartError::Log(OpenError::Contradiction { offset: o })) if o == offset
    ));
}

#[test]
fn two_gateways_do_not_share_a_log() {
    let bench = Bench::new(prompt());
    let second = Simulator::start(&bench.log, prompt(), None);
    assert!(matches!(second, Err(StartError::Log(OpenError::InUse))));
}

#[test]
fn a_full_disk_leaves_no_trace_and_passes() {
    let (watch, mut bench) = (Watch::default(), Bench::new(prompt()));
    watch.put_on(&mut bench);
    bench.say(Op::Authorize, 1, 0, 100);
    watch.fail_writes.store(true, SeqCst);
    let full = "unknown the gateway could not write its log";
    assert_eq!(short(&bench.say(Op::Capture, 1, 0, 100)), full);
    // What got through is taken back, durably, before the books speak of it as never written.
    assert_eq!(watch.seen.lock().unwrap().as_slice(), ["write", "sync", "cut", "sync"]);
    assert_eq!(fs::metadata(&bench.log).unwrap().len(), (HEADER + RECORD) as u64);
    assert_eq!(short(&bench.say(Op::Charge, 2, 0, 100)), full);
    assert_eq!(short(&bench.say(Op::Fence, 3, 0, 0)), full);
    assert_eq!(short(&bench.say(Op::Inquire, 1, 0, 0)), "authorized 100");
    assert_eq!(short(&bench.say(Op::Inquire, 2, 0, 0)), "not found");
    watch.fail_writes.store(false, SeqCst);
    assert_eq!(short(&bench.say(Op::Capture, 1, 0, 100)), "captured 100");
    assert_eq!(short(&bench.say(Op::Charge, 2, 0, 100)), "captured 100");
    assert_eq!(bench.sim().stats().failed_writes, 3);
    bench.restart();
    let kinds: Vec<_> = bench.records().iter().map(|r| r.kind).collect();
    assert_eq!(kinds, [Kind::Authorize, Kind::Capture, Kind::Charge]);
}

#[test]
fn a_failed_sync_ends_all_certainty() {
    let (watch, mut bench) = (Watch::default(), Bench::new(prompt()));
    watch.put_on(&mut bench);
    bench.say(Op::Charge, 1, 0, 100);
    watch.fail_syncs.store(true, SeqCst);
    assert!(matches!(bench.say(Op::Charge, 2, 0, 100), Said::Unknown { .. }));
    watch.fail_syncs.store(false, SeqCst);
    // The disk works again, but what it holds is not known: no answer rests on it.
    for op in [Op::Inquire, Op::Fence, Op::Charge] {
        assert!(matches!(bench.say(op, 2, 0, 100), Said::Unknown { .. }), "{op:?}");
    }
    bench.restart();
    assert_eq!(short(&bench.say(Op::Inquire, 1, 0, 0)), "captured 100");
}

/// README.md, byte by byte, without the crate's own code.
#[test]
fn the_format_is_the_documented_one() {
    let mut bench = Bench::new(prompt());
    bench.say(Op::Charge, 1000, 0, 12_345);
    bench.say(Op::Refund, 1000, 3, 345);
    bench.stop();
    let bytes = fs::read(&bench.log).unwrap();
    assert_eq!(&bytes[0..8], b"JBPSPLOG");
    assert_eq!(&bytes[8..12], [1, 0, 0, 0]);
    assert_eq!(&bytes[12..16], crc(&bytes[0..12]).to_le_bytes());
    let first = &bytes[16..56];
    assert_eq!(&first[8..16], 1000_i64.to_le_bytes());
    assert_eq!(first[16], 1);
    assert_eq!(&first[17..21], [0; 4]);
    assert_eq!(&first[21..29], 12_345_i64.to_le_bytes());
    assert_eq!(&first[29..36], *b"KRW\x01\0\0\0");
    assert_eq!(&first[36..40], crc(&first[0..36]).to_le_bytes());
    let second = &bytes[56..96];
    assert_eq!((second[16], second[32]), (5, 5));
    assert_eq!(&second[17..21], [3, 0, 0, 0]);
    assert_eq!(&second[21..29], 345_i64.to_le_bytes());
    assert_eq!(&second[36..40], crc(&second[0..36]).to_le_bytes());
    assert!(bytes[96..].iter().all(|&b| b == 0), "only prepared space follows");
    assert_eq!(crc(b"123456789"), 0xcbf4_3926);
}

fn crc(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, &b| (0..8).fold(crc ^ u32::from(b), step))
}
