//! The public form of ids, written a second time on purpose: an auditor that borrowed the codec of
//! the audited could not notice a broken one.
//!
//! An id is a prefix, `_` and 13 Crockford base32 characters of the 63-bit integer, big-endian.

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LENGTH: usize = 13;

/// `show("ord", 5)` is `ord_0000000000005`.
pub(crate) fn show(prefix: &str, id: i64) -> String {
    let mut rest = id.cast_unsigned();
    let mut digits = [b'0'; LENGTH];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[usize::from(rest.to_le_bytes()[0] & 31)];
        rest >>= 5;
    }
    let digits: String = digits.iter().copied().map(char::from).collect();
    format!("{prefix}_{digits}")
}

/// The integer of a public id with this prefix; case does not matter, I and L read as 1, O as 0.
pub(crate) fn read(prefix: &str, text: &str) -> Option<i64> {
    let digits = text.strip_prefix(prefix)?.strip_prefix('_')?;
    if digits.len() != LENGTH {
        return None;
    }
    let value = digits.bytes().try_fold(0_u128, |sum, byte| Some(sum * 32 + digit(byte)?))?;
    i64::try_from(value).ok()
}

/// When an id was minted, in microseconds: its upper 41 bits are milliseconds since 2024.
pub(crate) fn minted_at(id: i64) -> i64 {
    const BEGIN: i64 = 1_704_067_200_000;
    ((id >> 22) + BEGIN).saturating_mul(1_000)
}

/// An order's public id.
pub(crate) fn order(id: i64) -> String {
    show("ord", id)
}

/// A payment's public id; it shares its order's integer.
pub(crate) fn payment(id: i64) -> String {
    show("pay", id)
}

/// A merchant's refund's public id.
pub(crate) fn refund(id: i64) -> String {
    show("rfd", id)
}

/// A journal's public id.
pub(crate) fn journal(id: i64) -> String {
    show("jnl", id)
}

/// A SKU's public id.
pub(crate) fn sku(id: i64) -> String {
    show("sku", id)
}

fn digit(byte: u8) -> Option<u128> {
    let plain = match byte.to_ascii_uppercase() {
        b'I' | b'L' => b'1',
        b'O' => b'0',
        other => other,
    };
    ALPHABET.iter().position(|&known| known == plain).and_then(|at| u128::try_from(at).ok())
}

#[cfg(test)]
mod tests {
    use super::{read, show};

    #[test]
    fn ids_survive_the_round_trip() {
        for id in [0, 1, 31, 32, 1 << 40, i64::MAX] {
            assert_eq!(read("ord", &show("ord", id)), Some(id));
        }
        assert_eq!(show("sku", 33), "sku_0000000000011");
        assert_eq!(read("sku", "sku_oooooooooooIl"), Some(33));
        assert_eq!(read("ord", "pay_0000000000001"), None);
        assert_eq!(read("ord", "ord_000000000001"), None);
        assert_eq!(read("ord", "ord_ZZZZZZZZZZZZZ"), None);
        assert_eq!(read("ord", "ord_U000000000000"), None);
    }
}
