//! Rules about promises: what the documents guarantee, a test pins; what a test pins, a
//! mutation can break.
//!
//! Convention. A guarantee ends with the tests that pin it: ``(test: `name`)`` or
//! ``(tests: `a`, `engine::b`)``; a name may start with the crate that the test lives in. One
//! that tidy itself checks ends with ``(tidy: `rule`)``. What must have such an ending:
//!
//! - a paragraph or list item that starts with *Guarantee*, *Invariant* or a promise (`P3`),
//! - each list item and table row in a section whose heading says *promises* or *guarantees*.

use std::collections::{BTreeMap, BTreeSet};

use super::is_rule;
use crate::{
    mutations::{DIR, Mutation, locate, parse},
    scan::{ident, words},
    tree::{File, Finding, Tree},
};

const REQUIRED: &[&str] = &["README.md", "ARCHITECTURE.md", "API.md", "CHANGELOG.md", "LICENSE"];
const GUARANTEEING: &[&str] = &["README.md", "ARCHITECTURE.md", "API.md", "OPERATIONS.md"];
const PROMISING: &[&str] = &["README.md", "ARCHITECTURE.md"];

/// The promises.
const PROMISES: &[&str] = &["P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8", "P9"];

/// Names of test functions, each with the crates that have one of that name.
type Tests<'a> = BTreeMap<String, BTreeSet<&'a str>>;

/// Rule `documents`.
pub(super) fn documents(tree: &Tree) -> Vec<Finding> {
    let missing = REQUIRED.iter().filter(|path| tree.get(path).is_none());
    missing.map(|path| nowhere("documents", path, "the file is missing", "write it")).collect()
}

/// Rule `guarantees`.
pub(super) fn guarantees(tree: &Tree) -> Vec<Finding> {
    let tests = tests(tree);
    let mut findings = Vec::new();
    for file in GUARANTEEING.iter().filter_map(|path| tree.get(path)) {
        for item in items(&file.text) {
            let named = item.references();
            if named.is_empty() && item.is_guarantee() {
                let what = format!("a guarantee without a test: {}", item.start());
                let remedy = "end it with (test: `name`) or (tidy: `rule`)";
                findings.push(file.finding("guarantees", item.at, what, remedy));
            }
            findings.extend(named.iter().filter(|name| !name.exists(&tests)).map(|name| {
                let what = format!("no {} is called `{}`", name.kind, name.name);
                file.finding("guarantees", item.at, what, "write it, or correct the name")
            }));
        }
    }
    findings
}

/// Rule `promises`.
pub(super) fn pinned(tree: &Tree) -> Vec<Finding> {
    let documents: Vec<&File> = PROMISING.iter().filter_map(|path| tree.get(path)).collect();
    let items: Vec<Item<'_>> = documents.iter().flat_map(|file| items(&file.text)).collect();
    let mutated: BTreeSet<String> =
        mutation_files(tree).filter_map(|(_, m)| m.ok()).map(|m| m.promise).collect();
    let mut findings = Vec::new();
    for promise in PROMISES {
        let pins = |item: &Item<'_>| {
            words(&item.text, promise).next().is_some()
                && item.references().iter().any(|name| name.kind == "test")
        };
        if !items.iter().any(pins) {
            let what = format!("{promise} is pinned by no test here or in ARCHITECTURE.md");
            let remedy = "name the promise and end the line with (test: `name`)";
            findings.push(nowhere("promises", "README.md", what, remedy));
        }
        if !mutated.contains(*promise) {
            let what = format!("no mutation breaks {promise}");
            let remedy = "add a file PROMISE-name.mutation; mutations/README.md says how";
            findings.push(nowhere("promises", DIR, what, remedy));
        }
    }
    findings
}

/// Rule `mutations`.
pub(super) fn mutations(tree: &Tree) -> Vec<Finding> {
    let tests = tests(tree);
    let mut findings = Vec::new();
    for (file, mutation) in mutation_files(tree) {
        let problems = match mutation {
            Ok(mutation) => problems(tree, &tests, &mutation),
            Err(error) => vec![error.to_string()],
        };
        findings.extend(
            problems.into_iter().map(|what| {
                file.finding("mutations", 0, what, "adapt it to the code as it is now")
            }),
        );
    }
    findings
}

