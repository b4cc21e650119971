//! The first words on a connection: both sides show that they know the secret, without saying it,
//! and that they are of one version.
//!
//! ```text
//! owner    ─▶ Hello   version, nonce a
//! follower ─▶ Asks    version, nonce b, HMAC(secret, "follower" a b), which cell, which slot it has
//! owner    ─▶ Welcome HMAC(secret, "owner" b a), slot   |   No: version, secret, not the owner, …
//! ```
//!
//! Nonces are new for each connection, so what was overheard is worth nothing later. What follows is
//! neither encrypted nor signed: whoever can change packets between the processes of a shop can do
//! so on their way to its database, too. Both belong on a network of their own.

use std::io::{self, Read, Write};

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::frame;

/// Raised with every change of what travels; the version of the program counts, too, since commands
/// and answers are what its domains make them.
const VERSION: u16 = 2;
const PROGRAM: &str = env!("CARGO_PKG_VERSION");

type Nonce = [u8; 16];
type Proof = [u8; 32];

/// Fills bytes that nobody can guess.
pub type Random = fn(&mut [u8]);

/// What both sides know.
#[derive(Clone)]
pub(super) struct Credentials {
    pub(super) secret: jangbu_kernel::Secret,
    pub(super) random: Random,
}

impl Credentials {
    fn nonce(&self) -> Nonce {
        let mut nonce = Nonce::default();
        (self.random)(&mut nonce);
        nonce
    }

    fn mac(&self, who: &str, first: &Nonce, second: &Nonce) -> Hmac<Sha256> {
        let key = self.secret.reveal().as_bytes();
        let mac = Hmac::<Sha256>::new_from_slice(key)
            .unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
        mac.chain_update(who).chain_update(first).chain_update(second)
    }
}

#[derive(Serialize, Deserialize)]
struct Hello {
    magic: [u8; 6],
    version: u16,
    program: String,
    nonce: Nonce,
}

#[derive(Serialize, Deserialize)]
struct Asks {
    hello: Hello,
    proof: Proof,
    cell: u16,
    slot: u16,
}

#[derive(Serialize, Deserialize)]
enum Answer {
    Welcome { proof: Proof, slot: u16 },
    No(No),
}

/// Why a process is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub(super) enum No {
    #[error("it is of another version")]
    Version,
    #[error("it does not know the secret")]
    Secret,
    #[error("the cell is not here")]
    NotOwner,
    #[error("there are too many")]
    Full,
}

impl From<No> for io::Error {
    fn from(no: No) -> Self {
        Self::new(io::ErrorKind::PermissionDenied, no)
    }
}

const MAGIC: [u8; 6] = *b"jangbu";

impl Hello {
    fn new(nonce: Nonce) -> Self {
        Self { magic: MAGIC, version: VERSION, program: PROGRAM.to_owned(), nonce }
    }

    fn is_ours(&self) -> bool {
        self.magic == MAGIC && self.version == VERSION && self.program == PROGRAM
    }
}

/// The follower's part: asks for `cell`, and gets a slot for its ids.
pub(super) fn ask(
    stream: &mut (impl Read + Write),
    known: &Credentials,
    (cell, slot): (u16, u16),
) -> io::Result<u16> {
    let mut bytes = Vec::new();
    frame::read(stream, frame::GREETING, &mut bytes)?;
    let theirs: Hello = frame::decode(&bytes)?;
    if !theirs.is_ours() {
        return Err(No::Version.into());
    }
    let nonce = known.nonce();
    let proof = known.mac("follower", &theirs.nonce, &nonce).finalize().into_bytes().into();
    frame::write(stream, &Asks { hello: Hello::new(nonce), proof, cell, slot })?;
    frame::read(stream, frame::GREETING, &mut bytes)?;
    match frame::decode(&bytes)? {
        Answer::Welcome { proof, slot } => {
            let mac = known.mac("owner", &nonce, &theirs.nonce);
            mac.verify_slice(&proof).map_err(|_| No::Secret)?;
            Ok(slot)
        }
        Answer::No(no) => Err(no.into()),
    }
}

