//! Rules about the domains: they do not know each other, and each looks like its neighbours.
//!
//! A domain is a folder of `crates/domain/src`, or a single file there when it is small.

use crate::{
    scan::{ident, words},
    tree::{File, Finding, Tree},
};

const SRC: &str = "crates/domain/src";

/// Who may name what of another domain: the file or folder below `crates/domain/src`, the other
/// domain (`*` for any), the item in it (`*` for any), and the reason. The tests of a file that
/// may name something of a domain may name all of it.
const MAY_NAME: &[(&str, &str, &str, &str)] = &[
    ("order/", "*", "command", "the saga sends commands to its participants, as data"),
    ("ledger/rules.rs", "payment", "command", "postings are rules over payment's events"),
    ("ledger/rules.rs", "payment", "Event", "postings are rules over payment's events"),
    ("ledger/points.rs", "point", "command", "postings are rules over the events of points"),
];

/// Files that every domain folder has.
const REGULAR: &[&str] = &["mod.rs", "model.rs", "command.rs", "decide.rs", "tests.rs"];

/// Modules of `crates/domain/src` that are not domains, with the reason.
const NOT_DOMAINS: &[(&str, &str)] = &[("lib", "the root of the crate")];

/// The matrix: a domain `x` has `x` plus the ending in each of these directories. A layer whose
/// directory holds no file of any domain yet is not asked for.
const LAYERS: &[(&str, &str)] = &[
    ("crates/services/src", ".rs"),
    ("crates/api/src", ".rs"),
    ("crates/audit/src", ".rs"),
    ("crates/audit/src/sql", ".sql"),
];

/// Holes in the matrix: domain, layer, reason.
const HOLES: &[(&str, &str, &str)] = &[];

/// Rule `domain-imports`.
pub(super) fn imports(tree: &Tree) -> Vec<Finding> {
    let domains = domains(tree);
    let mut findings = Vec::new();
    for file in tree.rust() {
        let Some(place) = file.path.strip_prefix("crates/domain/src/") else { continue };
        let Some(own) = domain_of(place).filter(|own| domains.contains(own)) else { continue };
        for (at, other, item) in references(tree, file, own) {
            let item = (!is_test_code(file, at)).then_some(item);
            if other != own && domains.contains(&other) && !may_name(place, other, item) {
                let item = item.unwrap_or("*");
                let what = format!("`{own}` names `{other}::{item}`");
                let remedy = "pass the value in the command, or add the exception and its reason \
                              to MAY_NAME in tidy/domains.rs";
                findings.push(file.finding("domain-imports", at, what, remedy));
            }
        }
    }
    findings
}

/// Whether the table has a row for this; without an item, for anything of that domain.
fn may_name(place: &str, other: &str, item: Option<&str>) -> bool {
    MAY_NAME.iter().any(|(who, target, what, _)| {
        place.starts_with(who)
            && [other, "*"].contains(target)
            && item.is_none_or(|item| [item, "*"].contains(what))
    })
}

fn is_test_code(file: &File, at: usize) -> bool {
    file.path.contains("/tests")
        || file.scan.code.find("#[cfg(test)]").is_some_and(|start| start < at)
}

/// Paths from the root of the crate in a file: where, first segment, second segment.
fn references<'a>(tree: &Tree, file: &'a File, own: &str) -> Vec<(usize, &'a str, &'a str)> {
    let code = &file.scan.code;
    let mut found = Vec::new();
    for at in words(code, "crate") {
        let rest = code[at + "crate".len()..].trim_start();
        if let Some(path) = rest.strip_prefix("::") {
            found.extend(heads(path).into_iter().map(|(first, second)| (at, first, second)));
        }
    }
    for at in words(code, "super").filter(|&at| !code[..at].ends_with("super::")) {
        let path = code[at..].trim_start_matches("super::");
        // `super::rules` inside a domain is its own file, whatever else has that name.
        let outside =
            |name: &str| tree.get(&format!("{SRC}/{own}/{name}.rs")).is_none() && name != own;
        let paths = heads(path).into_iter().filter(|(first, _)| outside(first));
        found.extend(paths.map(|(first, second)| (at, first, second)));
    }
    found
}