fn problems(tree: &Tree, tests: &Tests<'_>, mutation: &Mutation) -> Vec<String> {
    let mut problems = Vec::new();
    for edit in &mutation.edits {
        match tree.get(&edit.file) {
            None => problems.push(format!("{} does not exist", edit.file)),
            Some(file) => {
                problems.extend(
                    locate(&file.text, &edit.find).err().map(|e| format!("{}: {e}", edit.file)),
                );
            }
        }
    }
    let name = mutation.test_name();
    if !(Reference { kind: "test", name: name.to_owned() }).exists(tests) {
        problems.push(format!("no test is called `{name}`"));
    }
    if !PROMISES.contains(&mutation.promise.as_str()) {
        problems.push(format!("`{}` is not a promise", mutation.promise));
    }
    problems
}

fn mutation_files(tree: &Tree) -> impl Iterator<Item = (&File, anyhow::Result<Mutation>)> {
    tree.files()
        .filter(|file| file.path.starts_with(DIR) && file.path.ends_with(".mutation"))
        .map(|file| (file, parse(file.name(), &file.text)))
}

fn tests(tree: &Tree) -> Tests<'_> {
    let mut tests = Tests::new();
    for file in tree.rust() {
        for name in file.scan.tests() {
            tests.entry(name).or_default().insert(file.crate_name().unwrap_or(""));
        }
    }
    tests
}

fn nowhere(rule: &'static str, path: &str, what: impl Into<String>, remedy: &str) -> Finding {
    Finding { rule, path: path.to_owned(), line: 1, what: what.into(), remedy: remedy.to_owned() }
}

/// What a guarantee points at.
#[derive(Debug, PartialEq, Eq)]
struct Reference {
    kind: &'static str,
    name: String,
}

impl Reference {
    fn exists(&self, tests: &Tests<'_>) -> bool {
        if self.kind == "tidy rule" {
            return is_rule(&self.name);
        }
        let path: Vec<&str> = self.name.split("::").collect();
        let Some(crates) = path.last().and_then(|name| tests.get(*name)) else { return false };
        path.len() == 1 || crates.contains(path[0].trim_start_matches("jangbu_"))
    }
}

/// A paragraph, list item or table row of a Markdown file.
#[derive(Debug)]
struct Item<'a> {
    at: usize,
    text: String,
    /// A list item or table row below a heading that speaks of promises or guarantees.
    listed: bool,
    heading: &'a str,
}

impl Item<'_> {
    /// The first word, without list markers, table bars and emphasis.
    fn label(&self) -> &str {
        ident(self.text.trim_start_matches(|c: char| !c.is_alphabetic())).unwrap_or("")
    }

    fn is_guarantee(&self) -> bool {
        let label = self.label();
        let heading = self.heading.to_ascii_lowercase();
        ["Guarantee", "Invariant"].contains(&label)
            || PROMISES.contains(&label)
            || self.listed && (heading.contains("promise") || heading.contains("guarantee"))
    }

    fn start(&self) -> String {
        self.text.trim().chars().take(60).collect()
    }

    fn references(&self) -> Vec<Reference> {
        let mut found = Vec::new();
        for (mark, kind) in [("(test:", "test"), ("(tests:", "test"), ("(tidy:", "tidy rule")] {
            for part in self.text.split(mark).skip(1) {
                let inside = part.split(')').next().unwrap_or("");
                let names = inside.split('`').skip(1).step_by(2);
                found.extend(names.map(|name| Reference { kind, name: name.to_owned() }));
            }
        }
        found
    }
}

/// Splits Markdown into items; code blocks, headings and the heads of tables are left out.
fn items(markdown: &str) -> Vec<Item<'_>> {
    let (mut items, mut at): (Vec<Item<'_>>, usize) = (Vec::new(), 0);
    let (mut heading, mut fenced, mut open) = ("", false, false);
    for line in markdown.split_inclusive('\n') {
        let text = line.trim();
        let (fence, listed) = (text.starts_with("```"), is_listed(text));
        fenced ^= fence;
        if fence || fenced || text.is_empty() {
            open = false;
        } else if text.starts_with('#') {
            (heading, open) = (text, false);
        } else if is_table_rule(text) {
            items.pop();
            open = false;
        } else if open && !listed {
            items.last_mut().expect("an item is open").text.push_str(line);
        } else {
            items.push(Item { at, text: line.to_owned(), listed, heading });
            open = true;
        }
        at += line.len();
    }
    items
}

