//! Breaks each promise on purpose and demands that its test notices.
//!
//! A test that cannot fail pins nothing. For every file in `crates/xtask/mutations` the runner
//!
//! 1. copies the tree to `target/mutations/tree` (only what changed, so that builds stay
//!    incremental) and runs the named test there: it must pass, and must exist;
//! 2. applies the mutation to the copy and runs the test again: it must fail, as a test and not
//!    as a compile error; a test that hangs until its limit counts as failed;
//! 3. restores the copy and goes on.
//!
//! The output of every run is kept in `target/mutations/*.log`.

mod lab;
mod recipe;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result, bail};

use self::lab::{Lab, Outcome, Run};
pub(crate) use self::recipe::{Mutation, locate, parse};
use crate::tree::root;

/// Where the mutations are.
pub(crate) const DIR: &str = "crates/xtask/mutations";

/// The first run builds everything, so it gets more time than a mutation.
const HEALTHY_LIMIT: Duration = Duration::from_mins(30);

/// Runs the mutations whose name starts with `only`; true when every one was noticed.
pub(crate) fn run(only: Option<&str>, dry_run: bool) -> Result<bool> {
    run_in(&root()?, only, dry_run)
}

fn run_in(root: &Path, only: Option<&str>, dry_run: bool) -> Result<bool> {
    let mutations = load(&root.join(DIR), only)?;
    for mutation in &mutations {
        mutation.check(root)?;
    }
    println!("{} mutations, all apply", mutations.len());
    if dry_run {
        return Ok(true);
    }
    let lab = Lab::set_up(root)?;
    let healthy = healthy_runs(&lab, &mutations)?;
    let mut missed = 0;
    for mutation in &mutations {
        let verdict = try_one(&lab, mutation, &healthy[&mutation.test])?;
        missed += usize::from(verdict.is_err());
        println!("{:<4} {:<40} {}", mutation.promise, mutation.name, verdict.unwrap_or_else(|e| e));
    }
    println!("{} of {} noticed", mutations.len() - missed, mutations.len());
    Ok(missed == 0)
}

fn load(dir: &Path, only: Option<&str>) -> Result<Vec<Mutation>> {
    let mut mutations = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.ends_with(".mutation") && only.is_none_or(|prefix| name.starts_with(prefix)) {
            mutations.push(parse(&name, &fs::read_to_string(&path)?)?);
        }
    }
    if mutations.is_empty() {
        bail!("no mutation in {} starts with `{}`", dir.display(), only.unwrap_or(""));
    }
    mutations.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(mutations)
}

/// Runs each distinct test once on the healthy copy.
fn healthy_runs(lab: &Lab, mutations: &[Mutation]) -> Result<BTreeMap<Vec<String>, Run>> {
    let tests: BTreeSet<&Vec<String>> = mutations.iter().map(|mutation| &mutation.test).collect();
    println!("running {} tests on the healthy tree", tests.len());
    let mut runs = BTreeMap::new();
    for (number, test) in tests.into_iter().enumerate() {
        runs.insert(test.clone(), lab.test(test, &format!("healthy-{number}"), HEALTHY_LIMIT)?);
    }
    Ok(runs)
}

/// One mutation: the sentence of its row, as an error when the promise is not pinned.
fn try_one(lab: &Lab, mutation: &Mutation, healthy: &Run) -> Result<Result<String, String>> {
    if !matches!(healthy.outcome, Outcome::Passed(_)) {
        return Ok(Err(format!("HEALTHY TREE: {healthy}")));
    }
    lab.apply(mutation)?;
    let broken = lab.test(&mutation.test, &mutation.name, Duration::from_secs(mutation.seconds));
    lab.restore(mutation)?;
    Ok(verdict(&broken?))
}

fn verdict(broken: &Run) -> Result<String, String> {
    match broken.outcome {
        Outcome::Failed | Outcome::TimedOut => Ok(format!("noticed: {broken}")),
        Outcome::Passed(_) => Err(format!("NOT NOTICED: {broken}")),
        Outcome::NotRun | Outcome::NoTest => Err(format!("NOT A TEST FAILURE: {broken}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A crate with one test, and a mutation of it.
    fn project(mutation: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("Cargo.toml", "[workspace]\n[package]\nname = \"sample\"\nedition = \"2024\"\n");
        write(
            "src/lib.rs",
            "pub fn limit(n: i64) -> bool {\n    n >= 0\n}\n#[test]\nfn holds() { assert!(!limit(-1)) }\n",
        );
        write(&format!("{DIR}/P5-limit.mutation"), mutation);
        dir
    }

    const NOTICED: &str = "promise: P5\ntest: cargo test --offline holds\nfile: src/lib.rs\n\
                           find:\nn>=0\nreplace:\ntrue || n >= 0\n";

    #[test]
    fn a_broken_promise_is_noticed_and_the_copy_restored() {
        let dir = project(NOTICED);
        assert!(run_in(dir.path(), None, false).unwrap());
        let read = |path: &str| fs::read_to_string(dir.path().join(path)).unwrap();
        assert_eq!(read("src/lib.rs"), read("target/mutations/tree/src/lib.rs"));
        assert!(read("target/mutations/P5-limit.log").contains("test result: FAILED"));
    }

    #[test]
    fn a_mutation_that_no_test_notices_fails_the_run() {
        let dir = project(&NOTICED.replace("true || n >= 0", "n >= 0 && n >= 0"));
        assert!(!run_in(dir.path(), Some("P5"), false).unwrap());
    }

    #[test]
    fn a_mutation_that_does_not_compile_proves_nothing() {
        let dir = project(&NOTICED.replace("true || n >= 0", "no_such_name"));
        assert!(!run_in(dir.path(), None, false).unwrap());
    }

    #[test]
    fn a_test_that_does_not_exist_proves_nothing() {
        let dir = project(&NOTICED.replace("holds", "gone"));
        assert!(!run_in(dir.path(), None, false).unwrap());
    }

    #[test]
    fn a_mutation_that_no_longer_applies_is_an_error_that_says_where() {
        let dir = project(&NOTICED.replace("n>=0", "n > 0"));
        let error = run_in(dir.path(), None, true).unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("P5-limit") && text.contains("src/lib.rs"), "{text}");
        assert!(run_in(dir.path(), Some("P6"), true).is_err());
    }
}