/// The first two segments of every path that `a::{b, c::d}` stands for.
fn heads(path: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    for branch in branches(path) {
        let Some(first) = ident(branch) else { continue };
        match branch[first.len()..].trim_start().strip_prefix("::") {
            Some(rest) => found.extend(
                branches(rest).into_iter().map(|branch| (first, ident(branch).unwrap_or("*"))),
            ),
            None => found.push((first, "*")),
        }
    }
    found
}

/// The parts of a `{…}` group, or the one path that is not a group.
fn branches(path: &str) -> Vec<&str> {
    let Some(group) = path.trim_start().strip_prefix('{') else { return vec![path.trim_start()] };
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_usize, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' if depth == 0 => {
                parts.push(group[start..at].trim());
                start = at + 1;
            }
            '}' => {
                parts.push(group[start..at].trim());
                break;
            }
            _ => {}
        }
    }
    parts
}

/// Rule `domain-files`.
pub(super) fn files(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for domain in domains(tree) {
        let dir = format!("{SRC}/{domain}");
        // A small domain is one file and has nothing to list.
        let Some(index) = tree.get(&format!("{dir}/mod.rs")) else { continue };
        let names = tree.names_in(&dir);
        for name in REGULAR.iter().filter(|name| !names.contains(name)) {
            let what = format!("`{domain}` has no {name}");
            let remedy = "a domain has mod, model, command, decide and tests, or is one file";
            findings.push(index.finding("domain-files", 0, what, remedy));
        }
        for name in names.iter().filter(|name| !REGULAR.contains(name) && **name != "tests") {
            if !lists(index, name) {
                let what = format!("`{domain}` has {name}, which its module doc does not list");
                let remedy = "name the file and its concept in the `//!` text of mod.rs";
                findings.push(index.finding("domain-files", 0, what, remedy));
            }
        }
    }
    findings
}

fn lists(index: &File, name: &str) -> bool {
    let stem = name.trim_end_matches(".rs");
    let mut docs = index.scan.comments.iter().filter(|comment| comment.text.starts_with("//!"));
    docs.any(|doc| [format!("`{name}`"), format!("`{stem}`")].iter().any(|s| doc.text.contains(s)))
}

/// Rule `domain-matrix`.
pub(super) fn matrix(tree: &Tree) -> Vec<Finding> {
    let domains = domains(tree);
    let mut findings = Vec::new();
    for (dir, ending) in LAYERS {
        let names = tree.names_in(dir);
        let has = |domain: &str| {
            names.contains(&domain) || names.contains(&format!("{domain}{ending}").as_str())
        };
        if !domains.iter().any(|domain| has(domain)) {
            continue;
        }
        let hole = |domain: &str| HOLES.iter().any(|(d, layer, _)| *d == domain && layer == dir);
        for domain in domains.iter().filter(|domain| !has(domain) && !hole(domain)) {
            findings.push(Finding {
                rule: "domain-matrix",
                path: format!("{dir}/{domain}{ending}"),
                line: 1,
                what: format!("`{domain}` has no module in this layer"),
                remedy: "write it, or add the hole and its reason to HOLES in tidy/domains.rs"
                    .to_owned(),
            });
        }
    }
    findings
}

/// The domains, in order.
fn domains(tree: &Tree) -> Vec<&str> {
    let mut names: Vec<&str> =
        tree.names_in(SRC).into_iter().map(|name| name.trim_end_matches(".rs")).collect();
    names.retain(|name| NOT_DOMAINS.iter().all(|(other, _)| other != name));
    names.dedup();
    names
}

