//! Rules about words: names that say nothing, work left undone, and knowledge that a layer
//! must not have.

use crate::{
    scan::words,
    tree::{File, Finding, Tree},
};

const VAGUE: &[&str] = &["core", "types", "common", "utils", "util", "helpers", "misc"];
const UNDONE: &[&str] = &["TODO", "FIXME", "XXX"];
const STUBS: &[&str] = &["todo!", "unimplemented!", "#[ignore"];
const MACHINE_PATHS: &[&str] = &[concat!("/ro", "ot/"), "/home/"];
const BROKERS: &[&str] = &["kafka", "redis"];

/// Word pairs that make a sentence SQL and not English.
const SQL: &[(&str, &str)] = &[
    ("select", "from"),
    ("insert", "into"),
    ("update", "set"),
    ("delete", "from"),
    ("create", "table"),
    ("create", "index"),
    ("begin", "immediate"),
    ("on", "conflict"),
];

/// The rules themselves spell out what they forbid.
const OWN_SOURCE: &str = "crates/xtask/src/tidy/";

/// Rule `names`.
pub(super) fn names(tree: &Tree) -> Vec<Finding> {
    let remedy = "name it after the concept that it holds";
    let mut findings = Vec::new();
    for file in tree.files().filter(|file| file.path.starts_with("crates/")) {
        let rust = file.path.strip_suffix(".rs");
        let dirs = file.path.rsplit_once('/').map_or("", |(dirs, _)| dirs);
        for part in rust.unwrap_or(dirs).split('/').filter(|part| VAGUE.contains(part)) {
            let what = format!("`{part}` in the path says nothing");
            findings.push(file.finding("names", 0, what, remedy));
        }
    }
    for file in tree.rust() {
        for at in words(&file.scan.code, "mod") {
            let name = crate::scan::ident(file.scan.code[at + 3..].trim_start()).unwrap_or("");
            if VAGUE.contains(&name) {
                let what = format!("module `{name}` says nothing");
                findings.push(file.finding("names", at, what, remedy));
            }
        }
    }
    findings
}

/// Rule `unfinished`.
pub(super) fn unfinished(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in others(tree) {
        findings.extend(prose(file).flat_map(|(start, text)| undone(file, start, text)));
        for stub in STUBS {
            findings.extend(file.scan.code.match_indices(stub).map(|(at, _)| {
                let what = format!("`{stub}` in code");
                file.finding("unfinished", at, what, "write it, or leave the feature out")
            }));
        }
    }
    findings
}

/// The parts of a file that people write for people: comments of code, all of a document.
fn prose(file: &File) -> impl Iterator<Item = (usize, &str)> {
    let whole = file.scan.code.is_empty().then_some((0, file.text.as_str()));
    whole.into_iter().chain(file.scan.comments.iter().map(|c| (c.at, c.text.as_str())))
}

fn undone(file: &File, start: usize, text: &str) -> Vec<Finding> {
    let remedy = "do it, or name the issue on the same line (`#12`)";
    let found = UNDONE.iter().flat_map(|word| words(text, word).map(move |at| (*word, at)));
    found
        .filter(|(_, at)| !names_issue(line_at(text, *at)))
        .map(|(word, at)| {
            file.finding("unfinished", start + at, format!("{word} without an issue"), remedy)
        })
        .collect()
}

