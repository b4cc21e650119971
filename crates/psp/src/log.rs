//! The simulated gateway's log: fixed records, one CRC each, written and synced in groups.
//!
//! The format is described in README.md, for readers who do not have this code; the tests hold the
//! two together. A group is one write and one `fdatasync`. Space is prepared in zeroed steps ahead
//! of the end, so that most syncs change no file size and need no journal commit.

mod read;
mod record;

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, BufReader, Read},
    os::unix::fs::FileExt,
    path::Path,
};

pub(crate) use self::read::{offset, select};
pub use self::record::{Kind, RECORD, Record};

/// Bytes of the header.
pub const HEADER: usize = 16;

const MAGIC: &[u8; 8] = b"JBPSPLOG";
const VERSION: u32 = 1;
/// The most records in one write.
const GROUP: usize = 1 << 15;
/// How far ahead of the end the file is filled with zeros: some 1,600 records.
const PREPARE: usize = 1 << 16;
static ZEROS: [u8; PREPARE] = [0; PREPARE];

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

/// Where the bytes of a log go: a file, or in tests something that watches or fails. What was written
/// can be read from the file.
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
    reader: File,
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
        let file = lock(path)?;
        let end = scan_file(&file, each)?;
        Ok(Self::resume(file, end, medium)?)
    }

    /// Cuts what is behind the end, and goes on from there.
    pub(crate) fn resume(
        file: File,
        end: End,
        medium: impl FnOnce(File) -> Box<dyn Medium>,
    ) -> io::Result<Self> {
        file.set_len(end.offset)?;
        file.sync_all()?;
        let (reader, end, at_us) = (file.try_clone()?, end.offset, end.at_us);
        Ok(Self { medium: medium(file), reader, end, prepared: end, at_us, buffer: Vec::new() })
    }

    /// The file, to read what is in it; only the log itself writes.
    pub(crate) fn file(&self) -> &File {
        &self.reader
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

/// Opens or creates the file, and locks it for its only writer.
pub(crate) fn lock(path: &Path) -> Result<File, OpenError> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    file.try_lock().map_err(|e| match e {
        TryLockError::WouldBlock => OpenError::InUse,
        TryLockError::Error(e) => OpenError::Io(e),
    })?;
    if is_unborn(&file)? {
        create(&file, path)?;
    }
    Ok(file)
}

/// Reads a locked log, from its beginning.
pub(crate) fn scan_file(
    file: &File,
    each: &mut dyn FnMut(Record) -> bool,
) -> Result<End, OpenError> {
    scan(&mut BufReader::with_capacity(1 << 16, file), each)
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
