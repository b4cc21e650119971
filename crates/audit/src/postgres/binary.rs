//! The binary form of COPY: a signature, then rows of fields, each with its length, then an end mark.
//! It comes in pieces that may end anywhere.

use std::ops::Range;

use crate::Error;

/// The signature, and after it flags and the length of an extension, both 4 bytes.
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
const HEADER: usize = SIGNATURE.len() + 8;
/// What was read is forgotten when it is so much.
const FORGET: usize = 1 << 16;

/// Bytes that are not what the server's manual promises.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Garbled(pub(super) &'static str);

impl Garbled {
    /// The error, with the table that was being copied.
    pub(super) fn of(self, table: &str) -> Error {
        Error::Garbled { table: table.to_owned(), why: self.0 }
    }
}

/// Cuts what the server sends into rows.
#[derive(Debug)]
pub(super) struct Decoder {
    /// Fields that a row has.
    width: usize,
    bytes: Vec<u8>,
    at: usize,
    begun: bool,
    ended: bool,
    /// Where the fields of the last row are.
    fields: Vec<Option<Range<usize>>>,
}

impl Decoder {
    /// Rows of `width` fields.
    pub(super) fn new(width: usize) -> Self {
        Self { width, bytes: Vec::new(), at: 0, begun: false, ended: false, fields: Vec::new() }
    }

    /// Takes the next piece.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        if self.at > FORGET || self.at == self.bytes.len() {
            self.bytes.drain(..self.at);
            self.at = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Moves on to the next row; false if it is not there yet, or there is none.
    pub(super) fn next(&mut self) -> Result<bool, Garbled> {
        if !self.begun && !self.begin()? {
            return Ok(false);
        }
        let mut at = self.at;
        let Some(count) = self.short(&mut at) else { return Ok(false) };
        if self.ended {
            return Err(Garbled("something follows the end"));
        }
        if count < 0 {
            (self.ended, self.at) = (true, at);
            return Ok(false);
        }
        if usize::try_from(count) != Ok(self.width) {
            return Err(Garbled("a row has another number of fields"));
        }
        self.fields.clear();
        for _ in 0..self.width {
            let Some(length) = self.long(&mut at) else { return Ok(false) };
            let Ok(length) = usize::try_from(length) else {
                self.fields.push(None);
                continue;
            };
            if self.bytes.len() - at < length {
                return Ok(false);
            }
            self.fields.push(Some(at..at + length));
            at += length;
        }
        self.at = at;
        Ok(true)
    }

    /// A field of the last row; `None` is null.
    pub(super) fn field(&self, at: usize) -> Option<&[u8]> {
        let range = self.fields.get(at)?.clone()?;
        Some(&self.bytes[range])
    }

    /// After the last piece: whether it was the whole table.
    pub(super) fn end(&self) -> Result<(), Garbled> {
        match (self.ended, self.at == self.bytes.len()) {
            (true, true) => Ok(()),
            (true, false) => Err(Garbled("something follows the end")),
            (false, _) => Err(Garbled("it ends before its end")),
        }
    }

    fn begin(&mut self) -> Result<bool, Garbled> {
        if self.bytes.len() < HEADER {
            return Ok(false);
        }
        if !self.bytes.starts_with(SIGNATURE) {
            return Err(Garbled("it does not begin with the signature"));
        }
        let mut at = HEADER - 4;
        let extension = self.long(&mut at).unwrap_or(0);
        if extension != 0 {
            return Err(Garbled("it has an extension"));
        }
        (self.begun, self.at) = (true, HEADER);
        Ok(true)
    }

    fn short(&self, at: &mut usize) -> Option<i16> {
        let bytes = self.bytes.get(*at..*at + 2)?;
        *at += 2;
        bytes.try_into().ok().map(i16::from_be_bytes)
    }

    fn long(&self, at: &mut usize) -> Option<i32> {
        let bytes = self.bytes.get(*at..*at + 4)?;
        *at += 4;
        bytes.try_into().ok().map(i32::from_be_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two rows of two fields, one of them null.
    fn sent() -> Vec<u8> {
        let mut sent = [SIGNATURE, &[0; 8]].concat();
        sent.extend(b"\0\x02\0\0\0\x01a\xff\xff\xff\xff");
        sent.extend(b"\0\x02\0\0\0\0\0\0\0\x03xyz\xff\xff");
        sent
    }

    type Row = Vec<Option<Vec<u8>>>;

    /// The rows of what comes in pieces of this size.
    fn read(bytes: &[u8], size: usize, width: usize) -> Result<Vec<Row>, Garbled> {
        let (mut rows, mut found) = (Decoder::new(width), Vec::new());
        for piece in bytes.chunks(size) {
            rows.feed(piece);
            while rows.next()? {
                found.push((0..width).map(|at| rows.field(at).map(<[u8]>::to_vec)).collect());
            }
        }
        rows.end().map(|()| found)
    }

    #[test]
    fn rows_are_the_same_however_they_are_cut() {
        let text = |text: &str| Some(text.as_bytes().to_vec());
        let wanted = vec![vec![text("a"), None], vec![text(""), text("xyz")]];
        for size in 1..=sent().len() {
            assert_eq!(read(&sent(), size, 2).as_ref(), Ok(&wanted), "in pieces of {size}");
        }
    }

    #[test]
    fn what_is_cut_short_or_is_something_else_is_garbled() {
        let whole = sent();
        for (bytes, width, why) in [
            (&whole[..whole.len() - 1], 2, "it ends before its end"),
            (&b"<html><body>hello</body>"[..], 2, "it does not begin with the signature"),
            (&whole[..], 3, "a row has another number of fields"),
            (&[&whole[..], b"\0\0"].concat()[..], 2, "something follows the end"),
        ] {
            assert_eq!(read(bytes, bytes.len(), width), Err(Garbled(why)));
        }
    }
}
