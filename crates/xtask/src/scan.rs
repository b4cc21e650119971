//! Enough of a Rust lexer to search source text without being fooled by it.
//!
//! The checks look for names in code, for literals, and for the bodies of functions. A plain
//! text search would find `crate::order` in a comment and `fn code(` in a string. [`scan`]
//! splits a file into three views with the same byte offsets, so that a hit in any of them
//! can be turned into a line number of the file:
//!
//! - `code`: the text with comments and the contents of literals replaced by spaces,
//! - `strings`: the string literals, with the offset of their first character,
//! - `comments`: the comments, with the offset of their first slash.
//!
//! It does not parse: a macro body is code like any other, which is what the checks want.

/// A piece of a file with the place where it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Byte offset in the file.
    pub(crate) at: usize,
    /// The text, without quotes.
    pub(crate) text: String,
}

/// The three views of one Rust file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scan {
    /// The file with comments and literal contents blanked; same length, same lines.
    pub(crate) code: String,
    /// String literals in order.
    pub(crate) strings: Vec<Piece>,
    /// Comments in order.
    pub(crate) comments: Vec<Piece>,
}

/// A function found by name, with its body in the masked code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Function {
    /// The name after `fn`.
    pub(crate) name: String,
    /// Byte offset of `fn`.
    pub(crate) at: usize,
    /// Byte range of the body with its braces; empty for a declaration.
    pub(crate) body: std::ops::Range<usize>,
}

/// Splits Rust source into its views.
pub(crate) fn scan(text: &str) -> Scan {
    let mut lexer = Lexer { text, bytes: text.as_bytes(), pos: 0, out: Scan::default() };
    let mut code = text.as_bytes().to_vec();
    while let Some(range) = lexer.next_blank() {
        for byte in &mut code[range] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
    }
    // Only whole characters are blanked, each byte of them by a space, so this stays UTF-8.
    lexer.out.code = String::from_utf8_lossy(&code).into_owned();
    lexer.out
}

impl Scan {
    /// All functions, outermost first.
    pub(crate) fn functions(&self) -> Vec<Function> {
        words(&self.code, "fn").filter_map(|at| self.function_at(at)).collect()
    }

    /// Names of the functions that the test harness runs: those with a `#[test]` (or
    /// `#[tokio::test]`) attribute, inside a `proptest!` block as well, and those that a macro
    /// of this file makes of a table.
    pub(crate) fn tests(&self) -> Vec<String> {
        let plain = self.functions().into_iter().filter(|function| self.is_test(function.at));
        let mut names: Vec<String> = plain.map(|function| function.name).collect();
        for at in words(&self.code, "macro_rules") {
            names.extend(self.tests_of_macro(at).unwrap_or_default());
        }
        names
    }

    /// Names in calls of a macro of the shape `($($name:ident: …)*) => { $(#[test] fn $name …)* }`:
    /// every identifier before the mark that follows `ident` in the pattern, here a colon.
    fn tests_of_macro(&self, at: usize) -> Option<Vec<String>> {
        let name = ident(self.code[at..].split_once('!')?.1.trim_start())?;
        let open = at + self.code[at..].find('{')?;
        let rules = &self.code[open..closing(&self.code, open)];
        let variable = rules.split_once("fn $")?.1;
        let variable = format!("${}:ident", ident(variable)?);
        let mark = rules.split_once(&variable)?.1.chars().find(|c| !c.is_whitespace())?;
        if !rules.contains("#[test]") {
            return None;
        }
        let mut names = Vec::new();
        let call = format!("{name}! {{");
        for (at, _) in self.code.match_indices(&call) {
            let open = at + call.len() - 1;
            let body = &self.code[open..closing(&self.code, open)];
            let before_marks = body.match_indices(mark).map(|(at, _)| body[..at].trim_end());
            names.extend(before_marks.filter_map(last_ident).map(str::to_owned));
        }
        Some(names)
    }

    fn function_at(&self, at: usize) -> Option<Function> {
        let rest = &self.code[at + 2..];
        let name = ident(rest.trim_start())?.to_owned();
        let stop = at + 2 + signature_end(rest)?;
        let body = if self.code.as_bytes()[stop] == b'{' {
            stop..closing(&self.code, stop)
        } else {
            stop..stop
        };
        Some(Function { name, at, body })
    }

