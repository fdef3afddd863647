//! The page being painted. Every glyph must end up where a reader sees it: on the page, inside the clip, large enough,
//! told from its background, and not painted over later.

use super::budget::Budget;
use super::colour::Shade;
use super::font::Shown;
use super::geometry::{Area, MM_PER_POINT};
use super::glyph_text::GlyphText;
use super::{Picture, Unreadable};

/// Text smaller than this is not read by people.
const MIN_TEXT_MM: f64 = 3.0 * MM_PER_POINT * 0.98;

/// The part of a glyph's middle that may be painted over: rules and strokes cross text, patches hide it.
const MAX_COVERED: f64 = 0.2;

/// One visible character, or several for a ligature.
#[derive(Debug, Clone)]
pub(super) struct Glyph {
    pub(super) text: GlyphText,
    pub(super) x0: f64,
    pub(super) x1: f64,
    /// Where the next glyph stands if nothing moves it.
    pub(super) pen: f64,
    pub(super) baseline: f64,
    pub(super) size: f64,
    /// White space and nothing else.
    pub(super) blank: bool,
    covered: f64,
}

impl Glyph {
    /// One of `shown` that stands from `x0` to `x1`; the next stands at `pen`.
    pub(super) fn new(shown: &Shown, [x0, x1, pen]: [f64; 3], baseline: f64, size: f64) -> Self {
        Self { text: shown.text.clone(), x0, x1, pen, baseline, size, blank: shown.is_blank, covered: 0.0 }
    }

    pub(super) fn is_blank(&self) -> bool {
        self.blank
    }

    /// Where its ink must be: the middle of its advance, from the baseline to the height of a capital.
    pub(super) fn core(&self) -> Area {
        let width = (self.x1 - self.x0).max(0.2 * self.size);
        Area {
            x0: self.x0 + 0.1 * width,
            x1: self.x0 + 0.9 * width,
            y0: self.baseline - 0.7 * self.size,
            y1: self.baseline - 0.05 * self.size,
        }
    }
}

/// Where painting shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Clip {
    /// Inside this rectangle.
    Inside(Area),
    /// A shape that is not a rectangle, within this box.
    Shape(Area),
}

impl Clip {
    pub(super) fn area(self) -> Area {
        match self {
            Self::Inside(area) | Self::Shape(area) => area,
        }
    }

    pub(super) fn within(self, area: Area) -> Self {
        match self {
            Self::Inside(own) => Self::Inside(own.intersect(area)),
            Self::Shape(own) => Self::Shape(own.intersect(area)),
        }
    }
}

/// A filled area, a stroke or a picture.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paint {
    pub(super) area: Area,
    /// It covers all of its area with one opaque colour.
    pub(super) solid: bool,
    pub(super) shade: Shade,
}

/// Glyphs of one text operator.
struct Segment {
    start: usize,
    end: usize,
    area: Area,
}

/// What has been painted so far.
pub(super) struct Canvas<'b> {
    paper: Area,
    budget: &'b Budget,
    pub(super) glyphs: Vec<Glyph>,
    pub(super) pictures: Vec<Picture>,
    segments: Vec<Segment>,
    paints: Vec<Paint>,
}

impl<'b> Canvas<'b> {
    pub(super) fn new(paper: Area, budget: &'b Budget) -> Self {
        // A usual page has a few hundred glyphs.
        let (glyphs, segments) = (Vec::with_capacity(256), Vec::with_capacity(32));
        Self { paper, budget, glyphs, pictures: Vec::new(), segments, paints: Vec::new() }
    }

    /// Looks at the glyphs of one text operator, those from `start` on, painted in `shades` under `clip`. White space is nothing
    /// that anybody needs to see.
    pub(super) fn text(&mut self, start: usize, shades: &[Shade], clip: Clip) -> Result<(), Unreadable> {
        let glyphs = self.glyphs.get(start..).unwrap_or_default();
        let mut around: Option<Area> = None;
        for glyph in glyphs.iter().filter(|g| !g.is_blank()) {
            let core = glyph.core();
            if glyph.size < MIN_TEXT_MM {
                return Err(Unreadable("tiny_text"));
            }
            if !self.paper.contains(core) {
                return Err(Unreadable("off_page"));
            }
            match clip {
                Clip::Inside(area) if area.grow(0.2).contains(core) => {}
                _ => return Err(Unreadable("clipped_text")),
            }
            around = Some(around.map_or(core, |a| a.union(core)));
        }
        if let Some(area) = around {
            self.check_background(glyphs, area, shades)?;
            self.segments.push(Segment { start, end: self.glyphs.len(), area });
        }
        Ok(())
    }

    /// Every background that may show behind a glyph must be told from it.
    fn check_background(&self, glyphs: &[Glyph], area: Area, shades: &[Shade]) -> Result<(), Unreadable> {
        self.budget.compare(self.paints.len())?;
        let behind: Vec<&Paint> = self.paints.iter().rev().filter(|p| p.area.touches(area)).collect();
        let readable = |background: Shade| {
            if shades.iter().any(|shade| shade.stands_out_on(background)) {
                return Ok(());
            }
            let unknown = shades.iter().all(|s| *s == Shade::Unknown);
            Err(Unreadable(match background {
                _ if unknown => "unknown_colour",
                Shade::Unknown => "unknown_background",
                Shade::Known(_) => "low_contrast",
            }))
        };
        if behind.is_empty() {
            return readable(Shade::WHITE);
        }
        self.budget.compare(behind.len().saturating_mul(glyphs.len()))?;
        for glyph in glyphs.iter().filter(|g| !g.is_blank()) {
            let core = glyph.core();
            let mut hidden = false;
            for paint in behind.iter().filter(|p| p.area.touches(core)) {
                readable(paint.shade)?;
                if paint.solid && paint.area.contains(core) {
                    hidden = true;
                    break;
                }
            }
            if !hidden {
                readable(Shade::WHITE)?;
            }
        }
        Ok(())
    }

    /// Adds a painted area; text that it hides makes the page unreadable.
    pub(super) fn paint(&mut self, paint: Paint) -> Result<(), Unreadable> {
        let area = paint.area.intersect(self.paper);
        if area.size() <= 0.0 {
            return Ok(());
        }
        self.budget.compare(self.segments.len())?;
        for segment in self.segments.iter().filter(|s| s.area.touches(area)) {
            let glyphs = self.glyphs.get_mut(segment.start..segment.end).unwrap_or_default();
            self.budget.compare(glyphs.len())?;
            for glyph in glyphs.iter_mut().filter(|g| !g.is_blank()) {
                let core = glyph.core();
                glyph.covered += core.intersect(area).size() / core.size().max(1e-6);
                if glyph.covered > MAX_COVERED {
                    return Err(Unreadable("covered_text"));
                }
            }
        }
        self.paints.push(Paint { area, ..paint });
        Ok(())
    }
}
