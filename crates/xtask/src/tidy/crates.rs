//! Rules about crates: who may depend on whom, and that the lints hold everywhere.

use crate::{
    scan::words,
    tree::{File, Finding, Tree},
};

/// The map. A crate may depend on the crates in its row; development dependencies are free,
/// except for `audit`, which must not even be tested with the code that it judges, but may be tested
/// on the servers that `cluster` starts.
const ARROWS: &[(&str, &[&str])] = &[
    ("kernel", &[]),
    ("domain", &["kernel"]),
    ("engine", &["kernel"]),
    ("store", &["engine", "kernel"]),
    ("psp", &[]),
    ("services", &["domain", "engine", "store", "psp", "kernel"]),
    ("adapters", &["services", "kernel", "engine"]),
    ("api", &["services", "kernel", "engine", "domain"]),
    ("adapters", &["services", "engine", "kernel"]),
    ("audit", &[]),
    ("bench", &["audit"]),
    ("cluster", &[]),
    ("sim", &["domain", "engine", "kernel", "services", "store"]),
    ("otlp", &["engine", "kernel"]),
    (
        "app",
        &[
            "adapters", "api", "audit", "bench", "cluster", "domain", "engine", "kernel", "otlp",
            "psp", "services", "store",
        ],
    ),
    ("xtask", &[]),
];

/// Crates that run on owner threads, apart from tokio.
const SYNCHRONOUS: &[&str] = &["kernel", "domain", "engine", "services"];

/// Crates in which time is a parameter, and the one file of them that reads the real one.
const TIMELESS: &[&str] = &["kernel", "domain", "engine", "services"];
const SYSTEM_CLOCK: &str = "crates/engine/src/clock.rs";

/// Settings and bans that every clippy.toml must repeat are those of the workspace file.
const CLIPPY: &str = "clippy.toml";

/// One line of a dependency table.
#[derive(Debug, PartialEq, Eq)]
struct Dependency<'a> {
    name: &'a str,
    dev: bool,
    at: usize,
}

/// Rule `arrows`.
pub(super) fn arrows(tree: &Tree) -> Vec<Finding> {
    manifests(tree).flat_map(|(krate, file)| arrows_of(krate, file)).collect()
}

fn arrows_of(krate: &str, file: &File) -> Vec<Finding> {
    let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == krate) else {
        let what = format!("crate `{krate}` is not on the map");
        return vec![file.finding("arrows", 0, what, "add its row to ARROWS in tidy/crates.rs")];
    };
    let wrong = |dep: &Dependency<'_>| {
        let free = |target| dep.dev && (krate != "audit" || target == "cluster");
        workspace_crate(dep.name).is_some_and(|target| !free(target) && !allowed.contains(&target))
    };
    dependencies(&file.text)
        .into_iter()
        .filter(wrong)
        .map(|dep| {
            let what = format!("`{krate}` depends on `{}`, which no arrow allows", dep.name);
            let remedy = "move the code to the crate that may know both, or pass it in";
            file.finding("arrows", dep.at, what, remedy)
        })
        .collect()
}

/// Rule `no-async`.
pub(super) fn no_async(tree: &Tree) -> Vec<Finding> {
    let remedy = "the core is synchronous on owner threads; wait for it in api or app";
    let mut findings = Vec::new();
    for (krate, file) in manifests(tree).filter(|(krate, _)| SYNCHRONOUS.contains(krate)) {
        let deps = dependencies(&file.text);
        let tokio = deps.iter().filter(|dep| !dep.dev && dep.name.starts_with("tokio"));
        findings.extend(tokio.map(|dep| {
            file.finding("no-async", dep.at, format!("`{krate}` depends on {}", dep.name), remedy)
        }));
    }
    findings
}

/// Rule `lints`.
pub(super) fn lints(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (_, file) in manifests(tree) {
        if !file.text.contains("[lints]\nworkspace = true") {
            let remedy = "add `[lints]` with `workspace = true`";
            findings.push(file.finding("lints", 0, "no workspace lints", remedy));
        }
    }
    let common = tree.get(CLIPPY).map(|file| settings(&file.text)).unwrap_or_default();
    for file in tree.files().filter(|file| file.name() == CLIPPY) {
        findings.extend(missing_settings(file, &common));
    }
    findings.extend(function_limit(tree));
    findings
}

fn missing_settings(file: &File, common: &[&str]) -> Vec<Finding> {
    let own = settings(&file.text);
    let missing = common.iter().filter(|line| !own.contains(line));
    missing
        .map(|line| {
            let remedy = "clippy reads only the nearest clippy.toml: repeat the workspace's lines";
            file.finding("lints", 0, format!("the common line `{line}` is missing"), remedy)
        })
        .collect()
}