    /// Whether the `fn` at `at` has a test attribute.
    fn is_test(&self, at: usize) -> bool {
        // Between the previous item and `fn` stand only attributes, visibility and comments.
        let before = &self.code[..at];
        let start = before.rfind(['{', '}', ';']).map_or(0, |at| at + 1);
        let head: String = before[start..].split_whitespace().collect();
        head.contains("#[test]") || head.contains("::test]") || head.contains("::test(")
    }
}

/// Offsets at which `word` stands in `text` with no identifier character beside it.
pub(crate) fn words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    text.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !before.is_some_and(is_ident) && !after.is_some_and(is_ident)
    })
}

/// The identifier that `text` starts with.
pub(crate) fn ident(text: &str) -> Option<&str> {
    let end = text.find(|c| !is_ident(c)).unwrap_or(text.len());
    (end > 0).then(|| &text[..end])
}

/// The identifier that `text` ends with.
fn last_ident(text: &str) -> Option<&str> {
    let start = text.trim_end_matches(is_ident).len();
    (start < text.len()).then(|| &text[start..])
}

/// The offset after the brace that closes the one at `open`.
pub(crate) fn closing(code: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, c) in code[open..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return open + at + 1,
            '}' => depth -= 1,
            _ => {}
        }
    }
    code.len()
}

/// Where a signature ends: at the brace of its body or at its semicolon, but not at the one
/// inside `[u8; 4]`.
fn signature_end(signature: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, c) in signature.char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            '{' | ';' if depth == 0 => return Some(at),
            _ => {}
        }
    }
    None
}

fn is_ident(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

struct Lexer<'a> {
    text: &'a str,
    bytes: &'a [u8],
    pos: usize,
    out: Scan,
}

