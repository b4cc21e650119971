//! What people write: names, and texts of more than a line.
//!
//! Control characters are no text. They hide in lists, break exports and terminals, and nobody
//! types them on purpose.

/// Whether `text` can be a name: 1 to `most` characters that say something, without control
/// characters, line breaks and tabs among them.
pub fn is_line(text: &str, most: usize) -> bool {
    !text.trim().is_empty() && !text.contains(char::is_control) && text.chars().count() <= most
}

/// Whether `text` can be a description or a reason: at most `most` characters, and no control
/// characters but line breaks and tabs.
pub fn is_prose(text: &str, most: usize) -> bool {
    let is_odd = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    !text.contains(is_odd) && text.chars().count() <= most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_line_that_says_something() {
        for good in ["a", "티셔츠", "Lee & Kim", "x\u{301}", "\u{1F455}"] {
            assert!(is_line(good, 10), "{good:?}");
        }
        let long = "가".repeat(11);
        for bad in ["", " ", "a\0b", "a\nb", "a\tb", "\u{1b}[31m", "\u{7f}", "\u{85}", &long] {
            assert!(!is_line(bad, 10), "{bad:?}");
        }
    }

    #[test]
    fn prose_may_have_lines() {
        for good in ["", "one\r\ntwo\tthree", " "] {
            assert!(is_prose(good, 20), "{good:?}");
        }
        for bad in ["a\0", "\u{8}", "\u{9b}", "x".repeat(21).as_str()] {
            assert!(!is_prose(bad, 20), "{bad:?}");
        }
    }
}
