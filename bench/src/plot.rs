//! Plots as SVG text: bars for variants side by side, lines for a course. Readable on light and dark pages.

use std::fmt::Write;

/// How numbers become places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Equal distances for equal differences; begins at zero.
    Linear,
    /// Equal distances for equal ratios; numbers that are not above zero are left out.
    Log,
}

/// One line of a plot.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its name in the legend.
    pub name: String,
    /// Its points, by rising x.
    pub points: Vec<(f64, f64)>,
}

/// A course of numbers: one line for each variant.
#[derive(Clone, Debug)]
pub struct Lines<'p> {
    /// Above the plot.
    pub title: &'p str,
    /// Below the x axis, with the unit.
    pub x: (&'p str, Scale),
    /// Above the y axis, with the unit.
    pub y: (&'p str, Scale),
    /// The lines, six at most have colours of their own.
    pub lines: Vec<Line>,
}

/// Numbers of variants, one panel for each quantity, one bar for each variant.
#[derive(Clone, Debug)]
pub struct Bars<'p> {
    /// Above the plot.
    pub title: &'p str,
    /// Names of the variants, from top to bottom.
    pub variants: Vec<String>,
    /// Title with unit, and the number of each variant.
    pub panels: Vec<(&'p str, Vec<f64>)>,
}

const WIDTH: f64 = 760.0;
const LEFT: f64 = 80.0;
const COLOURS: [&str; 6] = ["#3b82c4", "#d9822b", "#3f9e5f", "#b0589f", "#8c8c3a", "#7a7f87"];
const STYLE: &str = "<style>text{font:13px sans-serif;fill:#444}.t{font-weight:bold;font-size:15px}.g{stroke:#999;stroke-opacity:.35}\
                     @media(prefers-color-scheme:dark){text{fill:#bbb}}</style>\n";

impl Bars<'_> {
    /// The SVG.
    pub fn svg(&self) -> String {
        let label_width = 40.0 + 7.0 * self.variants.iter().map(|name| name.chars().count()).max().unwrap_or(0) as f64;
        let room = WIDTH - label_width - 90.0;
        let mut body = String::new();
        let mut y = 48.0;
        for (index, (title, numbers)) in self.panels.iter().enumerate() {
            text(&mut body, 16.0, y, "start", "", title);
            let most = numbers.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
            for (variant, number) in self.variants.iter().zip(numbers) {
                y += 22.0;
                let width = (number / most * room).max(1.0);
                text(&mut body, label_width - 8.0, y, "end", "", variant);
                let _ = writeln!(
                    body,
                    "<rect x=\"{label_width:.0}\" y=\"{:.0}\" width=\"{width:.1}\" height=\"15\" fill=\"{}\"/>",
                    y - 12.0,
                    colour(index)
                );
                text(&mut body, label_width + width + 6.0, y, "start", "", &short(*number));
            }
            y += 36.0;
        }
        svg(y - 16.0, self.title, &body)
    }
}

impl Lines<'_> {
    /// The SVG.
    pub fn svg(&self) -> String {
        let (top, height, width) = (70.0, 280.0, WIDTH - LEFT - 30.0);
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let x = Axis::new(self.x.1, points().map(|point| point.0));
        let y = Axis::new(self.y.1, points().map(|point| point.1));
        let mut body = String::new();
        text(&mut body, LEFT, top - 22.0, "start", "", self.y.0);
        for tick in y.ticks() {
            let at = top + height - y.place(tick) * height;
            grid(&mut body, (LEFT, at), (LEFT + width, at));
            text(&mut body, LEFT - 8.0, at + 4.0, "end", "", &short(tick));
        }
        for tick in x.ticks() {
            let at = LEFT + x.place(tick) * width;
            grid(&mut body, (at, top), (at, top + height));
            text(&mut body, at, top + height + 20.0, "middle", "", &short(tick));
        }
        text(&mut body, LEFT + width / 2.0, top + height + 42.0, "middle", "", self.x.0);
        for (index, line) in self.lines.iter().enumerate() {
            let shown = line.points.iter().filter(|point| x.shows(point.0) && y.shows(point.1));
            let mut path = String::new();
            for (px, py) in shown {
                let (px, py) = (LEFT + x.place(*px) * width, top + height - y.place(*py) * height);
                let _ = write!(path, "{px:.1},{py:.1} ");
                let _ = writeln!(body, "<circle cx=\"{px:.1}\" cy=\"{py:.1}\" r=\"3\" fill=\"{}\"/>", colour(index));
            }
            let stroke = colour(index);
            let path = path.trim_end();
            let _ =
                writeln!(body, "<polyline points=\"{path}\" fill=\"none\" stroke=\"{stroke}\" stroke-width=\"2\"/>");
            let legend = top + height + 66.0 + 20.0 * index as f64;
            let _ = writeln!(
                body,
                "<rect x=\"{LEFT:.0}\" y=\"{:.0}\" width=\"18\" height=\"4\" fill=\"{stroke}\"/>",
                legend - 6.0
            );
            text(&mut body, LEFT + 26.0, legend, "start", "", &line.name);
        }
        svg(top + height + 66.0 + 20.0 * self.lines.len() as f64, self.title, &body)
    }
}

