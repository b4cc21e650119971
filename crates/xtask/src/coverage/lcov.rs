//! The counts as LLVM exports them (lcov), by file and line.

use std::collections::BTreeMap;

use super::MEASURED;

/// The lines of a file that are code, and whether each ran.
pub(super) type File = BTreeMap<u32, bool>;

/// Lines of a file or of a crate: all that are code, and those that ran.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Lines {
    pub(super) all: u32,
    pub(super) ran: u32,
}

impl Lines {
    pub(super) fn of(file: &File) -> Self {
        let ran = file.values().filter(|ran| **ran).count();
        let [all, ran] = [file.len(), ran].map(|n| u32::try_from(n).unwrap_or(u32::MAX));
        Self { all, ran }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.all += other.all;
        self.ran += other.ran;
    }

    pub(super) fn percent(self) -> f64 {
        100.0 * f64::from(self.ran) / f64::from(self.all.max(1))
    }
}

/// The files of the measured crates, without lines of tests. A line that stands in several
/// programs ran when it ran in any of them.
pub(super) fn files(
    lcov: &str,
    root: &str,
    text: &dyn Fn(&str) -> String,
) -> BTreeMap<String, File> {
    let mut found: BTreeMap<String, File> = BTreeMap::new();
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
    for (path, lines) in &mut found {
        lines.split_off(&first_test_line(&text(path)));
    }
    found
}

/// First and last line of each stretch of a file that did not run.
pub(super) fn gaps(file: &File) -> Vec<(u32, u32)> {
    let mut gaps: Vec<(u32, u32)> = Vec::new();
    let mut open = false;
    for (line, ran) in file {
        match gaps.last_mut() {
            Some((_, last)) if open && !ran => *last = *line,
            _ if !ran => gaps.push((*line, *line)),
            _ => {}
        }
        open = !ran;
    }
    gaps
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
        let file = File::from([(1, false), (2, true), (3, true)]);
        assert_eq!(Lines::of(&file), Lines { all: 3, ran: 2 });
        assert_eq!(found, BTreeMap::from([("crates/domain/src/a.rs".to_owned(), file)]));
    }

    #[test]
    fn a_gap_ends_with_the_next_line_that_ran() {
        let gaps = |ran: &[(u32, bool)]| gaps(&ran.iter().copied().collect());
        assert_eq!(gaps(&[(1, true), (2, false), (5, false), (6, true)]), [(2, 5)]);
        assert_eq!(gaps(&[(1, false), (2, true), (3, false)]), [(1, 1), (3, 3)]);
        assert_eq!(gaps(&[(1, true)]), []);
    }

    #[test]
    fn a_module_of_tests_in_a_file_of_its_own_ends_nothing() {
        assert_eq!(first_test_line("#[cfg(test)]\nmod tests;\nfn a() {}\n"), 4);
        assert_eq!(first_test_line("#[cfg(test)]\n#[expect(x)]\nmod tests {\n}\n"), 1);
    }
}
