//! The rules of the house that no compiler checks.
//!
//! Each rule is a pure function from the files of the workspace to findings, and has tests with
//! a small sample that breaks it. Add a rule by adding a row to [`RULES`]; the name in the row
//! is the name that findings print and that a document may cite as ``(tidy: `name`)``.

mod codes;
mod crates;
mod domains;
mod promises;
mod sizes;
mod wording;

use anyhow::Result;

use crate::tree::{Finding, Tree, root};

/// One rule: a name to cite, a sentence that says what it protects, and the check.
pub(crate) struct Rule {
    name: &'static str,
    why: &'static str,
    check: fn(&Tree) -> Vec<Finding>,
}

const RULES: &[Rule] = &[
    Rule {
        name: "arrows",
        why: "crates depend on each other only along the arrows of the map; audit on none",
        check: crates::arrows,
    },
    Rule {
        name: "no-async",
        why: "kernel, domain, engine and services do not depend on tokio; a store may, behind its port",
        check: crates::no_async,
    },
    Rule {
        name: "lints",
        why: "every crate inherits the workspace lints, and every clippy.toml the common bans",
        check: crates::lints,
    },
    Rule {
        name: "clocks",
        why: "kernel, domain, engine and services read no clock, but for engine/src/clock.rs",
        check: crates::clocks,
    },
    Rule {
        name: "one-test-binary",
        why: "integration tests of a crate are one binary, tests/it/main.rs, so that they link once",
        check: crates::one_test_binary,
    },
    Rule {
        name: "domain-imports",
        why: "a domain names no other domain, except where the table of exceptions says so",
        check: domains::imports,
    },
    Rule {
        name: "domain-files",
        why: "a domain has the same files as its neighbours, and mod.rs lists every other one",
        check: domains::files,
    },
    Rule {
        name: "domain-matrix",
        why: "every domain has its module in each layer, under the same name",
        check: domains::matrix,
    },
    Rule {
        name: "sizes",
        why: "files stay under 400 lines, or under 800 with a reason in long_files.txt",
        check: sizes::files,
    },
    Rule {
        name: "names",
        why: "nothing is called core, types, common, utils, util, helpers or misc",
        check: wording::names,
    },
    Rule {
        name: "unfinished",
        why: "no to-do without an issue number, no stub, no skipped test",
        check: wording::unfinished,
    },
    Rule {
        name: "machine-paths",
        why: "no path of somebody's machine is committed",
        check: wording::machine_paths,
    },
    Rule {
        name: "brokers",
        why: "kernel, domain and engine know of no message broker and no cache server",
        check: wording::brokers,
    },
    Rule { name: "sql", why: "domain and engine contain no SQL", check: wording::sql },
    Rule {
        name: "codes",
        why: "every error code has a row in API.md, and every row a code",
        check: codes::documented,
    },
    Rule {
        name: "documents",
        why: "the documents that a user looks for exist",
        check: promises::documents,
    },
    Rule {
        name: "guarantees",
        why: "every guarantee in the documents names a test that exists",
        check: promises::guarantees,
    },
    Rule {
        name: "promises",
        why: "each promise P1 to P9 is pinned by a test and has a mutation that breaks it",
        check: promises::pinned,
    },
    Rule {
        name: "mutations",
        why: "every mutation can still be read, applied, and run against a test that exists",
        check: promises::mutations,
    },
];

/// Checks the workspace and prints the findings; true when there are none.
pub(crate) fn run() -> Result<bool> {
    let tree = Tree::read(&root()?)?;
    let findings: Vec<Finding> = RULES.iter().flat_map(|rule| (rule.check)(&tree)).collect();
    for finding in &findings {
        println!("{finding}");
    }
    let files = tree.files().count();
    println!("tidy: {} rules, {files} files, {} findings", RULES.len(), findings.len());
    Ok(findings.is_empty())
}

/// Prints the rules; always true.
pub(crate) fn list() -> bool {
    for Rule { name, why, .. } in RULES {
        println!("{name:<16} {why}");
    }
    true
}

/// Whether a rule has this name.
fn is_rule(name: &str) -> bool {
    RULES.iter().any(|rule| rule.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn rules_have_distinct_names() {
        let names: BTreeSet<_> = RULES.iter().map(|rule| rule.name).collect();
        assert_eq!(names.len(), RULES.len());
    }
}
