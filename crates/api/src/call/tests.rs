//! Tests of `call`.

use super::*;

#[test]
fn a_reason_is_text_of_at_most_500_characters() {
    let long = "x".repeat(501);
    for (value, wanted) in [
        (None, Some("")),
        (Some("late file"), Some("late file")),
        (Some("%EC%9E%A5%eb%b6%80 100%25"), Some("장부 100%")),
        (Some(&long[..500]), Some(&long[..500])),
        (Some(&*long), None),
        (Some("%E"), None),
        (Some("%+1"), None),
        (Some("%zz"), None),
        (Some("%FF"), None),
    ] {
        let value = value.map(|value| HeaderValue::from_bytes(value.as_bytes()).unwrap());
        let read = reason(value.as_ref());
        assert_eq!(read.as_deref().ok(), wanted);
        assert!(read.is_ok() || read.unwrap_err().code == "INVALID_PARAMETER");
    }
}