fn is_listed(line: &str) -> bool {
    let digits = line.trim_start_matches(|c: char| c.is_ascii_digit());
    ["- ", "* ", "+ ", "|"].iter().any(|mark| line.starts_with(mark))
        || (digits.len() < line.len() && digits.starts_with(". "))
}

fn is_table_rule(line: &str) -> bool {
    line.starts_with('|') && line.contains('-') && line.chars().all(|c| "|-: ".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TESTS: &str = "#[test]\nfn one_effect() {}\nfn helper() {}\n";

    fn check(readme: &str) -> Vec<String> {
        let tree = Tree::of(&[("README.md", readme), ("crates/engine/tests/it/main.rs", TESTS)]);
        guarantees(&tree).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn a_missing_document_is_found() {
        let found = documents(&Tree::of(&[("README.md", ""), ("LICENSE", ""), ("API.md", "")]));
        let paths: Vec<_> = found.iter().map(|finding| finding.path.as_str()).collect();
        assert_eq!(paths, ["ARCHITECTURE.md", "CHANGELOG.md"]);
    }

    #[test]
    fn a_guarantee_that_names_a_test_or_a_rule_is_fine() {
        for text in [
            "- **P2** The same request twice\n  has one effect (test: `one_effect`).\n",
            "*Invariant: domains do not know each other* (tidy: `domain-imports`).\n",
            "## Promises\n| promise | test |\n|---|---|\n| P2 | (tests: `engine::one_effect`) |\n",
            "Prose about P2.\n\n```\nP2 in code\n```\n## Guarantees\nIn a word: see below.\n",
        ] {
            assert_eq!(check(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn a_guarantee_without_a_test_is_found() {
        for text in [
            "P2: one effect.\n",
            "> **Guarantee:** one effect.\n",
            "## What we guarantee\n1. One effect.\n",
            "## Promises\n| promise | test |\n|---|---|\n| one effect | - |\n",
            "- Invariant: one effect.\n- (test: `one_effect`)\n",
        ] {
            assert_eq!(check(text).len(), 1, "{text}");
        }
    }

    #[test]
    fn a_test_that_does_not_exist_is_found() {
        assert_eq!(check("Fine (test: `helper`).\n"), ["no test is called `helper`"]);
        assert_eq!(check("Fine (test: `store::one_effect`).\n").len(), 1);
        assert_eq!(check("Fine (tidy: `no-such-rule`).\n").len(), 1);
    }

    #[test]
    fn a_promise_without_a_test_or_a_mutation_is_found() {
        let readme = "- P1 a (test: `one_effect`)\n- P2 b\n- P9 (tidy: `sizes`)\n";
        let mutation =
            "promise: P1\ntest: cargo test one_effect\nfile: a.rs\nfind:\na\nreplace:\nb\n";
        let path = format!("{DIR}/P1-a.mutation");
        let found = pinned(&Tree::of(&[("README.md", readme), (path.as_str(), mutation)]));
        let of = |promise: &str| {
            found.iter().filter(|finding| words(&finding.what, promise).next().is_some()).count()
        };
        assert_eq!((of("P1"), of("P2"), of("P7"), of("P9")), (0, 2, 2, 2));
    }

    #[test]
    fn a_mutation_that_no_longer_fits_is_found() {
        let check = |mutation: &str| {
            let path = format!("{DIR}/P1-a.mutation");
            mutations(&Tree::of(&[
                (path.as_str(), mutation),
                ("a.rs", "#[test] fn one_effect() { let a = 1; }"),
            ]))
            .len()
        };
        let sample =
            "promise: P1\ntest: cargo test one_effect\nfile: a.rs\nfind:\nlet a = 1;\nreplace:\n\n";
        assert_eq!(check(sample), 0);
        assert_eq!(check(&sample.replace("let a", "let b")), 1);
        assert_eq!(check(&sample.replace("a.rs", "b.rs")), 1);
        assert_eq!(check(&sample.replace("test one_effect", "test gone")), 1);
        assert_eq!(check(&sample.replace("P1", "P0")), 1);
        assert_eq!(check("nonsense"), 1);
    }
}
