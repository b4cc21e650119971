//! Names of backups: dates that sort by time.

use jangbu_kernel::Time;

/// How the name of a directory ends that is no backup yet, or no more.
pub(super) const PARTIAL: &str = ".partial";

/// How the names of backups begin.
pub(super) const PREFIX: &str = "backup-";

/// The name of a backup that is made at `now`: they sort by time.
pub(super) fn name_of(now: Time) -> String {
    let seconds = now.0.div_euclid(1_000_000);
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    let millis = now.0.div_euclid(1_000).rem_euclid(1_000);
    format!("{PREFIX}{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}.{millis:03}Z")
}

/// Year, month and day of a number of days since 1970: eras of 400 years, years from March on.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month, day)
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
