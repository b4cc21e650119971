//! The rule about file sizes. Function sizes are clippy's (see the rule `lints`).

use crate::tree::{Finding, Tree};

/// A file above this needs a reason in [`REASONS`].
const LONG: usize = 400;
/// No reason helps a file above this.
const LIMIT: usize = 800;
/// One line per long file: `path: reason`.
const REASONS: &str = "crates/xtask/long_files.txt";

/// Rule `sizes`.
pub(super) fn files(tree: &Tree) -> Vec<Finding> {
    let reasons = reasons(tree);
    let excused = |path: &str| reasons.iter().any(|(_, excused, _)| *excused == path);
    let mut findings = Vec::new();
    for file in tree.rust() {
        let lines = file.text.lines().count();
        if lines > LIMIT {
            let what = format!("{lines} lines, the limit is {LIMIT}");
            findings.push(file.finding("sizes", 0, what, "split it by concept"));
        } else if lines > LONG && !excused(&file.path) {
            let what = format!("{lines} lines, above {LONG} without a reason");
            let remedy =
                format!("split it by concept, or add `{}: reason` to {REASONS}", file.path);
            findings.push(file.finding("sizes", 0, what, remedy));
        }
    }
    findings.extend(stale(tree, &reasons));
    findings
}

/// Reasons that excuse nothing any more, or say nothing.
fn stale(tree: &Tree, reasons: &[(usize, &str, &str)]) -> Vec<Finding> {
    let Some(list) = tree.get(REASONS) else { return Vec::new() };
    let long = |path: &str| tree.get(path).is_some_and(|file| file.text.lines().count() > LONG);
    let useless = reasons.iter().filter(|(_, path, why)| why.is_empty() || !long(path));
    useless
        .map(|(at, path, _)| {
            let what = format!("`{path}` is not above {LONG} lines, or has no reason here");
            list.finding("sizes", *at, what, "remove the line, or write the reason")
        })
        .collect()
}

/// Offset, path and reason of each line of the list.
fn reasons(tree: &Tree) -> Vec<(usize, &str, &str)> {
    let Some(list) = tree.get(REASONS) else { return Vec::new() };
    let (mut found, mut at) = (Vec::new(), 0);
    for line in list.text.split_inclusive('\n') {
        let text = line.trim();
        if !text.is_empty() && !text.starts_with('#') {
            let (path, why) = text.split_once(':').unwrap_or((text, ""));
            found.push((at, path.trim(), why.trim()));
        }
        at += line.len();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lines: usize, reasons: &str) -> usize {
        let text = "x\n".repeat(lines);
        files(&Tree::of(&[("crates/a/src/b.rs", &text), (REASONS, reasons)])).len()
    }

    #[test]
    fn a_long_file_needs_a_reason() {
        assert_eq!(check(400, ""), 0);
        assert_eq!(check(401, ""), 1);
        assert_eq!(check(401, "# list\ncrates/a/src/b.rs: one table\n"), 0);
        assert_eq!(check(401, "crates/a/src/b.rs:\n"), 1);
    }

    #[test]
    fn no_reason_excuses_a_huge_file() {
        assert_eq!(check(801, "crates/a/src/b.rs: one table\n"), 1);
    }

    #[test]
    fn a_reason_for_nothing_is_found() {
        assert_eq!(check(10, "crates/a/src/b.rs: one table\n"), 1);
        assert_eq!(check(10, "crates/a/src/gone.rs: one table\n"), 1);
    }
}
