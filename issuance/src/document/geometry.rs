//! Matrices and boxes in millimetres from the top left of the page as it is read, so that every later question is a plain comparison.

use super::Unreadable;
use super::structure::PageNode;

/// Millimetres in a point.
pub(super) const MM_PER_POINT: f64 = 25.4 / 72.0;

/// `[a b c d e f]` as PDF writes it: `x' = a x + c y + e`, `y' = b x + d y + f`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Matrix(pub(super) [f64; 6]);

impl Matrix {
    pub(super) const IDENTITY: Self = Self([1.0, 0.0, 0.0, 1.0, 0.0, 0.0]);

    pub(super) const fn translate(x: f64, y: f64) -> Self {
        Self([1.0, 0.0, 0.0, 1.0, x, y])
    }

    /// First `self`, then `next`.
    pub(super) fn then(self, next: Self) -> Self {
        let ([a, b, c, d, e, f], [g, h, i, j, k, l]) = (self.0, next.0);
        Self([a * g + b * i, a * h + b * j, c * g + d * i, c * h + d * j, e * g + f * i + k, e * h + f * j + l])
    }

    /// Moves along its own first axis.
    pub(super) fn advance(&mut self, by: f64) {
        let [a, b, _, _, e, f] = &mut self.0;
        (*e, *f) = (by * *a + *e, by * *b + *f);
    }

    pub(super) fn apply(self, x: f64, y: f64) -> (f64, f64) {
        let [a, b, c, d, e, f] = self.0;
        (a * x + c * y + e, b * x + d * y + f)
    }

    /// Keeps rectangles upright: turned by a multiple of 90 degrees, or not at all.
    pub(super) fn keeps_rectangles(self) -> bool {
        let [a, b, c, d, ..] = self.0;
        let scale = 1e-4 * (a.abs() + b.abs() + c.abs() + d.abs());
        (b.abs() <= scale && c.abs() <= scale) || (a.abs() <= scale && d.abs() <= scale)
    }

    /// How much a length grows, on average.
    pub(super) fn scale(self) -> f64 {
        let [a, b, c, d, ..] = self.0;
        (a * d - b * c).abs().sqrt()
    }

    pub(super) fn is_finite(self) -> bool {
        self.0.iter().all(|v| v.is_finite())
    }
}

/// A box; `x0 <= x1`, `y0 <= y1`, y grows downwards on paper.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Area {
    pub(super) x0: f64,
    pub(super) y0: f64,
    pub(super) x1: f64,
    pub(super) y1: f64,
}

impl Area {
    /// The smallest box around these points; empty for none.
    pub(super) fn around(points: impl IntoIterator<Item = (f64, f64)>) -> Option<Self> {
        points.into_iter().map(|(x, y)| Self { x0: x, y0: y, x1: x, y1: y }).reduce(Self::union)
    }

    pub(super) fn union(self, other: Self) -> Self {
        Self {
            x0: self.x0.min(other.x0),
            y0: self.y0.min(other.y0),
            x1: self.x1.max(other.x1),
            y1: self.y1.max(other.y1),
        }
    }

    /// What both cover; may turn out empty, with no width or height.
    pub(super) fn intersect(self, other: Self) -> Self {
        let (x0, y0) = (self.x0.max(other.x0), self.y0.max(other.y0));
        Self { x0, y0, x1: self.x1.min(other.x1).max(x0), y1: self.y1.min(other.y1).max(y0) }
    }

    pub(super) fn grow(self, by: f64) -> Self {
        Self { x0: self.x0 - by, y0: self.y0 - by, x1: self.x1 + by, y1: self.y1 + by }
    }

    pub(super) fn contains(self, other: Self) -> bool {
        self.x0 <= other.x0 && self.y0 <= other.y0 && self.x1 >= other.x1 && self.y1 >= other.y1
    }

    pub(super) fn touches(self, other: Self) -> bool {
        self.x0 < other.x1 && other.x0 < self.x1 && self.y0 < other.y1 && other.y0 < self.y1
    }

    pub(super) fn size(self) -> f64 {
        (self.x1 - self.x0) * (self.y1 - self.y0)
    }
}

/// The visible page and the way from its user space to it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paper {
    pub(super) area: Area,
    pub(super) matrix: Matrix,
}

impl Paper {
    /// From the boxes, the rotation and the user unit of a page.
    pub(super) fn of(page: &PageNode<'_, '_>, user_unit: f64) -> Result<Self, Unreadable> {
        const BAD: Unreadable = Unreadable("page_box");
        let corners = |[a, b, c, d]: [f64; 4]| Area { x0: a.min(c), y0: b.min(d), x1: a.max(c), y1: b.max(d) };
        let media = corners(page.media_box);
        let shown = page.crop_box.map_or(media, |crop| corners(crop).intersect(media));
        let unit = user_unit * MM_PER_POINT;
        let (width, height) = (shown.x1 - shown.x0, shown.y1 - shown.y0);
        // Larger than any paper, or smaller than any card.
        let fits = |points: f64| (10.0..=5_000.0).contains(&(points * unit));
        if !(fits(width) && fits(height)) || page.rotate.fract() != 0.0 {
            return Err(BAD);
        }
        let turned = match page.rotate.rem_euclid(360.0) as u16 {
            0 => Matrix([1.0, 0.0, 0.0, -1.0, 0.0, height]),
            90 => Matrix([0.0, 1.0, 1.0, 0.0, 0.0, 0.0]),
            180 => Matrix([-1.0, 0.0, 0.0, 1.0, width, 0.0]),
            270 => Matrix([0.0, -1.0, -1.0, 0.0, height, width]),
            _ => return Err(BAD),
        };
        let matrix =
            Matrix::translate(-shown.x0, -shown.y0).then(turned).then(Matrix([unit, 0.0, 0.0, unit, 0.0, 0.0]));
        let (x1, y1) =
            if matches!(page.rotate.rem_euclid(180.0) as u16, 90) { (height, width) } else { (width, height) };
        Ok(Self { area: Area { x0: 0.0, y0: 0.0, x1: x1 * unit, y1: y1 * unit }, matrix })
    }
}
