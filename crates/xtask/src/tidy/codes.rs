//! The rule about error codes: API.md and the code say the same.
//!
//! Convention: an error code is a `SCREAMING_SNAKE` string literal inside a function called
//! `code`, in the crates below. In API.md it is the first cell of a table row, in backquotes,
//! and the first column of that table is headed *Code*.

use std::collections::BTreeMap;

use crate::tree::{File, Finding, Tree};

const CRATES: &[&str] = &["domain", "engine", "services", "api"];
const API: &str = "API.md";

/// Rule `codes`.
pub(super) fn documented(tree: &Tree) -> Vec<Finding> {
    let in_code = in_code(tree);
    let in_docs = tree.get(API).map(in_table).unwrap_or_default();
    let mut findings = Vec::new();
    for (code, (file, at)) in &in_code {
        if !in_docs.contains_key(code) {
            let what = format!("code `{code}` has no row in {API}");
            let remedy = "add the row: code, status, what happened, what the caller should do";
            findings.push(file.finding("codes", *at, what, remedy));
        }
    }
    for (code, (file, at)) in &in_docs {
        if !in_code.contains_key(code) {
            let what = format!("no function `code` returns `{code}`");
            findings.push(file.finding("codes", *at, what, "remove the row, or fix its spelling"));
        }
    }
    findings
}

type Codes<'a> = BTreeMap<&'a str, (&'a File, usize)>;

fn in_code(tree: &Tree) -> Codes<'_> {
    let mut found = Codes::new();
    let ours = |file: &&File| file.crate_name().is_some_and(|n| CRATES.contains(&n));
    // A domain that only a test has needs no documentation.
    for file in tree.rust().filter(ours).filter(|file| !file.path.contains("/tests/")) {
        let bodies: Vec<_> =
            file.scan.functions().into_iter().filter(|f| f.name == "code").collect();
        for literal in file.scan.strings.iter().filter(|literal| is_code(&literal.text)) {
            if bodies.iter().any(|function| function.body.contains(&literal.at)) {
                found.entry(&literal.text).or_insert((file, literal.at));
            }
        }
    }
    found
}

/// Codes in the first cells of tables that are headed *Code*.
fn in_table(file: &File) -> Codes<'_> {
    let (mut found, mut at, mut header) = (Codes::new(), 0, None);
    for line in file.text.split_inclusive('\n') {
        let cell = line.trim().strip_prefix('|').and_then(|row| row.split('|').next());
        match (cell, header) {
            (None, _) => header = None,
            (Some(cell), None) => header = Some(cell.trim().eq_ignore_ascii_case("code")),
            (Some(cell), Some(true)) => {
                let quoted = cell.split('`').skip(1).step_by(2).filter(|word| is_code(word));
                found.extend(quoted.map(|code| (code, (file, at))));
            }
            (Some(_), Some(false)) => {}
        }
        at += line.len();
    }
    found
}

fn is_code(text: &str) -> bool {
    text.len() >= 3
        && text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "impl Coded for Reject { fn code(&self) -> &'static str { match self {\n\
                        Self::A => \"SOLD_OUT\", Self::B => \"SHED\", Self::C => \"not a code\" } } }\n\
                        fn state() -> &'static str { \"PAYING\" }\n";

    fn check(api: &str) -> Vec<String> {
        let tree = Tree::of(&[("crates/domain/src/a/command.rs", CODE), (API, api)]);
        documented(&tree).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn codes_and_rows_that_agree_are_fine() {
        let found = check("| Code | Status |\n|---|---|\n| `SOLD_OUT` | 409 |\n| `SHED` | 503 |\n");
        assert_eq!(found, [""; 0]);
    }

    #[test]
    fn an_undocumented_code_is_found() {
        let found =
            check("| Code |\n|---|\n| `SOLD_OUT` |\n\nThe code `SHED` in prose is no row.\n");
        assert_eq!(found, ["code `SHED` has no row in API.md"]);
    }

    #[test]
    fn a_row_without_a_code_is_found_and_other_tables_are_left_alone() {
        let found = check(
            "| code |\n|---|\n| `SOLD_OUT`, `SHED` |\n| `GONE` |\n\n| State |\n|---|\n| `PAYING` |\n",
        );
        assert_eq!(found, ["no function `code` returns `GONE`"]);
    }

    #[test]
    fn without_api_md_every_code_is_found() {
        let tree = Tree::of(&[("crates/api/src/a.rs", CODE)]);
        assert_eq!(documented(&tree).len(), 2);
    }
}
