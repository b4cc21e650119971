//! The copy of the tree in which promises are broken, and the test runs in it.

use std::{
    fmt, fs,
    fs::File,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use super::recipe::Mutation;
use crate::tree::walk;

/// How often a running test is looked at.
const TICK: Duration = Duration::from_millis(50);

/// A copy of the tree with a build directory of its own.
#[derive(Debug)]
pub(super) struct Lab {
    root: PathBuf,
    home: PathBuf,
    tree: PathBuf,
}

/// How a test run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// So many tests ran, and all passed.
    Passed(u64),
    /// A test failed.
    Failed,
    /// The run was ended at its limit.
    TimedOut,
    /// Cargo was content, but no test has that name.
    NoTest,
    /// It did not get as far as a test: a compile error, or wrong arguments.
    NotRun,
}

/// A finished test run.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) outcome: Outcome,
    took: Duration,
    log: PathBuf,
}

impl Lab {
    /// Brings the copy in line with the tree at `root`.
    pub(super) fn set_up(root: &Path) -> Result<Self> {
        let home = root.join("target/mutations");
        let lab = Self { root: root.to_owned(), tree: home.join("tree"), home };
        fs::create_dir_all(&lab.tree)?;
        let wanted = walk(root)?;
        for path in &wanted {
            lab.refresh(path)?;
        }
        for path in walk(&lab.tree)?.iter().filter(|path| wanted.binary_search(path).is_err()) {
            fs::remove_file(lab.tree.join(path))?;
        }
        Ok(lab)
    }

    /// Breaks the promise in the copy.
    pub(super) fn apply(&self, mutation: &Mutation) -> Result<()> {
        for (path, text) in mutation.edited(&self.tree)? {
            fs::write(self.tree.join(path), text)?;
        }
        Ok(())
    }

    /// Takes the mutation back.
    pub(super) fn restore(&self, mutation: &Mutation) -> Result<()> {
        mutation.edits.iter().try_for_each(|edit| self.refresh(&edit.file))
    }

    /// Copies one file if the copy differs; an untouched file keeps its time, so that cargo
    /// builds it no second time.
    fn refresh(&self, path: &str) -> Result<()> {
        let (from, to) = (self.root.join(path), self.tree.join(path));
        let wanted = fs::read(&from).with_context(|| format!("cannot read {}", from.display()))?;
        if fs::read(&to).is_ok_and(|present| present == wanted) {
            return Ok(());
        }
        fs::create_dir_all(to.parent().unwrap_or(&self.tree))?;
        let mode = fs::metadata(&from)?.permissions();
        fs::write(&to, wanted)?;
        fs::set_permissions(&to, mode)?;
        Ok(())
    }

    /// Runs `cargo` with these arguments in the copy and reads how it ended.
    pub(super) fn test(&self, test: &[String], name: &str, limit: Duration) -> Result<Run> {
        let log = self.home.join(format!("{name}.log"));
        let output = File::create(&log)?;
        let started = Instant::now();
        let child = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(test)
            .current_dir(&self.tree)
            .env("CARGO_TARGET_DIR", self.home.join("target"))
            .stdout(output.try_clone()?)
            .stderr(output)
            .process_group(0)
            .spawn()
            .context("cannot start cargo")?;
        let success = wait(child, limit)?;
        let text = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
        let outcome = success.map_or(Outcome::TimedOut, |success| classify(success, &text));
        Ok(Run { outcome, took: started.elapsed(), log })
    }
}

/// Whether the process ended well; `None` when it was ended at the limit, with its children.
fn wait(mut child: Child, limit: Duration) -> Result<Option<bool>> {
    let started = Instant::now();
    while started.elapsed() < limit {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status.success()));
        }
        thread::sleep(TICK);
    }
    let group = format!("-{}", child.id());
    Command::new("kill").args(["-KILL", "--", &group]).status().context("cannot run kill")?;
    child.wait()?;
    Ok(None)
}

/// Reads the output of `cargo test`.
fn classify(success: bool, output: &str) -> Outcome {
    let results = output.lines().filter_map(|line| line.strip_prefix("test result: ok. "));
    let passed: u64 = results
        .filter_map(|rest| rest.split(' ').next())
        .filter_map(|number| number.parse::<u64>().ok())
        .sum();
    let ran = ["test result: FAILED", "(signal: ", "process abort"];
    match success {
        true if passed > 0 => Outcome::Passed(passed),
        true => Outcome::NoTest,
        false if ran.iter().any(|mark| output.contains(mark)) => Outcome::Failed,
        false => Outcome::NotRun,
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.outcome {
            Outcome::Passed(tests) => write!(f, "{tests} passed")?,
            Outcome::Failed => write!(f, "the test failed")?,
            Outcome::TimedOut => write!(f, "the test hung and was ended")?,
            Outcome::NoTest => write!(f, "no test has this name")?,
            Outcome::NotRun => write!(f, "it did not build, see {}", self.log.display())?,
        }
        write!(f, " ({:.1} s)", self.took.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_told_apart() {
        let ok = "test result: ok. 0 passed; 0 failed\ntest result: ok. 2 passed; 0 failed\n";
        assert_eq!(classify(true, ok), Outcome::Passed(2));
        assert_eq!(classify(true, "test result: ok. 0 passed; 0 failed\n"), Outcome::NoTest);
        assert_eq!(classify(false, "test result: FAILED. 1 passed; 1 failed\n"), Outcome::Failed);
        assert_eq!(classify(false, "process didn't exit (signal: 6, SIGABRT)"), Outcome::Failed);
        assert_eq!(classify(false, "error: could not compile `x`"), Outcome::NotRun);
    }

    #[test]
    fn a_run_past_its_limit_is_ended_with_its_children() {
        let started = Instant::now();
        let child =
            Command::new("sh").args(["-c", "sleep 60; true"]).process_group(0).spawn().unwrap();
        assert_eq!(wait(child, Duration::from_millis(200)).unwrap(), None);
        assert!(started.elapsed() < Duration::from_secs(30));
    }
}
