//! Line plots as inline SVG: no script, no font, no file besides the page.
//!
//! Colours come from the page's style sheet (one set for light, one for dark), and every line has a
//! dash pattern of its own, so that a print in black and white can be read too. A plot is an image
//! with a title and a description for those who do not see it, and its table stands behind it.

use std::fmt::Write as _;

/// Width and height of the drawing, in its own units.
const SIZE: (f64, f64) = (720.0, 230.0);
/// Room for the numbers of the axes: left, right, top, bottom.
const ROOM: (f64, f64, f64, f64) = (60.0, 10.0, 10.0, 24.0);
/// Dash patterns, as many as there are colours.
const DASHES: [&str; 6] = ["", "7 3", "2 3", "9 3 2 3", "4 2", "1 3"];

/// One line: a value a second, or none.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) values: Vec<Option<f64>>,
}

impl Line {
    pub(crate) fn new(name: &str, values: impl Iterator<Item = Option<f64>>) -> Self {
        Self { name: name.to_owned(), values: values.collect() }
    }

    fn most(&self) -> Option<f64> {
        self.values.iter().flatten().copied().reduce(f64::max)
    }
}

/// Lines over the same seconds.
#[derive(Debug)]
pub(crate) struct Plot {
    pub(crate) title: &'static str,
    /// What a value is, e.g. `ms`.
    pub(crate) unit: &'static str,
    pub(crate) lines: Vec<Line>,
}

impl Plot {
    /// Figure with legend and table; says so where there is nothing to draw.
    pub(crate) fn draw(&self, out: &mut String) {
        let name: String = self.title.chars().filter(char::is_ascii_alphabetic).collect();
        let seconds = self.lines.iter().map(|line| line.values.len()).max().unwrap_or(0);
        let top = self.lines.iter().filter_map(Line::most).reduce(f64::max);
        let _ = writeln!(out, "<figure><figcaption>{}</figcaption>", escaped(self.title));
        let Some(top) = top.filter(|_| seconds > 0) else {
            out.push_str("<p class=none>Not measured.</p></figure>\n");
            return;
        };
        let step = nice(top / 4.0);
        let scale = Scale { seconds, top: (top / step).ceil().max(1.0) * step };
        let _ = writeln!(
            out,
            "<svg viewBox=\"0 0 {} {}\" role=img aria-labelledby=\"{name}-t {name}-d\">\
             <title id={name}-t>{}</title><desc id={name}-d>{}</desc>",
            SIZE.0,
            SIZE.1,
            escaped(self.title),
            escaped(&self.words())
        );
        scale.grid(step, out);
        for (at, line) in self.lines.iter().enumerate() {
            scale.line(at, line, out);
        }
        out.push_str("</svg>\n");
        self.legend(out);
        self.table(seconds, out);
        out.push_str("</figure>\n");
    }

    /// The plot in words.
    fn words(&self) -> String {
        let mut words = format!("By second, in {}.", self.unit);
        for line in &self.lines {
            let mut values: Vec<f64> = line.values.iter().flatten().copied().collect();
            values.sort_by(f64::total_cmp);
            let (Some(least), Some(most)) = (values.first(), values.last()) else { continue };
            let middle = values[values.len() / 2];
            let _ = write!(
                words,
                " {}: from {} to {}, median {}.",
                line.name,
                short(*least),
                short(*most),
                short(middle)
            );
        }
        words
    }

    fn legend(&self, out: &mut String) {
        out.push_str("<p class=legend>");
        for (at, line) in self.lines.iter().enumerate() {
            let (colour, dash) = look(at);
            let _ = write!(
                out,
                "<span><svg viewBox=\"0 0 28 8\" aria-hidden=true><path class=c{colour} \
                 stroke-dasharray=\"{dash}\" d=\"M0 4H28\"/></svg> {}</span> ",
                escaped(&line.name)
            );
        }
        let _ = writeln!(out, "<span>({})</span></p>", escaped(self.unit));
    }

    fn table(&self, seconds: usize, out: &mut String) {
        out.push_str("<details><summary>Table</summary><table><thead><tr><th scope=col>second");
        for line in &self.lines {
            let _ = write!(out, "<th scope=col>{}", escaped(&line.name));
        }
        out.push_str("</thead><tbody>\n");
        for second in 0..seconds {
            let _ = write!(out, "<tr><th scope=row>{second}");
            for line in &self.lines {
                let value = line.values.get(second).copied().flatten();
                let _ = write!(out, "<td>{}", value.map_or_else(|| "–".to_owned(), short));
            }
            out.push('\n');
        }
        out.push_str("</tbody></table></details>\n");
    }
}

/// From values to places in the drawing.
struct Scale {
    seconds: usize,
    top: f64,
}