fn domain_of(place: &str) -> Option<&str> {
    place.split('/').next().map(|name| name.trim_end_matches(".rs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Findings of `imports` for one file beside the folders `order`, `payment` and `ledger`.
    fn check_imports(path: &str, text: &str) -> Vec<Finding> {
        imports(&Tree::of(&[
            ("crates/domain/src/lib.rs", "pub mod order; pub mod payment;"),
            ("crates/domain/src/order/mod.rs", ""),
            ("crates/domain/src/payment/mod.rs", ""),
            ("crates/domain/src/ledger/mod.rs", ""),
            (path, text),
        ]))
    }

    #[test]
    fn a_domain_that_names_another_is_found() {
        let path = "crates/domain/src/payment/decide.rs";
        for text in [
            "use crate::order::Order;",
            "use crate::{payment::model::A, order::model};",
            "use crate::{\n    payment,\n    order,\n};",
            "fn f(x: crate::order::model::Order) {}",
            "use super::super::order::Order;",
            "mod tests { use super::super::super::{order::Order, payment}; }",
            "use crate :: order;",
        ] {
            assert_eq!(check_imports(path, text).len(), 1, "{text}");
        }
        assert_eq!(check_imports("crates/domain/src/payment.rs", "use super::order::X;").len(), 1);
    }

    #[test]
    fn its_own_modules_and_prose_are_not_imports() {
        let path = "crates/domain/src/payment/decide.rs";
        for text in [
            "use crate::payment::model::{Payment, order_of};",
            "//! unlike [`crate::order`]\n",
            "const A: &str = \"crate::order\";",
            "use jangbu_kernel::order::X;",
            "let order = super::decide(order);",
        ] {
            assert_eq!(check_imports(path, text), [], "{text}");
        }
    }

    #[test]
    fn the_exceptions_reach_as_far_as_the_table_says() {
        let order = "crates/domain/src/order/saga.rs";
        assert_eq!(check_imports(order, "use crate::payment::command::{Command, Intend};"), []);
        assert_eq!(check_imports(order, "use crate::payment::{command, model};").len(), 1);
        let rules = "crates/domain/src/ledger/rules.rs";
        assert_eq!(check_imports(rules, "use crate::payment::Event;"), []);
        assert_eq!(check_imports(rules, "use crate::payment::model::Payment;").len(), 1);
        assert_eq!(check_imports(rules, "#[cfg(test)] mod tests { use crate::payment; }"), []);
        assert_eq!(check_imports(rules, "#[cfg(test)] mod tests { use crate::order; }").len(), 1);
        let decide = "crates/domain/src/ledger/decide.rs";
        assert_eq!(check_imports(decide, "use crate::payment::Event;").len(), 1);
    }

    #[test]
    fn a_file_that_mod_rs_does_not_list_is_found() {
        let sample = |docs: &str| {
            let index = format!("{docs}\nmod rules;\n");
            files(&Tree::of(&[
                ("crates/domain/src/ledger/command.rs", ""),
                ("crates/domain/src/ledger/decide.rs", ""),
                ("crates/domain/src/ledger/mod.rs", &index),
                ("crates/domain/src/ledger/model.rs", ""),
                ("crates/domain/src/ledger/rules.rs", ""),
                ("crates/domain/src/ledger/tests.rs", ""),
                ("crates/domain/src/ledger/tests/sweep.rs", ""),
            ]))
        };
        assert_eq!(sample("//! - `rules.rs`: events to postings"), []);
        assert_eq!(sample("//! see [`rules`]"), []);
        assert_eq!(sample("//! rules").len(), 1);
    }

    #[test]
    fn a_missing_regular_file_is_found() {
        let found = files(&Tree::of(&[("crates/domain/src/order/mod.rs", "")]));
        assert_eq!(found.len(), REGULAR.len() - 1);
        assert_eq!(files(&Tree::of(&[("crates/domain/src/order.rs", "")])), []);
    }

    #[test]
    fn a_hole_in_the_matrix_is_found() {
        let found = matrix(&Tree::of(&[
            ("crates/domain/src/lib.rs", ""),
            ("crates/domain/src/order/mod.rs", ""),
            ("crates/domain/src/payment.rs", ""),
            ("crates/services/src/order/mod.rs", ""),
            ("crates/api/src/order.rs", ""),
            ("crates/api/src/payment.rs", ""),
        ]));
        let paths: Vec<_> = found.iter().map(|finding| finding.path.as_str()).collect();
        assert_eq!(paths, ["crates/services/src/payment.rs"]);
    }
}
