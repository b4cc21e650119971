//! The gateway's own log, read with an own decoder, and compared with what the store believes.
//!
//! The format is that of `crates/psp/README.md`: a header of 16 bytes, then records of 40 bytes. A
//! charge or a capture moves money to us, a refund moves it back.
//!
//! The log is read twice: before the snapshot and after it. A record of the first reading was
//! written before the snapshot, so (no charge without a row) the snapshot must explain it. A record
//! of the second reading may be younger than the snapshot: it may explain what the snapshot has, and
//! is otherwise in flight. Positions decide, so clocks may step as they like.

use std::{
    fs::File,
    io::{BufReader, Read, Seek, SeekFrom},
    path::Path,
};

use crate::{
    Error,
    book::{Book, rules},
    ids,
    payment::{Payment, Refund, refund_state, state},
    walk::Case,
    watch::Watch,
};

rules! {
    LOG = "gateway.log", Mismatched, "Every record of the gateway's log but a torn last one is intact.";
    LOST = "gateway.lost", Lost, "Everything the gateway was asked about a payment belongs to a payment row.";
    DOUBLED = "gateway.doubled", Doubled, "The gateway took the money of a payment at most once.";
    REFUND_DOUBLED = "gateway.refund-doubled", Doubled, "The gateway gave a refund at most once.";
    LAW = "gateway.law", Mismatched, "At the gateway: captured ≤ authorised, refunded ≤ captured, capture or void, one currency.";
    CAPTURED = "gateway.captured", Mismatched, "What the gateway took is what the payment says was captured.";
    AUTHORIZED = "gateway.authorized", Mismatched, "What the gateway holds is what an AUTHORIZED or VOIDED payment says.";
    REFUNDED = "gateway.refunded", Mismatched, "A refund that is DONE was given by the gateway, a REFUSED one was not.";
    REFUND_LOST = "gateway.refund-lost", Lost, "Every refund that the gateway gave is known to the payment.";
    CURRENCY = "gateway.currency", Mismatched, "The gateway and the payment use one currency.";
}

const MAGIC: &[u8; 8] = b"JBPSPLOG";
const HEADER: usize = 16;
const RECORD: usize = 40;

/// Kinds of records.
pub(crate) mod kind {
    pub(crate) const CHARGE: u8 = 1;
    pub(crate) const AUTHORIZE: u8 = 2;
    pub(crate) const CAPTURE: u8 = 3;
    pub(crate) const VOID: u8 = 4;
    pub(crate) const REFUND: u8 = 5;
    pub(crate) const DECLINE: u8 = 6;
    pub(crate) const FENCE: u8 = 8;
}

/// One thing that the gateway did.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record {
    pub(crate) payment: i64,
    pub(crate) amount: i64,
    pub(crate) no: u32,
    pub(crate) currency: [u8; 3],
    pub(crate) kind: u8,
    /// Read after the snapshot was taken, so perhaps younger than it.
    pub(crate) newer: bool,
}

/// The gateway's log.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) records: Vec<Record>,
    /// Bytes after the last intact record that are not prepared space.
    pub(crate) torn: u64,
    offset: u64,
    broken: Option<u64>,
}

impl Log {
    /// The log as it is before the snapshot.
    pub(crate) fn before(file: &Path, watch: &Watch<'_>) -> Result<Self, Error> {
        let mut log = Self { records: Vec::new(), torn: 0, offset: 0, broken: None };
        log.read(file, false, watch)?;
        Ok(log)
    }

    /// Adds what was appended since; sorts all by payment, in the order of the log within each.
    pub(crate) fn after(
        mut self,
        file: &Path,
        watch: &Watch<'_>,
        book: &mut Book,
    ) -> Result<Self, Error> {
        self.read(file, true, watch)?;
        if let Some(offset) = self.broken {
            let detail = format!(
                "damaged at byte {offset}, with intact records after it; keep a copy, the \
                 gateway's own statement is the remedy"
            );
            book.find(LOG, "psp.log".to_owned(), detail);
        }
        self.records.sort_by_key(|record| record.payment);
        Ok(self)
    }

    fn read(&mut self, file: &Path, newer: bool, watch: &Watch<'_>) -> Result<(), Error> {
        watch.phase("gateway log");
        let wrap = |source| Error::Read { file: file.to_owned(), source };
        let opened = match File::open(file) {
            Ok(opened) => opened,
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(why) => return Err(wrap(why)),
        };
        let size = opened.metadata().map_err(wrap)?.len();
        let left = size.saturating_sub(self.offset.max(to_u64(HEADER)));
        self.records.reserve_exact(usize::try_from(left).unwrap_or(0) / RECORD);
        let mut input = BufReader::with_capacity(1 << 18, opened);
        if self.offset == 0 {
            let mut header = [0; HEADER];
            if read_full(&mut input, &mut header).map_err(wrap)? < HEADER {
                self.torn = size;
                return Ok(());
            }
            check_header(file, &header)?;
            self.offset = to_u64(HEADER);
        }
        input.seek(SeekFrom::Start(self.offset)).map_err(wrap)?;
        self.records_from(&mut input, newer, watch).map_err(wrap)
    }

