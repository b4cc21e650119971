//! What happened, line by line: a hash of all lines always, the lines themselves on request.

use std::fmt;

/// The trace of one world.
#[derive(Debug)]
pub(crate) struct Trace {
    hash: u64,
    line: String,
    pub(crate) kept: Option<Vec<String>>,
}

impl Trace {
    pub(crate) fn new(keep: bool) -> Self {
        Self { hash: 0xcbf2_9ce4_8422_2325, line: String::new(), kept: keep.then(Vec::new) }
    }

    /// One line: when, in µs since the beginning, and what.
    pub(crate) fn say(&mut self, at: i64, what: fmt::Arguments<'_>) {
        self.line.clear();
        let written = fmt::write(&mut self.line, format_args!("{:>14.6} {what}", Seconds(at)));
        assert!(written.is_ok(), "a String takes every line");
        for byte in self.line.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if let Some(kept) = &mut self.kept {
            kept.push(self.line.clone());
        }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }
}

struct Seconds(i64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>6}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}