impl Lexer<'_> {
    /// Moves to the next comment or literal and returns the range to blank.
    fn next_blank(&mut self) -> Option<std::ops::Range<usize>> {
        while self.pos < self.bytes.len() {
            let start = self.pos;
            match self.bytes[start] {
                b'/' if self.peek(1) == b'/' => return Some(self.line_comment()),
                b'/' if self.peek(1) == b'*' => return Some(self.block_comment()),
                b'"' => return Some(self.string(start + 1)),
                b'r' if self.raw_hashes().is_some() => return Some(self.raw_string()),
                b'\'' if self.is_char() => return Some(self.char_literal()),
                byte if is_ident(char::from(byte)) || byte >= 0x80 => self.word(),
                _ => self.pos += 1,
            }
        }
        None
    }

    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.pos + ahead).copied().unwrap_or(0)
    }

    /// Skips an identifier, but stops before the quote of `b"…"` and at the `r` of `br"…"`.
    fn word(&mut self) {
        let start = self.pos;
        if matches!(self.bytes[start], b'b' | b'c') && self.peek(1) == b'r' {
            self.pos += 1;
            if self.raw_hashes().is_some() {
                return;
            }
        }
        self.pos = start + 1;
        while self.pos < self.bytes.len()
            && (is_ident(char::from(self.bytes[self.pos])) || self.bytes[self.pos] >= 0x80)
        {
            self.pos += 1;
        }
    }

    fn line_comment(&mut self) -> std::ops::Range<usize> {
        let start = self.pos;
        self.pos = self.text[start..].find('\n').map_or(self.bytes.len(), |len| start + len);
        self.comment(start)
    }

    fn block_comment(&mut self) -> std::ops::Range<usize> {
        let start = self.pos;
        let mut depth = 0_usize;
        while self.pos < self.bytes.len() {
            match (self.bytes[self.pos], self.peek(1)) {
                (b'/', b'*') => (depth, self.pos) = (depth + 1, self.pos + 2),
                (b'*', b'/') => (depth, self.pos) = (depth - 1, self.pos + 2),
                _ => self.pos += 1,
            }
            if depth == 0 {
                break;
            }
        }
        self.comment(start)
    }

    fn comment(&mut self, start: usize) -> std::ops::Range<usize> {
        let text = self.text[start..self.pos].to_owned();
        self.out.comments.push(Piece { at: start, text });
        start..self.pos
    }

    fn string(&mut self, start: usize) -> std::ops::Range<usize> {
        self.pos = start;
        while self.pos < self.bytes.len() && self.bytes[self.pos] != b'"' {
            self.pos += if self.bytes[self.pos] == b'\\' { 2 } else { 1 };
        }
        let end = self.pos.min(self.bytes.len());
        self.out.strings.push(Piece { at: start, text: self.text[start..end].to_owned() });
        self.pos = end + 1;
        start..end
    }

    /// The number of hashes when a raw string starts at the cursor (`r"`, `r#"`, …).
    fn raw_hashes(&self) -> Option<usize> {
        let hashes = self.bytes[self.pos + 1..].iter().take_while(|&&byte| byte == b'#').count();
        (self.peek(1 + hashes) == b'"').then_some(hashes)
    }

    fn raw_string(&mut self) -> std::ops::Range<usize> {
        let hashes = self.raw_hashes().unwrap_or(0);
        let start = self.pos + hashes + 2;
        let end_mark = format!("\"{}", "#".repeat(hashes));
        let end = self.text[start..].find(&end_mark).map_or(self.bytes.len(), |len| start + len);
        self.out.strings.push(Piece { at: start, text: self.text[start..end].to_owned() });
        self.pos = (end + end_mark.len()).min(self.bytes.len());
        start..end
    }

    /// Whether the quote at the cursor opens a character and not a lifetime.
    fn is_char(&self) -> bool {
        let mut rest = self.text[self.pos + 1..].chars();
        rest.next() == Some('\\') || rest.next() == Some('\'')
    }

    fn char_literal(&mut self) -> std::ops::Range<usize> {
        let start = self.pos + 1;
        let skip = if self.bytes[start] == b'\\' { 2 } else { 1 };
        let from = (start + skip).min(self.bytes.len());
        let end = self.bytes[from..].iter().position(|&byte| byte == b'\'');
        self.pos = end.map_or(self.bytes.len(), |len| from + len + 1);
        start..self.pos - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_and_lines_kept() {
        let text = "let a = \"fn x\"; // fn y\n/* fn /* z */ */ let b = 'x'; let c: &'a str;\n";
        let scan = scan(text);
        assert_eq!(scan.code.len(), text.len());
        assert_eq!(scan.code.matches('\n').count(), 2);
        assert_eq!(words(&scan.code, "fn").count(), 0);
        assert!(scan.code.contains("&'a str"));
        assert_eq!(scan.strings, [Piece { at: 9, text: "fn x".to_owned() }]);
        assert_eq!(scan.comments.len(), 2);
    }

    #[test]
    fn escapes_raw_and_byte_strings_end_where_they_end() {
        let scan = scan(
            r##"f("a\"b", r#"c"d"#, b"e", br"\", '\'', '"', b'\n', '\u{41}', "장부", r#type, for_r"g"); fn after() {}"##,
        );
        let found: Vec<&str> = scan.strings.iter().map(|piece| piece.text.as_str()).collect();
        assert_eq!(found, ["a\\\"b", "c\"d", "e", "\\", "장부", "g"]);
        assert_eq!(scan.functions().len(), 1);
        assert_eq!(scan.functions()[0].name, "after");
    }

    #[test]
    fn functions_have_bodies_and_declarations_have_none() {
        let scan = scan(
            "trait T { fn code(&self) -> u8; }\nfn code() { if a { b } } fn two(a: [u8; 4]) {}",
        );
        let found = scan.functions();
        assert_eq!(found.len(), 3);
        assert_eq!(&scan.code[found[2].body.clone()], "{}");
        assert!(found[0].body.is_empty());
        assert_eq!(&scan.code[found[1].body.clone()], "{ if a { b } }");
    }

    #[test]
    fn tests_are_told_from_functions() {
        let scan = scan(
            "#[test]\nfn a() {}\nfn b() {}\nproptest! { #![x]\n /// doc\n #[test]\n fn c(n in 0..9) {} }\n\
             #[tokio::test(flavor = \"x\")] async fn d() {} // #[test]\nfn e() {}",
        );
        assert_eq!(scan.tests(), ["a", "c", "d"]);
    }

    #[test]
    fn tests_made_of_a_table_have_their_names() {
        let scan = scan(
            "macro_rules! tables { ($($name:ident: $text:literal)*) => { $(#[test] fn $name() {})* } }\n\
             tables! {\n first: \"x: 1\"\n second: \"\"\n}\nmacro_rules! other { ($a:ident) => {} }",
        );
        assert_eq!(scan.tests(), ["first", "second"]);
    }
}
