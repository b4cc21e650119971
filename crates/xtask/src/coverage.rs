//! Which lines of the core the tests run: `cargo xtask coverage`.
//!
//! The compiler counts (`-C instrument-coverage`), LLVM's own tools read the counts. They must be of
//! the compiler's major version: from `rustup component add llvm-tools`, or from Debian
//! (`apt-get install llvm-22`). Lines of tests are left out: they would flatter.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::tree;

/// The crates that are measured. Whatever can go wrong with money goes wrong here.
const MEASURED: &[&str] = &["domain", "engine", "services"];

/// The packages whose tests are run. Users, merchants and backups are tested through the interface.
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

/// Runs the tests, prints the table; false when a crate has less than enough.
pub(crate) fn run() -> Result<bool> {
    let root = tree::root()?;
    let tools = tools()?;
    let home = root.join("target/coverage");
    let profiles = home.join("profiles");
    // Counts of an earlier run belong to other code.
    if profiles.exists() {
        fs::remove_dir_all(&profiles)?;
    }
    let programs = build(&root, &home)?;
    let mut passed = true;
    for program in &programs {
        passed &= test(&root, program, &profiles)?;
    }
    let merged = merge(&tools, &profiles, &home)?;
    let lcov = export(&tools, &merged, &programs)?;
    Ok(report(&root, &lcov) && passed)
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

/// Lines of one file: all that are code, and those that ran.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Lines {
    all: u32,
    ran: u32,
}

impl Lines {
    fn add(&mut self, other: Self) {
        self.all += other.all;
        self.ran += other.ran;
    }

    fn percent(self) -> f64 {
        100.0 * f64::from(self.ran) / f64::from(self.all.max(1))
    }
}

fn report(root: &Path, lcov: &str) -> bool {
    let files = files(lcov, &root.to_string_lossy(), &|path| {
        fs::read_to_string(root.join(path)).unwrap_or_default()
    });
    let mut lacking: Vec<_> = files.iter().filter(|(_, lines)| lines.ran < lines.all).collect();
    lacking.sort_by_key(|(_, lines)| std::cmp::Reverse(lines.all - lines.ran));
    println!("lines that no test runs, by file:");
    for (path, lines) in lacking.iter().take(WORST) {
        println!("  {:>5} of {:>5}  {path}", lines.all - lines.ran, lines.all);
    }
    println!("\ncrate         lines      run   covered");
    let mut enough = true;
    for krate in MEASURED {
        let mut sum = Lines::default();
        let prefix = format!("crates/{krate}/");
        files.iter().filter(|(path, _)| path.starts_with(&prefix)).for_each(|(_, l)| sum.add(*l));
        let percent = sum.percent();
        let good = sum.all > 0 && percent >= ENOUGH;
        enough &= good;
        let verdict = if good { "" } else { "   too few" };
        println!("{krate:<10} {:>8} {:>8}   {percent:>5.1} %{verdict}", sum.all, sum.ran);
    }
    enough
}

/// Lines by file of the measured crates, without those of tests. A line that stands in several
/// programs ran when it ran in any of them.
fn files(lcov: &str, root: &str, text: &dyn Fn(&str) -> String) -> BTreeMap<String, Lines> {
    let mut found: BTreeMap<String, BTreeMap<u32, bool>> = BTreeMap::new();
    let mut current = None;
    for record in lcov.lines() {
        if let Some(path) = record.strip_prefix("SF:") {
            let path = path.strip_prefix(root).unwrap_or(path).trim_start_matches('/');
            current = is_measured(path).then(|| path.to_owned());
        } else if let (Some(path), Some(counted)) = (&current, record.strip_prefix("DA:")) {
            let mut parts = counted.split(',').map(|part| part.parse::<u64>().unwrap_or(0));
            let (line, count) = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
            let lines = found.entry(path.clone()).or_default();
            *lines.entry(u32::try_from(line).unwrap_or(0)).or_default() |= count > 0;
        }
    }
    let counted = found.into_iter().map(|(path, lines)| {
        let end = first_test_line(&text(&path));
        let code = lines.range(..end);
        let sum = code.fold(Lines::default(), |sum, (_, ran)| Lines {
            all: sum.all + 1,
            ran: sum.ran + u32::from(*ran),
        });
        (path, sum)
    });
    counted.collect()
}

fn is_measured(path: &str) -> bool {
    let krate = path.strip_prefix("crates/").and_then(|rest| rest.split_once("/src/"));
    let is_test = |file: &str| file.split('/').any(|part| part == "tests" || part == "tests.rs");
    krate.is_some_and(|(krate, file)| MEASURED.contains(&krate) && !is_test(file))
}

/// Tests stand at the end of a file: everything from here on is one.
fn first_test_line(text: &str) -> u32 {
    let lines: Vec<&str> = text.lines().collect();
    let opens = |at: &usize| {
        lines[*at] == "#[cfg(test)]"
            && lines[at + 1..]
                .iter()
                .find(|line| !line.starts_with("#["))
                .is_some_and(|line| line.starts_with("mod ") && line.ends_with('{'))
    };
    let at = (0..lines.len()).find(opens).unwrap_or(lines.len());
    u32::try_from(at + 1).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_several_programs_are_joined_and_tests_are_left_out() {
        let text = "fn a() {\n  b();\n}\n\n#[cfg(test)]\nmod tests {\n  fn t() {}\n}\n";
        let lcov = "SF:/w/crates/domain/src/a.rs\nDA:1,0\nDA:2,3\nDA:7,9\nend_of_record\n\
                    SF:/w/crates/api/src/b.rs\nDA:1,1\nend_of_record\n\
                    SF:/w/crates/domain/src/tests/c.rs\nDA:1,1\nend_of_record\n\
                    SF:/w/crates/domain/src/a.rs\nDA:1,0\nDA:2,0\nDA:3,1\nend_of_record\n";
        let found = files(lcov, "/w", &|_| text.to_owned());
        let wanted = [("crates/domain/src/a.rs".to_owned(), Lines { all: 3, ran: 2 })];
        assert_eq!(found, BTreeMap::from(wanted));
    }

    #[test]
    fn a_module_of_tests_in_a_file_of_its_own_ends_nothing() {
        assert_eq!(first_test_line("#[cfg(test)]\nmod tests;\nfn a() {}\n"), 4);
        assert_eq!(first_test_line("#[cfg(test)]\n#[expect(x)]\nmod tests {\n}\n"), 1);
    }

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
