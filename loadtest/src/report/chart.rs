//! Charts over time as inline SVG: lines on one scale, marks where something happened. No script, no outside resource.

use std::fmt::Write;

use super::html::escape;

const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 72.0;
const BOTTOM: f64 = 26.0;
const TOP: f64 = 10.0;
const RIGHT: f64 = 8.0;

/// One line of a chart.
pub(super) struct Line<'a> {
    /// What it shows.
    pub(super) name: &'a str,
    /// The class of its colour.
    pub(super) class: &'a str,
    /// A value a second; a hole where there is none.
    pub(super) values: Vec<Option<f64>>,
}

/// A span of time with a name, drawn behind the lines.
pub(super) struct Span {
    /// Its name.
    pub(super) name: String,
    /// From, in seconds.
    pub(super) from: f64,
    /// To, in seconds.
    pub(super) to: f64,
    /// Whether it is something bad, such as a fault.
    pub(super) bad: bool,
}

/// One chart over `seconds`; `unit` stands at its highest mark.
pub(super) fn chart(title: &str, unit: &str, seconds: usize, lines: &[Line<'_>], spans: &[Span]) -> String {
    let highest = lines.iter().flat_map(|line| &line.values).flatten().copied().fold(0.0, f64::max);
    let top = nice_above(highest);
    let x = |second: f64| LEFT + second / (seconds.max(1) as f64) * (WIDTH - LEFT - RIGHT);
    let y = |value: f64| TOP + (1.0 - value / top) * (HEIGHT - TOP - BOTTOM);
    let mut svg = format!(
        "<figure><figcaption>{}{}</figcaption><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
        escape(title),
        lines
            .iter()
            .map(|line| format!(" <span class=\"key {}\">{}</span>", line.class, escape(line.name)))
            .collect::<String>(),
        escape(title)
    );
    for span in spans {
        let (from, to) = (x(span.from.min(seconds as f64)), x(span.to.min(seconds as f64)));
        let (class, fill) = if span.bad { ("fault", "#fee4e2") } else { ("stage", "#f6f8fa") };
        let _ = write!(
            svg,
            "<rect class=\"{class}\" fill=\"{fill}\" x=\"{from:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{:.1}\"/>\
             <text class=\"name\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            (to - from).max(1.0),
            HEIGHT - TOP - BOTTOM,
            from + 4.0,
            if span.bad { TOP + 26.0 } else { TOP + 12.0 },
            escape(&span.name)
        );
    }
    for part in 0..=4 {
        let value = top * f64::from(part) / 4.0;
        let unit = if part == 4 { unit } else { "" };
        let _ = write!(
            svg,
            "<line class=\"grid\" stroke=\"#d0d7de\" x1=\"{LEFT}\" x2=\"{:.0}\" y1=\"{1:.1}\" y2=\"{1:.1}\"/>\
             <text class=\"tick\" x=\"{2:.0}\" y=\"{3:.1}\" text-anchor=\"end\">{4}{unit}</text>",
            WIDTH - RIGHT,
            y(value),
            LEFT - 6.0,
            y(value) + 4.0,
            short(value)
        );
    }
    let step = nice_above(seconds as f64 / 8.0).max(1.0);
    let mut at = 0.0;
    while at <= seconds as f64 {
        let _ = write!(
            svg,
            "<text class=\"tick\" x=\"{:.1}\" y=\"{:.0}\" text-anchor=\"middle\">{}</text>",
            x(at).min(WIDTH - 20.0),
            HEIGHT - 8.0,
            clock(at)
        );
        at += step;
    }
    for line in lines {
        let _ = write!(
            svg,
            "<path class=\"line {}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\" d=\"{}\"/>",
            line.class,
            colour(line.class),
            path(&line.values, x, y)
        );
    }
    svg.push_str("</svg></figure>");
    svg
}

/// Colours of the classes, for readers that do not apply the page's style to a drawing.
pub(crate) const COLOURS: [(&str, &str); 6] =
    [("c1", "#6e7781"), ("c2", "#1a7f37"), ("c3", "#d1242f"), ("c4", "#9a6700"), ("c5", "#0969da"), ("c6", "#8250df")];

fn colour(class: &str) -> &'static str {
    COLOURS.iter().find(|(name, _)| *name == class).map_or("#6e7781", |(_, colour)| colour)
}

fn path(values: &[Option<f64>], x: impl Fn(f64) -> f64, y: impl Fn(f64) -> f64) -> String {
    let (mut path, mut pen_down) = (String::new(), false);
    for (second, value) in values.iter().enumerate() {
        match value {
            Some(value) => {
                let command = if pen_down { 'L' } else { 'M' };
                let _ = write!(path, "{command}{:.1} {:.1}", x(second as f64 + 0.5), y(*value));
                pen_down = true;
            }
            None => pen_down = false,
        }
    }
    path
}

/// The next of 1, 2, 5, 10, 20, 50, ... that is not below.
fn nice_above(value: f64) -> f64 {
    if value <= 0.0 || !value.is_finite() {
        return 1.0;
    }
    let power = 10f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|n| n * power).find(|nice| *nice >= value * 0.999_999).unwrap_or(10.0 * power)
}

fn short(value: f64) -> String {
    if value >= 10_000.0 {
        format!("{:.0}k", value / 1000.0)
    } else if value.fract() == 0.0 || value >= 100.0 {
        format!("{value:.0}")
    } else {
        format!("{}", (value * 100.0).round() / 100.0)
    }
}

fn clock(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    if seconds < 60 { format!("{seconds} s") } else { format!("{}:{:02}", seconds / 60, seconds % 60) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_end_at_round_numbers() {
        assert_eq!([0.0, 0.7, 1.0, 3.0, 41.0, 100.0, 101.0].map(nice_above), [1.0, 1.0, 1.0, 5.0, 50.0, 100.0, 200.0]);
        assert_eq!([12_000.0, 250.0, 0.25, 3.0].map(short), ["12k", "250", "0.25", "3"]);
        assert_eq!([5.0, 75.0].map(clock), ["5 s", "1:15"]);
    }

    #[test]
    fn a_hole_in_the_values_is_a_hole_in_the_line() {
        let values = [Some(1.0), Some(2.0), None, Some(3.0)];
        let drawn = path(&values, |x| x, |y| y);
        assert_eq!(drawn.matches('M').count(), 2);
        assert_eq!(drawn.matches('L').count(), 1);
    }

    #[test]
    fn nothing_is_drawn_outside_and_names_are_escaped() {
        let line = Line { name: "a<b", class: "one", values: vec![Some(5.0); 10] };
        let spans = [Span { name: "<stall>".into(), from: 2.0, to: 99.0, bad: true }];
        let svg = chart("t", "/s", 10, &[line], &spans);
        assert!(svg.contains("a&lt;b") && svg.contains("&lt;stall&gt;") && !svg.contains("NaN"), "{svg}");
    }
}