    /// Reads records up to the end of the log. After one that is not intact the rest decides: two
    /// different times in intact records behind it make it damage, else it is a torn write.
    fn records_from(
        &mut self,
        input: &mut impl Read,
        newer: bool,
        watch: &Watch<'_>,
    ) -> std::io::Result<()> {
        let mut bytes = [0; RECORD];
        let mut at = self.offset;
        let mut behind = Vec::new();
        let mut first_bad = None;
        self.torn = 0;
        loop {
            let filled = read_full(input, &mut bytes)?;
            let blank = bytes[..filled].iter().all(|byte| *byte == 0);
            if filled < RECORD || (blank && first_bad.is_none()) {
                self.torn += if blank { 0 } else { to_u64(filled) };
                break;
            }
            watch.tick();
            at += to_u64(RECORD);
            match decode(&bytes, newer) {
                Some((_, record)) if first_bad.is_none() => {
                    self.offset = at;
                    self.records.push(record);
                }
                Some(behind_it) => behind.push(behind_it),
                None => {
                    first_bad.get_or_insert(at - to_u64(RECORD));
                }
            }
        }
        let Some(bad) = first_bad else { return Ok(()) };
        let times = behind.windows(2).any(|pair| pair[0].0 != pair[1].0);
        if times {
            self.broken = Some(bad);
            self.offset = at;
            self.records.extend(behind.into_iter().map(|(_, record)| record));
        } else {
            self.torn += at - bad;
        }
        Ok(())
    }
}

/// Compares what the gateway did with the payment row.
pub(crate) fn check(case: &Case<'_>, book: &mut Book) {
    let Some(first) = case.psp.first() else {
        if let Some(payment) = &case.payment {
            against_payment(case, payment, book);
        }
        return;
    };
    laws(case, first, book);
    match &case.payment {
        Some(payment) => against_payment(case, payment, book),
        None if case.psp.iter().any(|record| !record.newer) => {
            let detail = format!("the gateway has {}, the store no payment", list(case.psp));
            book.find(LOST, ids::payment(case.id), detail);
        }
        None => {}
    }
}

/// What the gateway owes us for a payment: charges and captures minus refunds.
pub(crate) fn net<'r>(records: impl Iterator<Item = &'r Record>) -> i128 {
    records
        .map(|record| match record.kind {
            kind::CHARGE | kind::CAPTURE => i128::from(record.amount),
            kind::REFUND => -i128::from(record.amount),
            _ => 0,
        })
        .sum()
}

/// Records that may be younger than the snapshot and that it does not have to explain.
pub(crate) fn newer(records: &[Record]) -> u64 {
    to_u64(records.iter().filter(|record| record.newer).count())
}

fn laws(case: &Case<'_>, first: &Record, book: &mut Book) {
    let records = case.psp;
    let subject = || ids::payment(case.id);
    let count = |wanted: &dyn Fn(&Record) -> bool| records.iter().filter(|r| wanted(r)).count();
    let sum = |wanted: &dyn Fn(&Record) -> bool| -> i128 {
        records.iter().filter(|r| wanted(r)).map(|r| i128::from(r.amount)).sum()
    };
    let taken = |r: &Record| matches!(r.kind, kind::CHARGE | kind::CAPTURE);
    if count(&taken) > 1 {
        book.find(DOUBLED, subject(), format!("the gateway has {}", list(records)));
    }
    for (at, record) in records.iter().enumerate().filter(|(_, r)| r.kind == kind::REFUND) {
        if records[..at].iter().any(|other| other.kind == kind::REFUND && other.no == record.no) {
            let detail = format!("refund {} stands twice: {}", record.no, list(records));
            book.find(REFUND_DOUBLED, subject(), detail);
        }
    }
    let opening = |r: &Record| {
        r.no == 0 && matches!(r.kind, kind::CHARGE | kind::AUTHORIZE | kind::DECLINE | kind::FENCE)
    };
    let refunded = sum(&|r| r.kind == kind::REFUND);
    let sound = (count(&opening) <= 1 || count(&taken) > 1)
        && sum(&|r| r.kind == kind::CAPTURE) <= sum(&|r| r.kind == kind::AUTHORIZE)
        && refunded <= sum(&taken)
        && (count(&|r| r.kind == kind::CAPTURE) == 0 || count(&|r| r.kind == kind::VOID) == 0)
        && records.iter().all(|r| r.currency == first.currency && r.amount >= 0);
    if !sound {
        book.find(LAW, subject(), format!("the gateway has {}", list(records)));
    }
}

