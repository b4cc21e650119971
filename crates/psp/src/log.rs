//! The simulated gateway's log: fixed records, one CRC each, written and synced in groups.
//!
//! The format is described in README.md, for readers who do not have this code; the tests hold the
//! two together. A group is one write and one `fdatasync`. Space is prepared in zeroed steps ahead
//! of the end, so that most syncs change no file size and need no journal commit.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, BufReader, Read},
    os::unix::fs::FileExt,
    path::Path,
};

use crate::gateway::{Currency, Op};

/// Bytes of a record.
pub const RECORD: usize = 40;
/// Bytes of the header.
pub const HEADER: usize = 16;

const MAGIC: &[u8; 8] = b"JBPSPLOG";
const VERSION: u32 = 1;
/// The most records in one write.
const GROUP: usize = 1 << 15;
/// How far ahead of the end the file is filled with zeros: some 1,600 records.
const PREPARE: usize = 1 << 16;
static ZEROS: [u8; PREPARE] = [0; PREPARE];

/// What a record says happened. The numbers are part of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// Authorised and captured in one step.
    Charge = 1,
    /// Set aside.
    Authorize = 2,
    /// An authorised amount was taken.
    Capture = 3,
    /// An authorisation was given up.
    Void = 4,
    /// Money went back.
    Refund = 5,
    /// A charge or an authorisation was declined.
    Decline = 6,
    /// A refund was refused.
    Refuse = 7,
    /// A key is closed for ever.
    Fence = 8,
}

impl Kind {
    const ALL: [Self; 8] = [
        Self::Charge,
        Self::Authorize,
        Self::Capture,
        Self::Void,
        Self::Refund,
        Self::Decline,
        Self::Refuse,
        Self::Fence,
    ];

    fn of(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|&kind| kind as u8 == number)
    }
}

/// The requests that can cause a record.
const CAUSES: [Op; 6] = [Op::Charge, Op::Authorize, Op::Capture, Op::Void, Op::Refund, Op::Fence];

/// One thing that the gateway did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// Microseconds since 1970; set by [`Log::append`].
    pub at_us: i64,
    /// Our payment id.
    pub payment: i64,
    /// What happened.
    pub kind: Kind,
    /// The number of the refund, or 0.
    pub no: u32,
    /// In minor units; 0 where no amount is concerned.
    pub amount: i64,
    /// The currency of the amount.
    pub currency: Currency,
    /// The request that caused it.
    pub op: Op,
    /// Why, in declines and refusals.
    pub code: u8,
    /// How many records of the same write stand before it; set by [`Log::append`].
    pub place: u16,
}

impl Record {
    /// The bytes of the record, its CRC included.
    pub fn encode(&self) -> [u8; RECORD] {
        let mut b = [0; RECORD];
        b[0..8].copy_from_slice(&self.at_us.to_le_bytes());
        b[8..16].copy_from_slice(&self.payment.to_le_bytes());
        b[16] = self.kind as u8;
        b[17..21].copy_from_slice(&self.no.to_le_bytes());
        b[21..29].copy_from_slice(&self.amount.to_le_bytes());
        b[29..32].copy_from_slice(&self.currency.0);
        b[32] = self.op as u8;
        b[33] = self.code;
        b[34..36].copy_from_slice(&self.place.to_le_bytes());
        let crc = crc32fast::hash(&b[..36]);
        b[36..40].copy_from_slice(&crc.to_le_bytes());
        b
    }

    /// The record in these bytes; none when the CRC does not match or a number means nothing.
    pub fn decode(b: &[u8; RECORD]) -> Option<Self> {
        if u32::from_le_bytes(part(b, 36)) != crc32fast::hash(&b[..36]) {
            return None;
        }
        Some(Self {
            at_us: i64::from_le_bytes(part(b, 0)),
            payment: i64::from_le_bytes(part(b, 8)),
            kind: Kind::of(b[16])?,
            no: u32::from_le_bytes(part(b, 17)),
            amount: i64::from_le_bytes(part(b, 21)),
            currency: Currency(part(b, 29)),
            op: CAUSES.into_iter().find(|&op| op as u8 == b[32])?,
            code: b[33],
            place: u16::from_le_bytes(part(b, 34)),
        })
    }

