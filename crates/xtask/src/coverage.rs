//! Which lines of the core the tests run: `cargo xtask coverage`.
//!
//! The compiler counts (`-C instrument-coverage`), LLVM's own tools read the counts. They must be of
//! the compiler's major version: from `rustup component add llvm-tools`, or from Debian
//! (`apt-get install llvm-22`). Lines of tests are left out: they would flatter.

mod lcov;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::tree;
use lcov::Lines;

/// The crates that are measured. Whatever can go wrong with money goes wrong here.
const MEASURED: &[&str] = &["domain", "engine", "services"];

/// The packages whose tests are run. What users, merchants and operators are promised is tested through
/// the interface.
const TESTED: &[&str] = &[
    "jangbu-domain",
    "jangbu-engine",
    "jangbu-services",
    "jangbu-store",
    "jangbu-sim",
    "jangbu-api",
    "jangbu",
];

/// Less than this of a crate is a failure.
const ENOUGH: f64 = 90.0;

/// Files that are named when they lack lines.
const WORST: usize = 12;

/// What to run, and what to say of it.
#[derive(Debug, clap::Args)]
pub(crate) struct Wanted {
    /// Name the lines that no test runs, of files whose path begins so (`crates/services`).
    #[arg(long, value_name = "PREFIX")]
    gaps: Option<String>,
    /// Run nothing: what the last run has counted is read again.
    #[arg(long)]
    last: bool,
}

/// Runs the tests, prints the table; false when a crate has less than enough.
pub(crate) fn run(wanted: &Wanted) -> Result<bool> {
    let root = tree::root()?;
    let home = home(&root);
    let counts = home.join("lines.lcov");
    let passed = wanted.last || count(&root, &home, &counts)?;
    let lcov = fs::read_to_string(&counts)
        .with_context(|| format!("{} is missing: run it without --last", counts.display()))?;
    Ok(report(&root, &lcov, wanted.gaps.as_deref()) && passed)
}

/// Runs the tests and writes down what they have counted; false when one of them failed.
fn count(root: &Path, home: &Path, counts: &Path) -> Result<bool> {
    let tools = tools()?;
    let profiles = home.join("profiles");
    // Counts of an earlier run belong to other code.
    if profiles.exists() {
        fs::remove_dir_all(&profiles)?;
    }
    let programs = build(root, home)?;
    let mut passed = true;
    for program in &programs {
        passed &= test(root, program, &profiles)?;
    }
    let merged = merge(&tools, &profiles, home)?;
    fs::write(counts, export(&tools, &merged, &programs)?)?;
    Ok(passed)
}

/// Where the counting programs are built: beside the others, for their flags differ.
fn home(root: &Path) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    root.join(target).join("coverage")
}

/// The directory of `llvm-profdata` and `llvm-cov` that fit the compiler.
fn tools() -> Result<PathBuf> {
    let version = output(Command::new("rustc").arg("-vV"))?;
    let major = after(&version, "LLVM version: ").and_then(|v| v.split('.').next());
    let host = after(&version, "host: ").context("rustc names no host")?;
    let major = major.context("rustc names no LLVM version")?;
    let sysroot = output(Command::new("rustc").args(["--print", "sysroot"]))?;
    let of_rustup = Path::new(sysroot.trim()).join("lib/rustlib").join(host).join("bin");
    let of_debian = PathBuf::from(format!("/usr/lib/llvm-{major}/bin"));
    for dir in [of_rustup, of_debian] {
        if dir.join("llvm-profdata").exists() && dir.join("llvm-cov").exists() {
            return Ok(dir);
        }
    }
    bail!(
        "llvm-profdata and llvm-cov {major} are missing: `rustup component add llvm-tools`, or \
         `apt-get install llvm-{major}`"
    )
}

fn after<'a>(text: &'a str, label: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(label)).map(str::trim)
}

/// Builds the test programs; each with the directory of its package, where its tests expect to run.
fn build(root: &Path, home: &Path) -> Result<Vec<(PathBuf, PathBuf)>> {
    let mut cargo = cargo(root, home);
    cargo.args(["test", "--locked", "--no-run", "--lib", "--tests", "--message-format=json"]);
    for package in TESTED {
        cargo.args(["--package", package]);
    }
    cargo.stderr(std::process::Stdio::inherit());
    let messages = output(&mut cargo)?;
    let programs: Vec<_> = messages.lines().filter_map(program).collect();
    if programs.is_empty() {
        bail!("cargo built no tests");
    }
    Ok(programs)
}

