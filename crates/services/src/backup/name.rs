//! Names of backups: dates that sort by time.

use jangbu_kernel::Time;

/// How the name of a directory ends that is no backup yet, or no more.
pub(super) const PARTIAL: &str = ".partial";

/// How the names of backups begin.
pub(super) const PREFIX: &str = "backup-";

/// The name of a backup that is made at `now`: they sort by time.
pub(super) fn name_of(now: Time) -> String {
    let text = now.to_string().replace(['-', ':'], "");
    // As far as milliseconds.
    format!("{PREFIX}{}Z", &text[..text.len() - "456Z".len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dates_and_sort_by_time() {
        for (us, wanted) in [
            (0, "backup-19700101T000000.000Z"),
            (951_782_400_000_000, "backup-20000229T000000.000Z"),
            (1_795_255_023_456_789, "backup-20261121T095703.456Z"),
            (4_107_542_399_999_999, "backup-21000228T235959.999Z"),
        ] {
            assert_eq!(name_of(Time(us)), wanted);
        }
    }
}