    /// What the record moved towards us: positive, negative for a refund, else 0.
    pub fn moved(&self) -> i64 {
        match self.kind {
            Kind::Charge | Kind::Capture => self.amount,
            Kind::Refund => -self.amount,
            Kind::Authorize | Kind::Void | Kind::Decline | Kind::Refuse | Kind::Fence => 0,
        }
    }
}

fn part<const N: usize>(bytes: &[u8], from: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[from..from + N]);
    out
}

fn header() -> [u8; HEADER] {
    let mut b = [0; HEADER];
    b[0..8].copy_from_slice(MAGIC);
    b[8..12].copy_from_slice(&VERSION.to_le_bytes());
    let crc = crc32fast::hash(&b[..12]);
    b[12..16].copy_from_slice(&crc.to_le_bytes());
    b
}

/// Why a log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file system said no.
    #[error("the gateway's log cannot be read or written")]
    Io(#[from] io::Error),
    /// Another process, or another simulator of this one, has it open.
    #[error("the gateway's log is in use by another process")]
    InUse,
    /// It does not start as a log does.
    #[error("the file is not a gateway log of version {VERSION}")]
    NotALog,
    /// Records are damaged that were on stable storage.
    #[error("the gateway's log is damaged at byte {offset}: intact records of later writes follow")]
    Damaged {
        /// Where the first damaged record starts.
        offset: u64,
    },
    /// An intact record contradicts those before it.
    #[error("the gateway's log contradicts itself at byte {offset}")]
    Contradiction {
        /// Where the record starts.
        offset: u64,
    },
}

/// How a log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// The first byte after the last intact record.
    pub offset: u64,
    /// Whether a write was torn there.
    pub torn: bool,
    /// The `at_us` of the last record, or 0.
    pub at_us: i64,
}

/// Reads a log from its header on, and hands each record to `each`, which answers whether it agrees.
pub fn scan(input: &mut impl Read, each: &mut dyn FnMut(Record) -> bool) -> Result<End, OpenError> {
    let mut head = [0; HEADER];
    if fill(input, &mut head)? != HEADER || head != header() {
        return Err(OpenError::NotALog);
    }
    let mut end = End { offset: HEADER as u64, torn: false, at_us: 0 };
    let mut bytes = [0; RECORD];
    loop {
        let got = fill(input, &mut bytes)?;
        let Some(record) = (got == RECORD).then(|| Record::decode(&bytes)).flatten() else {
            end.torn = bytes[..got].iter().any(|&b| b != 0);
            end.torn |= survivors(input, end.offset)?;
            return Ok(end);
        };
        if !each(record) {
            return Err(OpenError::Contradiction { offset: end.offset });
        }
        end.offset += RECORD as u64;
        end.at_us = record.at_us;
    }
}

/// Looks behind the first broken record, at `broken`: whether intact ones follow. One whose write
/// began behind it proves that the broken one was on stable storage before: that is damage.
fn survivors(input: &mut impl Read, broken: u64) -> Result<bool, OpenError> {
    let mut bytes = [0; RECORD];
    let (mut offset, mut seen) = (broken, false);
    while fill(input, &mut bytes)? == RECORD {
        offset += RECORD as u64;
        let Some(record) = Record::decode(&bytes) else { continue };
        if offset.saturating_sub(u64::from(record.place) * RECORD as u64) > broken {
            return Err(OpenError::Damaged { offset: broken });
        }
        seen = true;
    }
    Ok(seen)
}