/// Clippy itself measures functions; here we only see that it was told to.
fn function_limit(tree: &Tree) -> Vec<Finding> {
    let wanted =
        [("Cargo.toml", "too_many_lines = \"deny\""), (CLIPPY, "too-many-lines-threshold = 70")];
    let lacks = wanted.iter().filter_map(|(path, line)| {
        let file = tree.get(path)?;
        (!file.text.lines().any(|text| text == *line))
            .then(|| file.finding("lints", 0, format!("`{line}` is missing"), "put it back"))
    });
    lacks.collect()
}

/// Rule `clocks`. Clippy finds the calls; this finds who silences it. Tests may, and the one
/// adapter that reads the clock of the system.
pub(super) fn clocks(tree: &Tree) -> Vec<Finding> {
    let remedy = "take the time from the envelope or the engine's clock; tests are exempt";
    let timeless = |file: &&File| {
        file.crate_name().is_some_and(|name| TIMELESS.contains(&name))
            && file.path.contains("/src/")
            && !file.path.contains("/tests")
            && file.path != SYSTEM_CLOCK
    };
    let mut findings = Vec::new();
    for file in tree.rust().filter(timeless) {
        let code = &file.scan.code;
        let tests = code.find("#[cfg(test)]").unwrap_or(code.len());
        findings.extend(
            words(&code[..tests], "disallowed_methods")
                .map(|at| file.finding("clocks", at, "a ban on clocks is silenced", remedy)),
        );
    }
    findings
}

/// Rule `one-test-binary`.
pub(super) fn one_test_binary(tree: &Tree) -> Vec<Finding> {
    let extra = tree.rust().filter(|file| {
        let mut parts = file.path.split('/').skip(2);
        file.crate_name().is_some()
            && parts.next() == Some("tests")
            && (parts.next() != Some("it") || parts.next().is_none())
    });
    extra
        .map(|file| {
            let remedy = "move it below tests/it/ and name it in tests/it/main.rs";
            file.finding("one-test-binary", 0, "a test binary of its own", remedy)
        })
        .collect()
}

fn manifests(tree: &Tree) -> impl Iterator<Item = (&str, &File)> {
    tree.files().filter_map(|file| {
        let krate = file.path.strip_prefix("crates/")?.strip_suffix("/Cargo.toml")?;
        (!krate.contains('/')).then_some((krate, file))
    })
}

/// The directory of a package of this workspace.
fn workspace_crate(package: &str) -> Option<&str> {
    match package {
        "jangbu" => Some("app"),
        "xtask" => Some("xtask"),
        other => other.strip_prefix("jangbu-"),
    }
}

/// Reads the dependency tables of a manifest: `[dependencies]`, `[dev-dependencies]`,
/// `[build-dependencies]`, the same below `[target.…]`, and `[dependencies.name]`.
fn dependencies(manifest: &str) -> Vec<Dependency<'_>> {
    let (mut found, mut table, mut at) = (Vec::new(), None, 0);
    for line in manifest.split_inclusive('\n') {
        let text = line.split('#').next().unwrap_or("").trim();
        if let Some(header) = text.strip_prefix('[') {
            let header = header.trim_end_matches(']');
            let (kind, name) = dependency_table(header);
            table = kind.filter(|_| name.is_none());
            if let (Some(dev), Some(name)) = (kind, name) {
                found.push(Dependency { name, dev, at });
            }
        } else if let (Some(dev), Some((key, value))) = (table, text.split_once('=')) {
            let key = key.trim().trim_end_matches(".workspace").trim_matches('"');
            found.push(Dependency { name: renamed(value).unwrap_or(key), dev, at });
        }
        at += line.len();
    }
    found
}

/// Whether a header opens a dependency table (and a development one), and the dependency that
/// it names itself.
fn dependency_table(header: &str) -> (Option<bool>, Option<&str>) {
    for (word, dev) in
        [("dev-dependencies", true), ("build-dependencies", false), ("dependencies", false)]
    {
        if header == word || header.ends_with(&format!(".{word}")) {
            return (Some(dev), None);
        }
        if let Some((before, name)) = header.split_once(&format!("{word}."))
            && (before.is_empty() || before.ends_with('.'))
        {
            return (Some(dev), Some(name.trim_matches('"')));
        }
    }
    (None, None)
}

/// The true name in `alias = { package = "name" }`.
fn renamed(value: &str) -> Option<&str> {
    let (_, rest) = value.split_once("package")?;
    rest.trim_start().strip_prefix('=')?.trim_start().strip_prefix('"')?.split('"').next()
}

