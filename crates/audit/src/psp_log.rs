//! The gateway's own log, read with an own decoder.
//!
//! The format is that of `crates/psp/README.md`: a header of 16 bytes, then records of 40 bytes, up to
//! the end of the file, to 40 zero bytes (prepared space), or to a record that is not intact. The last
//! is a torn write, unless an intact record of a later write follows: then it is damage.
//!
//! The log is read twice: before the snapshot and after it. A record of the first reading was
//! written before the snapshot, so (no charge without a row) the snapshot must explain it. A record
//! of the second reading may be younger than the snapshot. Positions decide, so clocks may step as
//! they like.

use std::{
    fs::File,
    io::{BufReader, Read, Seek, SeekFrom},
    path::Path,
};

use crate::{
    Error,
    book::{Book, rules},
    watch::Watch,
};

rules! {
    LOG = "gateway.log", Mismatched, "Every record of the gateway's log is intact, but for a torn write at its end.";
}

const MAGIC: &[u8; 8] = b"JBPSPLOG";
const HEADER: usize = 16;
const RECORD: usize = 40;

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

    /// Reads records up to the end of the log.
    fn records_from(
        &mut self,
        input: &mut impl Read,
        newer: bool,
        watch: &Watch<'_>,
    ) -> std::io::Result<()> {
        self.torn = 0;
        let mut bytes = [0; RECORD];
        loop {
            let filled = read_full(input, &mut bytes)?;
            if bytes[..filled].iter().all(|byte| *byte == 0) {
                return Ok(());
            }
            let record = if filled == RECORD { decode(&bytes, newer) } else { None };
            let Some((_, record)) = record else {
                return self.broken_at(self.offset, to_u64(filled), input, newer);
            };
            watch.tick();
            self.offset += to_u64(RECORD);
            self.records.push(record);
        }
    }

    /// Decides between damage and a torn write: the rest of the file is read, and an intact record of
    /// a write that began behind the broken one makes it damage.
    fn broken_at(
        &mut self,
        broken: u64,
        mut length: u64,
        input: &mut impl Read,
        newer: bool,
    ) -> std::io::Result<()> {
        let mut behind = Vec::new();
        let mut damaged = false;
        let mut bytes = [0; RECORD];
        loop {
            let at = broken + length;
            let filled = read_full(input, &mut bytes)?;
            length += to_u64(filled);
            if filled < RECORD {
                break;
            }
            if let Some((place, record)) = decode(&bytes, newer) {
                damaged |= at > broken + place * to_u64(RECORD);
                behind.push(record);
            }
        }
        if damaged {
            self.broken = Some(broken);
            self.offset = broken + length;
            self.records.append(&mut behind);
        } else {
            self.torn = length;
        }
        Ok(())
    }
}

fn check_header(file: &Path, header: &[u8; HEADER]) -> Result<(), Error> {
    let sound = header.starts_with(MAGIC)
        && u32_at(header, 8) == 1
        && u32_at(header, 12) == crc32fast::hash(&header[..12]);
    if sound { Ok(()) } else { Err(Error::NotALog(file.to_owned())) }
}

/// An intact record, and how many records of its write stand before it.
fn decode(bytes: &[u8; RECORD], newer: bool) -> Option<(u64, Record)> {
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
    let place = u64::from(u16::from_le_bytes([bytes[34], bytes[35]]));
    Some((place, record))
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