fn against_payment(case: &Case<'_>, payment: &Payment, book: &mut Book) {
    let subject = || ids::payment(case.id);
    if case.psp.iter().any(|record| record.currency != payment.currency.as_bytes()) {
        let detail = format!("the payment is in {}; {}", payment.currency, list(case.psp));
        book.find(CURRENCY, subject(), detail);
    }
    if payment.in_flight() {
        return;
    }
    let taken = |record: &&Record| matches!(record.kind, kind::CHARGE | kind::CAPTURE);
    let sure = case.psp.iter().filter(|record| !record.newer);
    let captured = i128::from(payment.captured);
    let all = net(case.psp.iter().filter(taken));
    if all != captured && net(sure.filter(taken)) != captured {
        let detail = format!("the payment has captured {captured}, the gateway took {all}");
        book.find(CAPTURED, subject(), detail);
    }
    authorization(case, payment, book);
    refunds(case, payment, book);
}

fn authorization(case: &Case<'_>, payment: &Payment, book: &mut Book) {
    let amount = |wanted: u8| {
        case.psp.iter().find(|record| record.kind == wanted).map(|record| record.amount)
    };
    let sound = match payment.state {
        state::AUTHORIZED => {
            let gone =
                case.psp.iter().any(|r| !r.newer && matches!(r.kind, kind::VOID | kind::CAPTURE));
            amount(kind::AUTHORIZE) == Some(payment.authorized) && !gone
        }
        state::VOIDED => amount(kind::AUTHORIZE).is_none() || amount(kind::VOID).is_some(),
        _ => true,
    };
    if !sound {
        let detail = format!(
            "the payment is {} with {} authorised; the gateway has {}",
            state::name(payment.state),
            payment.authorized,
            list(case.psp)
        );
        book.find(AUTHORIZED, ids::payment(case.id), detail);
    }
}

/// Matches the payment's refunds with the gateway's by number. A reversal (number 0) goes under a
/// number of its own at the gateway, so it takes the refund that no other number claims.
fn refunds(case: &Case<'_>, payment: &Payment, book: &mut Book) {
    let given = |refund: &Refund| {
        case.psp.iter().filter(|r| r.kind == kind::REFUND).find(|r| {
            let own = i64::from(r.no) == refund.no;
            own || (refund.no == 0 && payment.refunds.iter().all(|o| o.no != i64::from(r.no)))
        })
    };
    for refund in &payment.refunds {
        let record = given(refund);
        let sound = match refund.state {
            refund_state::DONE => record.is_some_and(|record| record.amount == refund.amount),
            refund_state::REFUSED => record.is_none_or(|record| record.newer),
            _ => true,
        };
        if !sound {
            let detail = format!(
                "refund {} of {} is {}; the gateway has {}",
                refund.no,
                refund.amount,
                refund_state::name(refund.state),
                list(case.psp)
            );
            book.find(REFUNDED, ids::payment(case.id), detail);
        }
    }
    let known = |record: &Record| {
        payment.refunds.iter().any(|refund| refund.no == i64::from(record.no) || refund.no == 0)
    };
    for record in case.psp.iter().filter(|r| r.kind == kind::REFUND && !r.newer && !known(r)) {
        let detail = format!("the gateway gave refund {} of {}", record.no, record.amount);
        book.find(REFUND_LOST, ids::payment(case.id), detail);
    }
}

fn list(records: &[Record]) -> String {
    if records.is_empty() {
        return "nothing".to_owned();
    }
    let shown: Vec<String> = records
        .iter()
        .map(|record| {
            let what = match record.kind {
                kind::CHARGE => "charge",
                kind::AUTHORIZE => "authorize",
                kind::CAPTURE => "capture",
                kind::VOID => "void",
                kind::REFUND => "refund",
                kind::DECLINE => "decline",
                kind::FENCE => "fence",
                _ => "refuse",
            };
            let currency = String::from_utf8_lossy(&record.currency);
            format!("{what} {} {currency} (no {})", record.amount, record.no)
        })
        .collect();
    shown.join(", ")
}

fn check_header(file: &Path, header: &[u8; HEADER]) -> Result<(), Error> {
    let sound = header.starts_with(MAGIC)
        && u32_at(header, 8) == 1
        && u32_at(header, 12) == crc32fast::hash(&header[..12]);
    if sound { Ok(()) } else { Err(Error::NotALog(file.to_owned())) }
}

fn decode(bytes: &[u8; RECORD], newer: bool) -> Option<(i64, Record)> {
    if u32_at(bytes, 36) != crc32fast::hash(&bytes[..36]) {
        return None;
    }
    let record = Record {
        payment: i64_at(bytes, 8),
        amount: i64_at(bytes, 21),
        no: u32_at(bytes, 17),
        currency: [bytes[29], bytes[30], bytes[31]],
        kind: bytes[16],
        newer,
    };
    Some((i64_at(bytes, 0), record))
}

/// Reads until the buffer is full or the file ends; the number of bytes read.
fn read_full(input: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..])? {
            0 => break,
            more => filled += more,
        }
    }
    Ok(filled)
}

fn i64_at(bytes: &[u8], at: usize) -> i64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    i64::from_le_bytes(word)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

fn to_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
