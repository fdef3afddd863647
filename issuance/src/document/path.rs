//! Paths as far as they matter to text: rectangles exactly, everything else by its box.

use super::geometry::{Area, Matrix};

/// The path under construction, in page coordinates.
#[derive(Default)]
pub(super) struct Path {
    /// Points of the subpath being drawn; not kept up once it is not a polygon.
    points: Vec<(f64, f64)>,
    has_curve: bool,
    rectangles: Vec<Area>,
    /// Boxes of subpaths that are no rectangles.
    shapes: Vec<Area>,
    /// Boxes of straight lines.
    lines: Vec<Area>,
    pub(super) current: (f64, f64),
}

impl Path {
    pub(super) fn move_to(&mut self, point: (f64, f64)) {
        self.finish();
        self.points.push(point);
        self.current = point;
    }

    pub(super) fn line_to(&mut self, point: (f64, f64)) {
        if self.points.is_empty() {
            self.points.push(self.current);
        }
        self.lines.extend(Area::around([self.current, point]));
        self.points.push(point);
        self.current = point;
    }

    pub(super) fn curve_to(&mut self, points: [(f64, f64); 3]) {
        if self.points.is_empty() {
            self.points.push(self.current);
        }
        self.has_curve = true;
        self.points.extend(points);
        let [.., end] = points;
        self.current = end;
    }

    pub(super) fn close(&mut self) {
        if let Some(first) = self.points.first().copied() {
            self.lines.extend(Area::around([self.current, first]));
            self.finish();
            self.current = first;
        }
    }

    pub(super) fn rectangle(&mut self, matrix: Matrix, [x, y, width, height]: [f64; 4]) {
        let corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)];
        let [a, b, c, d] = corners.map(|(x, y)| matrix.apply(x, y));
        self.move_to(a);
        for corner in [b, c, d] {
            self.line_to(corner);
        }
        self.close();
    }

    /// Ends the subpath: four corners parallel to the page are a rectangle.
    fn finish(&mut self) {
        let has_curve = std::mem::take(&mut self.has_curve);
        let points = std::mem::take(&mut self.points);
        let Some(area) = Area::around(points.iter().copied()) else { return };
        let corners = match points.as_slice() {
            [corners @ .., last] if corners.len() == 4 && corners.first().is_some_and(|f| near(*f, *last)) => corners,
            corners => corners,
        };
        match corners {
            _ if points.len() < 2 => {}
            [a, b, c, d] if !has_curve && is_upright([*a, *b, *c, *d]) => self.rectangles.push(area),
            _ => self.shapes.push(area),
        }
    }

    /// Takes the finished path; the next one begins.
    pub(super) fn take(&mut self) -> Finished {
        self.finish();
        Finished {
            rectangles: std::mem::take(&mut self.rectangles),
            shapes: std::mem::take(&mut self.shapes),
            lines: std::mem::take(&mut self.lines),
        }
    }
}

/// A path that is about to be painted or clipped to.
pub(super) struct Finished {
    pub(super) rectangles: Vec<Area>,
    pub(super) shapes: Vec<Area>,
    pub(super) lines: Vec<Area>,
}

fn near(a: (f64, f64), b: (f64, f64)) -> bool {
    (a.0 - b.0).abs() < 0.01 && (a.1 - b.1).abs() < 0.01
}

fn is_upright([a, b, c, d]: [(f64, f64); 4]) -> bool {
    let flat = |p: (f64, f64), q: (f64, f64)| (p.1 - q.1).abs() < 0.01;
    let steep = |p: (f64, f64), q: (f64, f64)| (p.0 - q.0).abs() < 0.01;
    (flat(a, b) && steep(b, c) && flat(c, d) && steep(d, a)) || (steep(a, b) && flat(b, c) && steep(c, d) && flat(d, a))
}
