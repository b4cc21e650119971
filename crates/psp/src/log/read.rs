//! Reads chosen records of a log that is in use, without the cost of decoding the others.

use std::{fs::File, io, ops::Range, os::unix::fs::FileExt};

use super::{HEADER, RECORD, Record, record::part};

/// The most records that are read at once.
const CHUNK: u64 = 1 << 10;

/// Hands those records among the `numbers`, counted from 0, whose payment is wanted to `each`, in
/// order, and tells the number of the first to which it did not agree.
pub(crate) fn select(
    file: &File,
    numbers: Range<u64>,
    wanted: impl Fn(i64) -> bool,
    mut each: impl FnMut(&Record) -> bool,
) -> io::Result<Option<u64>> {
    let mut bytes = Vec::new();
    let mut next = numbers.start;
    while next < numbers.end {
        let count = CHUNK.min(numbers.end - next);
        let length = usize::try_from(count).map_err(io::Error::other)? * RECORD;
        bytes.resize(length, 0);
        file.read_exact_at(&mut bytes, offset(next))?;
        for (number, bytes) in (next..).zip(bytes.chunks_exact(RECORD)) {
            if wanted(i64::from_le_bytes(part(bytes, 8))) && !each(&decode(bytes)?) {
                return Ok(Some(number));
            }
        }
        next += count;
    }
    Ok(None)
}

/// Where the record with this number, counted from 0, starts.
pub(crate) fn offset(number: u64) -> u64 {
    HEADER as u64 + number * RECORD as u64
}

fn decode(bytes: &[u8]) -> io::Result<Record> {
    Record::decode(&part(bytes, 0)).ok_or_else(|| io::ErrorKind::InvalidData.into())
}