#[expect(clippy::cast_precision_loss, reason = "seconds of a run")]
impl Scale {
    fn x(&self, second: usize) -> f64 {
        let width = SIZE.0 - ROOM.0 - ROOM.1;
        ROOM.0 + width * second as f64 / self.seconds.saturating_sub(1).max(1) as f64
    }

    fn y(&self, value: f64) -> f64 {
        let height = SIZE.1 - ROOM.2 - ROOM.3;
        ROOM.2 + height * (1.0 - value.max(0.0) / self.top)
    }

    fn grid(&self, step: f64, out: &mut String) {
        let mut value = 0.0;
        while value <= self.top * 1.001 {
            let y = self.y(value);
            let _ = writeln!(
                out,
                "<path class=grid d=\"M{} {y:.1}H{}\"/><text class=y x={} y={:.1}>{}</text>",
                ROOM.0,
                SIZE.0 - ROOM.1,
                ROOM.0 - 6.0,
                y + 4.0,
                short(value)
            );
            value += step;
        }
        let every = whole(nice(self.seconds as f64 / 8.0)).max(1);
        for second in (0..self.seconds).step_by(every) {
            let (x, y) = (self.x(second), SIZE.1 - 6.0);
            let _ = writeln!(out, "<text class=x x={x:.1} y={y}>{second} s</text>");
        }
    }

    /// A line with gaps where nothing was measured; a lone second is a dot.
    fn line(&self, at: usize, line: &Line, out: &mut String) {
        let (colour, dash) = look(at);
        let (mut path, mut drawing) = (String::new(), false);
        for (second, value) in line.values.iter().enumerate() {
            let start = !drawing;
            drawing = value.is_some();
            let Some(value) = value else { continue };
            let (begin, dot) = if start { ('M', "h0.1") } else { ('L', "") };
            let _ = write!(path, "{begin}{:.1} {:.1}{dot}", self.x(second), self.y(*value));
        }
        let _ = writeln!(out, "<path class=c{colour} stroke-dasharray=\"{dash}\" d=\"{path}\"/>");
    }
}

/// Colour and dashes of a line.
fn look(at: usize) -> (usize, &'static str) {
    (at % DASHES.len(), DASHES[(at + at / DASHES.len()) % DASHES.len()])
}

/// 1, 2 or 5 times a power of ten, not below `step`.
fn nice(step: f64) -> f64 {
    let power = 10_f64.powf(step.max(1e-9).log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|n| *n >= step).unwrap_or(step)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a small positive number"
)]
fn whole(number: f64) -> usize {
    number.max(0.0) as usize
}

/// A number as people read it.
pub(crate) fn short(value: f64) -> String {
    let text = match value.abs() {
        size if !(1e-9..100.0).contains(&size) => format!("{value:.0}"),
        size if size >= 1.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    };
    let (whole, rest) = text.split_once('.').map_or((&*text, ""), |(w, r)| (w, r));
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) && !grouped.ends_with('-') {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if rest.is_empty() { grouped } else { format!("{grouped}.{rest}") }
}

/// Text that may stand in an element or an attribute.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let cases = [
            (0.0, "0"),
            (0.25, "0.25"),
            (9.96, "10.0"),
            (12.34, "12.3"),
            (123.4, "123"),
            (1_234_567.0, "1,234,567"),
            (-1_234.0, "-1,234"),
        ];
        for (value, text) in cases {
            assert_eq!(short(value), text);
        }
        for (step, wanted) in [(0.3, 0.5), (1.0, 1.0), (12.0, 20.0), (70.0, 100.0)] {
            assert!((nice(step) - wanted).abs() < 1e-9, "{step}: {}", nice(step));
        }
    }

    #[test]
    fn a_gap_is_a_gap_and_nothing_is_said_so() {
        let line = Line::new("p99 <ms>", [Some(10.0), None, Some(20.0), Some(40.0)].into_iter());
        let mut out = String::new();
        Plot { title: "Latency", unit: "ms", lines: vec![line] }.draw(&mut out);
        let path = out.split("d=\"").find(|part| part.starts_with("M60.0")).unwrap();
        let path = &path[..path.find('"').unwrap()];
        assert_eq!((path.matches('M').count(), path.matches('L').count()), (2, 1), "{path}");
        assert!(out.contains("from 10.0 to 40.0, median 20.0"), "{out}");
        assert!(out.contains("p99 &lt;ms&gt;") && !out.contains("<ms>"));
        assert!(out.contains("<th scope=row>1<td>–"), "the table has the gap too");
        let mut out = String::new();
        let empty = Line::new("a", [None, None].into_iter());
        Plot { title: "Queue", unit: "commands", lines: vec![empty] }.draw(&mut out);
        assert!(out.contains("Not measured") && !out.contains("<svg"));
    }
}