/// The owner's part: `admit` says which slot a follower of a cell gets.
pub(super) fn admit<T>(
    stream: &mut (impl Read + Write),
    known: &Credentials,
    admit: impl FnOnce(u16, u16) -> Result<(u16, T), No>,
) -> io::Result<T> {
    let nonce = known.nonce();
    frame::write(stream, &Hello::new(nonce))?;
    let mut bytes = Vec::new();
    frame::read(stream, frame::GREETING, &mut bytes)?;
    let asks: Asks = frame::decode(&bytes)?;
    let mac = known.mac("follower", &nonce, &asks.hello.nonce);
    let admitted = if !asks.hello.is_ours() {
        Err(No::Version)
    } else if mac.verify_slice(&asks.proof).is_err() {
        Err(No::Secret)
    } else {
        admit(asks.cell, asks.slot)
    };
    let (slot, admitted) = match admitted {
        Ok(admitted) => admitted,
        Err(no) => {
            frame::write(stream, &Answer::No(no))?;
            return Err(no.into());
        }
    };
    let mac = known.mac("owner", &asks.hello.nonce, &nonce);
    let proof = mac.finalize().into_bytes().into();
    frame::write(stream, &Answer::Welcome { proof, slot })?;
    Ok(admitted)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use jangbu_kernel::Secret;

    use super::*;

    fn known(secret: &str) -> Credentials {
        Credentials { secret: Secret::new(secret), random: |bytes| bytes.fill(7) }
    }

    /// Runs the owner's part against `follower`.
    fn met<T>(
        owner: &Credentials,
        follower: impl FnOnce(&mut TcpStream) -> T,
    ) -> (io::Result<u16>, T) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut accepted, _) = listener.accept().unwrap();
        std::thread::scope(|scope| {
            let admit = |cell, slot| if cell == 3 { Ok((slot + 1, slot)) } else { Err(No::Full) };
            let owner = scope.spawn(move || super::admit(&mut accepted, owner, admit));
            let told = follower(&mut stream);
            drop(stream);
            (owner.join().unwrap(), told)
        })
    }

    fn why<T>(result: &io::Result<T>) -> Option<String> {
        result.as_ref().err().map(ToString::to_string)
    }

    #[test]
    fn who_knows_the_secret_is_let_in_and_gets_a_slot() {
        let both = known("sixteen letters.");
        let (admitted, slot) = met(&both, |stream| ask(stream, &both, (3, 40)));
        assert_eq!((admitted.unwrap(), slot.unwrap()), (40, 41));
        let (admitted, slot) = met(&both, |stream| ask(stream, &both, (4, 40)));
        assert_eq!(why(&slot), Some(No::Full.to_string()));
        assert_eq!(why(&admitted), why(&slot));
    }

    #[test]
    fn another_secret_is_refused_by_either_side() {
        let other = known("another sixteen.");
        let (admitted, slot) =
            met(&known("sixteen letters."), |stream| ask(stream, &other, (3, 0)));
        assert_eq!(why(&admitted), Some(No::Secret.to_string()));
        assert_eq!(why(&slot), why(&admitted));
        // An impostor that lets everybody in is found out.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut impostor, _) = listener.accept().unwrap();
        frame::write(&mut impostor, &Hello::new([1; 16])).unwrap();
        frame::write(&mut impostor, &Answer::Welcome { proof: [0; 32], slot: 1 }).unwrap();
        assert_eq!(why(&ask(&mut stream, &other, (3, 0))), Some(No::Secret.to_string()));
    }

    #[test]
    fn another_version_is_refused_by_either_side() {
        let both = known("sixteen letters.");
        let (admitted, answer) = met(&both, |stream| {
            let mut bytes = Vec::new();
            frame::read(stream, frame::GREETING, &mut bytes).unwrap();
            let hello = Hello { version: VERSION + 1, ..Hello::new([1; 16]) };
            frame::write(stream, &Asks { hello, proof: [0; 32], cell: 3, slot: 0 }).unwrap();
            frame::read(stream, frame::GREETING, &mut bytes).unwrap();
            frame::decode::<Answer>(&bytes).unwrap()
        });
        assert_eq!(why(&admitted), Some(No::Version.to_string()));
        assert!(matches!(answer, Answer::No(No::Version)));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut old, _) = listener.accept().unwrap();
        let hello = Hello { program: "0.0.0".to_owned(), ..Hello::new([1; 16]) };
        frame::write(&mut old, &hello).unwrap();
        assert_eq!(why(&ask(&mut stream, &both, (3, 0))), Some(No::Version.to_string()));
    }
}