/// What an axis shows, in its own measure: the numbers, or their logarithms.
struct Axis {
    scale: Scale,
    from: f64,
    to: f64,
}

impl Axis {
    fn new(scale: Scale, numbers: impl Iterator<Item = f64>) -> Self {
        let numbers = numbers.filter(|number| scale == Scale::Linear || *number > 0.0);
        let (least, most) = numbers.fold((f64::MAX, f64::MIN), |(least, most), n| (least.min(n), most.max(n)));
        let (from, to) = match scale {
            _ if least > most => (0.0, 1.0),
            Scale::Linear => (0.0, most.max(f64::MIN_POSITIVE)),
            Scale::Log => (least.log10().floor(), most.log10().ceil()),
        };
        Self { scale, from, to: if to > from { to } else { from + 1.0 } }
    }

    fn shows(&self, number: f64) -> bool {
        self.scale == Scale::Linear || number > 0.0
    }

    /// Between 0 and 1.
    fn place(&self, number: f64) -> f64 {
        let measure = if self.scale == Scale::Log { number.log10() } else { number };
        (measure - self.from) / (self.to - self.from)
    }

    fn ticks(&self) -> Vec<f64> {
        if self.scale == Scale::Log {
            return (self.from as i32..=self.to as i32).map(|power| 10_f64.powi(power)).collect();
        }
        let power = 10_f64.powf(((self.to - self.from) / 5.0).log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|times| times * power);
        let step = step.into_iter().find(|step| (self.to - self.from) / step <= 6.0).unwrap_or(power);
        (0..=6).map(|tick| f64::from(tick) * step).filter(|tick| *tick <= self.to * 1.0001).collect()
    }
}

/// A number in three digits or so, with the letter of its size: `1.64`, `68.9k`, `12M`.
pub fn short(number: f64) -> String {
    let (scaled, letter) = match number.abs() {
        size if size >= 999.5e6 => (number / 1e9, "G"),
        size if size >= 999.5e3 => (number / 1e6, "M"),
        size if size >= 9_999.5 => (number / 1e3, "k"),
        _ => (number, ""),
    };
    let digits = match scaled.abs() {
        size if size >= 99.95 => 0,
        size if size >= 9.995 => 1,
        _ => 2,
    };
    let text = format!("{scaled:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{letter}")
}

fn colour(index: usize) -> &'static str {
    COLOURS.get(index % COLOURS.len()).copied().unwrap_or("gray")
}

fn grid(body: &mut String, from: (f64, f64), to: (f64, f64)) {
    let _ = writeln!(
        body,
        "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" class=\"g\"/>",
        from.0, from.1, to.0, to.1
    );
}

fn text(body: &mut String, x: f64, y: f64, anchor: &str, class: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
    let _ = writeln!(body, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\"{class}>{words}</text>");
}

fn svg(height: f64, title: &str, body: &str) -> String {
    let mut head = String::new();
    text(&mut head, 16.0, 24.0, "start", "t", title);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH:.0} {height:.0}\" role=\"img\">\n{STYLE}{head}{body}</svg>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (number, expected) in [
            (0.0, "0"),
            (1.644, "1.64"),
            (186.2, "186"),
            (68_900.0, "68.9k"),
            (9_999.0, "9999"),
            (100.0, "100"),
            (1e6, "1M"),
            (2.5e9, "2.5G"),
            (-12.34, "-12.3"),
        ] {
            assert_eq!(short(number), expected);
        }
    }

    #[test]
    fn ticks_are_round_and_cover_the_numbers() {
        let axis = Axis::new(Scale::Linear, [3.0, 47.0].into_iter());
        assert_eq!(axis.ticks(), [0.0, 10.0, 20.0, 30.0, 40.0]);
        let axis = Axis::new(Scale::Log, [0.0, 3.0, 470.0].into_iter());
        assert_eq!(axis.ticks(), [1.0, 10.0, 100.0, 1000.0]);
        assert_eq!((axis.place(1.0), axis.place(1000.0), axis.shows(0.0)), (0.0, 1.0, false));
        assert_eq!(Axis::new(Scale::Linear, std::iter::empty()).place(0.5), 0.5);
    }

    #[test]
    fn every_number_is_drawn() {
        let line = |name: &str| Line { name: name.into(), points: vec![(1.0, 2.0), (10.0, 0.0)] };
        let (x, y) = (("keys", Scale::Log), ("ns", Scale::Linear));
        let lines = Lines { title: "a < b", x, y, lines: vec![line("one"), line("two")] }.svg();
        assert_eq!((lines.matches("<circle").count(), lines.matches("<polyline").count()), (4, 2));
        assert!(lines.contains(">a &lt; b<") && lines.contains(">two<"), "{lines}");
        let variants = vec!["slow".into(), "fast".into()];
        let bars = Bars { title: "t", variants, panels: vec![("ns", vec![2.0, 1.0])] }.svg();
        let widths: Vec<f64> =
            bars.split("width=\"").skip(1).map(|rest| rest.split('"').next().unwrap().parse().unwrap()).collect();
        assert!((widths[0] / widths[1] - 2.0).abs() < 0.01, "{bars}");
    }
}