/// Reads until the buffer is full or the input ends, and tells how much there was.
fn fill(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut got = 0;
    while got < buffer.len() {
        match input.read(&mut buffer[got..]) {
            Ok(0) => break,
            Ok(n) => got += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(got)
}

/// Where the bytes of a log go: a file, or in tests something that watches or fails.
pub trait Medium: Send {
    /// Writes all of the bytes at the offset.
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Returns when everything written before is on stable storage.
    fn sync(&mut self) -> io::Result<()>;
    /// Cuts or extends to this length.
    fn set_len(&mut self, len: u64) -> io::Result<()>;
}

impl Medium for File {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        File::set_len(self, len)
    }
}

/// Why a group of records was not stored.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Nothing of the group remains; the log can be used further.
    #[error("the gateway's log cannot be written")]
    NotWritten(#[source] io::Error),
    /// What is on the disk is not known; the log must not be used before it is opened again.
    #[error("the gateway's log is in an unknown state")]
    Unknown(#[source] io::Error),
}

/// A log, open for appending by its only writer.
pub struct Log {
    medium: Box<dyn Medium>,
    end: u64,
    prepared: u64,
    at_us: i64,
    buffer: Vec<u8>,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log")
            .field("end", &self.end)
            .field("at_us", &self.at_us)
            .finish_non_exhaustive()
    }
}

impl Log {
    /// Opens or creates the file, locks it, hands its records to `each`, and cuts a torn end off.
    pub fn open(path: &Path, each: &mut dyn FnMut(Record) -> bool) -> Result<Self, OpenError> {
        Self::open_with(path, each, |file| Box::new(file))
    }

    /// As [`open`](Self::open), with something put between the log and its file.
    pub fn open_with(
        path: &Path,
        each: &mut dyn FnMut(Record) -> bool,
        medium: impl FnOnce(File) -> Box<dyn Medium>,
    ) -> Result<Self, OpenError> {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        file.try_lock().map_err(|e| match e {
            TryLockError::WouldBlock => OpenError::InUse,
            TryLockError::Error(e) => OpenError::Io(e),
        })?;
        if is_unborn(&file)? {
            create(&file, path)?;
        }
        let end = scan(&mut BufReader::with_capacity(1 << 16, &file), each)?;
        file.set_len(end.offset)?;
        file.sync_all()?;
        let (end, at_us) = (end.offset, end.at_us);
        Ok(Self { medium: medium(file), end, prepared: end, at_us, buffer: Vec::new() })
    }

    /// Stamps the records, writes them, and returns when they are on stable storage.
    pub fn append(&mut self, records: &mut [Record], now_us: i64) -> Result<(), AppendError> {
        let start = self.end;
        for group in records.chunks_mut(GROUP) {
            self.stamp(group, now_us);
            if let Err(e) = self.write() {
                self.cut(start).map_err(AppendError::Unknown)?;
                return Err(AppendError::NotWritten(e));
            }
            self.medium.sync().map_err(AppendError::Unknown)?;
            self.end += self.buffer.len() as u64;
        }
        Ok(())
    }

    fn stamp(&mut self, group: &mut [Record], now_us: i64) {
        self.at_us = now_us.max(self.at_us + 1);
        self.buffer.clear();
        for (place, record) in (0..).zip(group) {
            (record.at_us, record.place) = (self.at_us, place);
            self.buffer.extend_from_slice(&record.encode());
        }
    }

    /// Takes back what was written, durably: no crash may bring it up again.
    fn cut(&mut self, start: u64) -> io::Result<()> {
        self.medium.set_len(start)?;
        self.medium.sync()?;
        (self.end, self.prepared) = (start, start);
        Ok(())
    }

    /// Bytes in the log, without the space prepared behind it.
    pub fn len(&self) -> u64 {
        self.end
    }

    /// Whether there is no record yet.
    pub fn is_empty(&self) -> bool {
        self.end == HEADER as u64
    }

    fn write(&mut self) -> io::Result<()> {
        while self.end + self.buffer.len() as u64 > self.prepared {
            self.medium.write_at(&ZEROS, self.prepared)?;
            self.prepared += PREPARE as u64;
        }
        self.medium.write_at(&self.buffer, self.end)
    }
}

/// Whether the file is new, or its creation was cut short: no longer than a header, and not more
/// than the beginning of ours in it.
fn is_unborn(file: &File) -> io::Result<bool> {
    let mut head = [0; HEADER + 1];
    let got = fill(&mut &*file, &mut head)?;
    io::Seek::seek(&mut &*file, io::SeekFrom::Start(0))?;
    Ok(got < HEADER && header().starts_with(&head[..got]))
}

/// Writes the header, and makes the file's name as durable as its content.
fn create(file: &File, path: &Path) -> io::Result<()> {
    file.write_all_at(&header(), 0)?;
    file.sync_all()?;
    let folder =
        path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    File::open(folder)?.sync_all()
}
