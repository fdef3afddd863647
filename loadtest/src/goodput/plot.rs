//! Lines over a few loads as inline SVG: one line a contestant, the loads evenly spaced. No script, no outside resource.

use std::fmt::Write;

use crate::report::{COLOURS, escape};

const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 280.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 28.0;

/// One contestant's values, one a load.
pub(super) struct Line {
    pub(super) name: String,
    pub(super) values: Vec<Option<f64>>,
}

/// How values become heights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scale {
    /// From 0 to this.
    To(f64),
    /// From the first to the second, each mark ten times the one below.
    Decades(f64, f64),
}

impl Scale {
    /// From 0, at the bottom, to 1.
    fn place(self, value: f64) -> f64 {
        match self {
            Self::To(top) => (value / top).clamp(0.0, 1.0),
            Self::Decades(from, to) => ((value.max(from) / from).ln() / (to / from).ln()).clamp(0.0, 1.0),
        }
    }

    fn marks(self) -> Vec<f64> {
        match self {
            Self::To(top) => (0..=4).map(|part| top * f64::from(part) / 4.0).collect(),
            Self::Decades(from, to) => std::iter::successors(Some(from), |mark| Some(mark * 10.0))
                .take_while(|mark| *mark <= to * 1.001)
                .collect(),
        }
    }
}

/// One plot. `loads` name the places along the bottom.
pub(super) fn plot(title: &str, unit: &str, loads: &[String], lines: &[Line], scale: Scale) -> String {
    let colour = |n: usize| COLOURS.get(n % COLOURS.len()).copied().unwrap_or(("c1", "#6e7781"));
    let x = |at: usize| LEFT + (at as f64 + 0.5) / loads.len().max(1) as f64 * (WIDTH - LEFT - RIGHT);
    let y = |value: f64| TOP + (1.0 - scale.place(value)) * (HEIGHT - TOP - BOTTOM);
    let keys: String = lines
        .iter()
        .enumerate()
        .map(|(n, line)| format!(" <span class=\"key {}\">{}</span>", colour(n).0, escape(&line.name)))
        .collect();
    let mut svg = format!(
        "<figure><figcaption>{0}{keys}</figcaption><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{0}\">",
        escape(title)
    );
    for mark in scale.marks() {
        let _ = write!(
            svg,
            "<line class=\"grid\" stroke=\"#d0d7de\" x1=\"{LEFT}\" x2=\"{0:.0}\" y1=\"{1:.1}\" y2=\"{1:.1}\"/>\
             <text class=\"tick\" x=\"{2:.0}\" y=\"{3:.1}\" text-anchor=\"end\">{mark}{4}</text>",
            WIDTH - RIGHT,
            y(mark),
            LEFT - 6.0,
            y(mark) + 4.0,
            escape(unit)
        );
    }
    for (at, load) in loads.iter().enumerate() {
        let _ = write!(
            svg,
            "<text class=\"tick\" x=\"{:.1}\" y=\"{:.0}\" text-anchor=\"middle\">{}</text>",
            x(at),
            HEIGHT - 8.0,
            escape(load)
        );
    }
    for (n, line) in lines.iter().enumerate() {
        let (class, stroke) = colour(n);
        let points = || line.values.iter().enumerate().filter_map(|(at, value)| Some((x(at), y((*value)?))));
        let path: Vec<String> = points().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = write!(
            svg,
            "<polyline class=\"line {class}\" fill=\"none\" stroke=\"{stroke}\" stroke-width=\"2\" points=\"{}\"/>",
            path.join(" ")
        );
        for (x, y) in points() {
            let _ = write!(svg, "<circle class=\"{class}\" fill=\"{stroke}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"/>");
        }
    }
    svg.push_str("</svg></figure>");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_has_a_point_a_value_and_none_for_what_is_missing() {
        let lines = [Line { name: "a<b".into(), values: vec![Some(0.5), None, Some(0.0)] }];
        let loads = ["1x", "2x", "5x"].map(str::to_owned);
        let svg = plot("t", " ms", &loads, &lines, Scale::Decades(0.1, 1000.0));
        assert_eq!(svg.matches("<circle").count(), 2);
        assert!(svg.contains("a&lt;b") && !svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn decades_are_evenly_spaced() {
        let scale = Scale::Decades(0.1, 1000.0);
        assert_eq!(scale.marks().len(), 5);
        assert!((scale.place(10.0) - 0.5).abs() < 1e-9);
        assert_eq!([scale.place(0.0), scale.place(1e9)], [0.0, 1.0]);
    }
}