fn settings(text: &str) -> Vec<&str> {
    let wanted = |line: &&str| !line.is_empty() && !line.starts_with('#');
    text.lines().map(str::trim).filter(wanted).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINTS: &str = "[lints]\nworkspace = true\n";

    #[test]
    fn every_shape_of_dependency_is_read() {
        let manifest = "[package]\nname = \"x\"\n[dependencies]\na = \"1\"\nb.workspace = true # c\n\
                        d = { package = \"e\", path = \"e\" }\n[dev-dependencies]\nf = \"1\"\n\
                        [dependencies.g]\nversion = \"1\"\n[target.'cfg(unix)'.dependencies]\nh = \"1\"\n\
                        [features]\ni = []\n";
        let found: Vec<_> =
            dependencies(manifest).into_iter().map(|dep| (dep.name, dep.dev)).collect();
        let wanted =
            [("a", false), ("b", false), ("e", false), ("f", true), ("g", false), ("h", false)];
        assert_eq!(found, wanted);
    }

    #[test]
    fn an_arrow_against_the_map_is_found() {
        let tree = Tree::of(&[
            ("crates/domain/Cargo.toml", "[dependencies]\njangbu-kernel.workspace = true\n"),
            ("crates/engine/Cargo.toml", "[dependencies]\njangbu-domain.workspace = true\n"),
            ("crates/store/Cargo.toml", "[dev-dependencies]\njangbu-domain.workspace = true\n"),
            ("crates/app/Cargo.toml", "[dependencies]\njangbu-bench.workspace = true\n"),
        ]);
        let found = arrows(&tree);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].path.as_str(), found[0].line), ("crates/engine/Cargo.toml", 2));
    }

    #[test]
    fn the_auditor_depends_on_no_crate_even_in_its_tests() {
        let text = "[dev-dependencies]\njangbu-cluster.workspace = true\njangbu-services.workspace = true\n";
        assert_eq!(arrows(&Tree::of(&[("crates/audit/Cargo.toml", text)])).len(), 1);
    }

    #[test]
    fn a_crate_that_is_not_on_the_map_is_found() {
        assert_eq!(arrows(&Tree::of(&[("crates/extras/Cargo.toml", "")])).len(), 1);
    }

    #[test]
    fn tokio_below_the_api_is_found() {
        let tokio = "[dependencies]\ntokio.workspace = true\n";
        let tree =
            Tree::of(&[("crates/services/Cargo.toml", tokio), ("crates/api/Cargo.toml", tokio)]);
        assert_eq!(no_async(&tree).len(), 1);
    }

    #[test]
    fn a_crate_without_the_lints_or_with_fewer_bans_is_found() {
        let common = "too-many-lines-threshold = 70\n  { path = \"a\" },\n";
        let tree = Tree::of(&[
            ("Cargo.toml", "too_many_lines = \"deny\"\n"),
            ("clippy.toml", common),
            ("crates/a/Cargo.toml", LINTS),
            ("crates/b/Cargo.toml", "[package]\n"),
            ("crates/b/clippy.toml", "# less\ntoo-many-lines-threshold = 70\n"),
        ]);
        let found = lints(&tree);
        let paths: Vec<_> = found.iter().map(|finding| finding.path.as_str()).collect();
        assert_eq!(paths, ["crates/b/Cargo.toml", "crates/b/clippy.toml"]);
    }

    #[test]
    fn a_switched_off_function_limit_is_found() {
        let tree = Tree::of(&[("Cargo.toml", "too_many_lines = \"allow\"\n")]);
        assert_eq!(lints(&tree).len(), 1);
    }

    #[test]
    fn a_silenced_ban_on_clocks_is_found() {
        let text = "#[expect(clippy::disallowed_methods, reason = \"x\")] fn now() {}";
        let in_tests = format!("#[cfg(test)] mod tests {{ {text} }}");
        let tree = Tree::of(&[
            ("crates/domain/src/order/decide.rs", text),
            ("crates/domain/src/order/tests.rs", text),
            ("crates/engine/src/cell.rs", &in_tests),
            ("crates/engine/src/clock.rs", text),
            ("crates/engine/tests/it/main.rs", text),
            ("crates/store/src/sqlite.rs", text),
        ]);
        let found = clocks(&tree);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].path, "crates/domain/src/order/decide.rs");
    }

    #[test]
    fn a_second_test_binary_is_found() {
        let tree = Tree::of(&[
            ("crates/a/tests/it/main.rs", ""),
            ("crates/a/tests/it/story.rs", ""),
            ("crates/a/tests/more.rs", ""),
            ("crates/a/tests/other/main.rs", ""),
        ]);
        assert_eq!(one_test_binary(&tree).len(), 2);
    }
}