/// The test program in one of cargo's messages, and the directory of its package.
fn program(message: &str) -> Option<(PathBuf, PathBuf)> {
    let value = |name: &str| {
        let (_, rest) = message.split_once(&format!("\"{name}\":\""))?;
        rest.split('"').next().map(PathBuf::from)
    };
    // Programs that tests start are built as well, and have no tests.
    let (_, profile) = message.split_once("\"profile\":{")?;
    if !profile.split('}').next()?.contains("\"test\":true") {
        return None;
    }
    let manifest = value("manifest_path")?;
    Some((value("executable")?, manifest.parent()?.to_owned()))
}

fn cargo(root: &Path, home: &Path) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(root)
        .env("CARGO_TARGET_DIR", home)
        .env("RUSTFLAGS", "-C instrument-coverage")
        // Build scripts count, too, and nobody wants their counts.
        .env("LLVM_PROFILE_FILE", home.join("build/%m.profraw"));
    cargo
}

/// Runs one program. When a test of it fails, its lines are counted all the same.
fn test(root: &Path, (program, package): &(PathBuf, PathBuf), profiles: &Path) -> Result<bool> {
    let status = Command::new(program)
        .arg("--quiet")
        .current_dir(package)
        .env("CARGO_MANIFEST_DIR", package)
        .env("LLVM_PROFILE_FILE", profiles.join("%p-%m.profraw"))
        .status()
        .with_context(|| format!("cannot run {}", program.display()))?;
    let name = program.strip_prefix(root).unwrap_or(program);
    if !status.success() {
        println!("{} failed", name.display());
    }
    Ok(status.success())
}

fn merge(tools: &Path, profiles: &Path, home: &Path) -> Result<PathBuf> {
    let merged = home.join("all.profdata");
    let mut command = Command::new(tools.join("llvm-profdata"));
    command.args(["merge", "-sparse", "-o"]).arg(&merged).arg(profiles);
    output(&mut command)?;
    Ok(merged)
}

fn export(tools: &Path, merged: &Path, programs: &[(PathBuf, PathBuf)]) -> Result<String> {
    let mut command = Command::new(tools.join("llvm-cov"));
    command.args(["export", "--format=lcov", "--instr-profile"]).arg(merged);
    for (at, (program, _)) in programs.iter().enumerate() {
        if at > 0 {
            command.arg("--object");
        }
        command.arg(program);
    }
    output(&mut command)
}

fn output(command: &mut Command) -> Result<String> {
    let done = command.output().with_context(|| format!("cannot run {command:?}"))?;
    if !done.status.success() {
        bail!("{command:?} failed: {}", String::from_utf8_lossy(&done.stderr));
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

fn report(root: &Path, counts: &str, gaps: Option<&str>) -> bool {
    let files = lcov::files(counts, &root.to_string_lossy(), &|path| {
        fs::read_to_string(root.join(path)).unwrap_or_default()
    });
    let sums = files.iter().map(|(path, file)| (path, Lines::of(file)));
    let mut lacking: Vec<_> = sums.clone().filter(|(_, lines)| lines.ran < lines.all).collect();
    lacking.sort_by_key(|(_, lines)| std::cmp::Reverse(lines.all - lines.ran));
    println!("lines that no test runs, by file:");
    for (path, lines) in lacking.iter().take(WORST) {
        println!("  {:>5} of {:>5}  {path}", lines.all - lines.ran, lines.all);
    }
    for (path, file) in files.iter().filter(|(path, _)| gaps.is_some_and(|g| path.starts_with(g))) {
        for (first, last) in lcov::gaps(file) {
            println!("{path}:{first}-{last}");
        }
    }
    println!("\ncrate         lines      run   covered");
    let mut enough = true;
    for krate in MEASURED {
        let mut sum = Lines::default();
        let prefix = format!("crates/{krate}/");
        let of_crate = sums.clone().filter(|(path, _)| path.starts_with(&prefix));
        of_crate.for_each(|(_, lines)| sum.add(lines));
        let percent = sum.percent();
        let good = sum.all > 0 && percent >= ENOUGH;
        enough &= good;
        let verdict = if good { "" } else { "   too few" };
        println!("{krate:<10} {:>8} {:>8}   {percent:>5.1} %{verdict}", sum.all, sum.ran);
    }
    enough
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_program_is_read_from_the_message_that_names_it() {
        let message = r#"{"manifest_path":"/w/crates/sim/Cargo.toml","target":{"test":true},"profile":{"test":true},"executable":"/t/it-1"}"#;
        assert_eq!(program(message), Some(("/t/it-1".into(), "/w/crates/sim".into())));
        assert_eq!(
            program(&message.replace("{\"test\":true},\"exe", "{\"test\":false},\"exe")),
            None
        );
        let library =
            r#"{"manifest_path":"/w/Cargo.toml","profile":{"test":true},"executable":null}"#;
        assert_eq!(program(library), None);
    }
}