/// Whether a line has `#` and a digit.
fn names_issue(line: &str) -> bool {
    line.split('#').skip(1).any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// Rule `machine-paths`.
pub(super) fn machine_paths(tree: &Tree) -> Vec<Finding> {
    let remedy = "use a path relative to the project, or a temporary directory";
    let mut findings = Vec::new();
    for file in others(tree) {
        for path in MACHINE_PATHS {
            let hits = file.text.match_indices(path).filter(|(at, _)| is_absolute(&file.text, *at));
            findings.extend(hits.map(|(at, _)| {
                let what = format!("`{path}` exists on one machine only");
                file.finding("machine-paths", at, what, remedy)
            }));
        }
    }
    findings
}

/// Whether the slash at `at` starts a path: in `docs/home/x` it does not.
fn is_absolute(text: &str, at: usize) -> bool {
    let before = text[..at].chars().next_back();
    !before.is_some_and(|c| c.is_alphanumeric() || "_-.".contains(c))
}

/// Rule `brokers`.
pub(super) fn brokers(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in of_crates(tree, &["kernel", "domain", "engine"]) {
        let text = file.text.to_ascii_lowercase();
        for word in BROKERS {
            findings.extend(text.match_indices(word).map(|(at, _)| {
                let remedy = "say what it does (the outside world, a cache); adapters have names";
                file.finding("brokers", at, format!("`{word}` below the adapters"), remedy)
            }));
        }
    }
    findings
}

/// Rule `sql`.
pub(super) fn sql(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in of_crates(tree, &["domain", "engine"]) {
        for literal in file.scan.strings.iter().filter(|literal| is_sql(&literal.text)) {
            let remedy = "describe rows and tables through the port; SQL lives in store and audit";
            findings.push(file.finding("sql", literal.at, "SQL in a literal", remedy));
        }
    }
    findings
}

fn is_sql(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let mut tokens = text.split(|c: char| !c.is_alphanumeric() && c != '_');
    let Some(first) = tokens.find(|token| !token.is_empty()) else { return false };
    let rest: Vec<&str> = tokens.collect();
    first == "pragma" || SQL.iter().any(|(verb, object)| first == *verb && rest.contains(object))
}

fn of_crates<'a>(tree: &'a Tree, crates: &'a [&str]) -> impl Iterator<Item = &'a File> {
    tree.files().filter(|file| {
        file.crate_name().is_some_and(|name| crates.contains(&name)) && file.name() != "clippy.toml"
    })
}

fn others(tree: &Tree) -> impl Iterator<Item = &File> {
    tree.files().filter(|file| !file.path.starts_with(OWN_SOURCE))
}

fn line_at(text: &str, at: usize) -> &str {
    let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let end = text[at..].find('\n').map_or(text.len(), |len| at + len);
    &text[start..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    type Check = fn(&Tree) -> Vec<Finding>;

    fn count(check: Check, path: &str, text: &str) -> usize {
        check(&Tree::of(&[(path, text)])).len()
    }

    #[test]
    fn vague_names_are_found() {
        assert_eq!(count(names, "crates/engine/src/utils.rs", ""), 1);
        assert_eq!(count(names, "crates/engine/src/common/clock.rs", ""), 1);
        assert_eq!(count(names, "crates/core/Cargo.toml", ""), 1);
        assert_eq!(count(names, "crates/engine/src/a.rs", "pub mod helpers { }"), 1);
        assert_eq!(count(names, "crates/engine/src/cores.rs", "mod corely; // mod core"), 0);
    }

    #[test]
    fn unfinished_work_is_found() {
        assert_eq!(count(unfinished, "a.md", "TODO: write\n"), 1);
        assert_eq!(count(unfinished, "a.md", "TODO(#12): write\nTODOS\n"), 0);
        assert_eq!(count(unfinished, "a.rs", "fn a() { todo!() } #[ignore] fn b() {}"), 2);
        assert_eq!(count(unfinished, "a.rs", "let a = \"todo! XXX\";\n/* a\n FIXME */"), 1);
        assert_eq!(count(unfinished, "a.rs", "// FIXME #7: slow\n"), 0);
    }

    #[test]
    fn machine_paths_are_found() {
        assert_eq!(count(machine_paths, "run", "cd /home/me/shop\n"), 1);
        assert_eq!(count(machine_paths, "a.md", "see docs/home/plan.md and ~/home\n"), 0);
    }

    #[test]
    fn brokers_below_the_adapters_are_found() {
        assert_eq!(count(brokers, "crates/engine/src/a.rs", "// like Kafka\n"), 1);
        assert_eq!(count(brokers, "crates/services/src/a.rs", "// like Kafka\n"), 0);
    }

    #[test]
    fn sql_in_pure_code_is_found() {
        let path = "crates/domain/src/order/model.rs";
        assert_eq!(count(sql, path, "const A: &str = \"SELECT id\\n FROM orders\";"), 1);
        assert_eq!(count(sql, path, "const A: &str = \"select the best from these\";"), 1);
        assert_eq!(count(sql, path, "const A: &str = \"cannot update a frozen set\";"), 0);
        assert_eq!(count(sql, "crates/store/src/a.rs", "const A: &str = \"pragma x\";"), 0);
    }
}
