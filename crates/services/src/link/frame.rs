//! Frames: four bytes of length, little endian, and so many bytes of postcard.

use std::io::{self, Read, Write};

use serde::Serialize;

/// No frame is longer, from whoever is known.
pub(super) const MOST: usize = 64 << 20;

/// No frame is longer, from whoever has not said yet who it is.
pub(super) const GREETING: usize = 1 << 10;

/// The bytes of one frame.
pub(super) fn encode(frame: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut bytes = postcard::to_extend(frame, vec![0; 4]).map_err(io::Error::other)?;
    let length = u32::try_from(bytes.len() - 4).map_err(io::Error::other)?;
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    Ok(bytes)
}

/// Writes one frame.
pub(super) fn write(to: &mut impl Write, frame: &impl Serialize) -> io::Result<()> {
    to.write_all(&encode(frame)?)
}

/// Reads the bytes of the next frame, at most `most`.
pub(super) fn read(from: &mut impl Read, most: usize, frame: &mut Vec<u8>) -> io::Result<()> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > most {
        let why = format!("a frame of {length} bytes where {most} are the most");
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    }
    frame.resize(length, 0);
    from.read_exact(frame)
}

/// What the bytes of a frame say.
pub(super) fn decode<'a, T: serde::Deserialize<'a>>(bytes: &'a [u8]) -> io::Result<T> {
    postcard::from_bytes(bytes).map_err(|why| io::Error::new(io::ErrorKind::InvalidData, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_comes_back_whole_or_not_at_all() {
        let bytes = encode(&("words", 7_u64)).unwrap();
        let mut frame = Vec::new();
        read(&mut &bytes[..], GREETING, &mut frame).unwrap();
        assert_eq!(decode::<(&str, u64)>(&frame).unwrap(), ("words", 7));
        assert!(read(&mut &bytes[..bytes.len() - 1], GREETING, &mut frame).is_err(), "cut off");
        assert!(read(&mut &bytes[..], 3, &mut frame).is_err(), "too long");
        assert!(decode::<(&str, u64)>(&[5, 1]).is_err());
    }
}
