//! What the fuzzer calls (`fuzz/README.md`), and the tests call again with every input that it
//! found worth keeping. A finding is a panic.

use axum::http::HeaderValue;
use jangbu_kernel::{Currency, Money, OrderId, PaymentId, ProductId, SkuId, UserId};

pub use crate::auth::fuzzing::signature;

use crate::money::{MoneyIn, MoneyOut};
use crate::text::{At, time};
use crate::{call, idempotency};

/// Reads `data` as ids, money, currencies, times and headers: what is read can be written, and is
/// read again as the same.
pub fn numbers(data: &[u8]) {
    let _ = idempotency::header(Some(data));
    let _ = call::reason(HeaderValue::from_bytes(data).ok().as_ref());
    times(data);
    let Ok(text) = std::str::from_utf8(data) else { return };
    macro_rules! ids {
        ($($id:ident),*) => {
            $(if let Some(id) = $id::parse(text) {
                assert_eq!($id::parse(&id.to_string()), Some(id), "{text}");
            })*
        };
    }
    ids!(OrderId, PaymentId, UserId, ProductId, SkuId);
    if let Some(currency) = Currency::parse(text) {
        assert_eq!(currency.as_str(), text);
    }
    if let Some(at) = time(text) {
        let written = At(at).to_string();
        assert_eq!(time(&written), Some(at), "{text}: {written}");
    }
    money(text);
}

fn money(text: &str) {
    let Ok(sent) = serde_json::from_str::<MoneyIn<'_>>(text) else { return };
    let Ok(money) = sent.read("money") else { return };
    assert!((0..=Money::MAX).contains(&money.amount), "{text}");
    let written = serde_json::to_string(&MoneyOut::from(money)).unwrap_or_default();
    let again = serde_json::from_str::<MoneyIn<'_>>(&written).map(|sent| sent.read("money"));
    assert!(matches!(again, Ok(Ok(same)) if same == money), "{text}: {written}");
}

/// A price times a quantity is in range, or there is none.
fn times(data: &[u8]) {
    let Some((unit, rest)) = data.split_first_chunk::<8>() else { return };
    let Some((quantity, _)) = rest.split_first_chunk::<8>() else { return };
    let (unit, quantity) = (i64::from_le_bytes(*unit), i64::from_le_bytes(*quantity));
    let wide = i128::from(unit) * i128::from(quantity);
    let wanted = i64::try_from(wide).ok().filter(|value| (0..=Money::MAX).contains(value));
    assert_eq!(Money::times(unit, quantity), wanted, "{unit} {quantity}");
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// Every kept input of a target; none at all is a mistake.
    fn replay(target: &str, run: fn(&[u8])) {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
        let files: Vec<_> = std::fs::read_dir(dir).unwrap().map(Result::unwrap).collect();
        assert!(files.len() > 10, "{target}: {} inputs", files.len());
        for file in files {
            run(&std::fs::read(file.path()).unwrap());
        }
    }

    #[test]
    fn kept_inputs_of_numbers_find_nothing() {
        replay("numbers", super::numbers);
    }

    #[test]
    fn kept_inputs_of_signatures_find_nothing() {
        replay("signature", super::signature);
    }
}
