//! Progress on standard error, for people who wait.

use std::io;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::generator::{Generator, Phase};
use crate::tally::Tally;
use crate::trade::Trade;

/// Runs a phase behind a progress bar.
pub(crate) fn watched<T: Trade>(
    name: &str,
    phase: &Phase,
    generator: &mut Generator<T>,
) -> io::Result<Tally> {
    let length = u64::try_from(phase.length.as_millis()).unwrap_or(u64::MAX);
    let bar = bar(name, length);
    let mut watch = |tally: &Tally, elapsed: f64| {
        if bar.is_hidden() {
            return;
        }
        let elapsed = Duration::from_secs_f64(elapsed).as_millis();
        bar.set_position(u64::try_from(elapsed).unwrap_or(length).min(length));
        bar.set_message(progress(name, tally));
    };
    let tally = generator.run(phase, &mut watch);
    bar.finish_and_clear();
    tally
}

pub(crate) fn progress(name: &str, tally: &Tally) -> String {
    let p99 = tally.settled.quantiles().map_or(0.0, |quantiles| quantiles.p99);
    let (good, dropped) = (tally.good(), tally.dropped);
    format!("{name}: {good} done, {dropped} dropped, p99 {p99:.1} ms")
}

/// A bar on standard error; invisible when that is no terminal.
pub(crate) fn bar(name: &str, length: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {percent:>3}% {msg}");
    let bar = ProgressBar::new(length).with_message(name.to_owned());
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
