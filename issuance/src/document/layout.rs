//! From glyphs to lines: glyphs that follow each other are a run, runs on one baseline are a line. Texts on top of each other are unreadable.

use super::budget::Budget;
use super::canvas::Glyph;
use super::{Line, Run, Unreadable};

/// Gaps in units of the font size: wider than the first is a space, wider than the second begins a new run.
const SPACE: f64 = 0.3;
const NEW_RUN: f64 = 1.2;

/// Baselines nearer than this, in units of the font size, are one line.
const SAME_LINE: f64 = 0.35;

/// The part of a glyph's advance that another may stand on before neither can be read.
const MAX_OVERLAP: f64 = 0.5;

/// Height of a line above its baseline, in units of the font size; the rest is below.
const ASCENT: f64 = 0.88;

/// Sorts the glyphs of a page into lines.
pub(super) fn lines(glyphs: &[Glyph], budget: &Budget) -> Result<Vec<Line>, Unreadable> {
    let mut fragments = fragments(glyphs);
    fragments.sort_by(|a, b| a.baseline.total_cmp(&b.baseline));
    let mut lines = Vec::new();
    let mut rest = fragments.as_mut_slice();
    while let Some(first) = rest.first() {
        let (mut baseline, size) = (first.baseline, first.size);
        let mut count = 0;
        for fragment in rest.iter() {
            if fragment.baseline - baseline > SAME_LINE * size.min(fragment.size) {
                break;
            }
            // A slowly sinking row is followed, by no more than a fraction of each step.
            baseline = baseline.max(fragment.baseline - 0.5 * SAME_LINE * size.min(fragment.size));
            count += 1;
        }
        let (line, tail) = rest.split_at_mut(count);
        line.sort_by(|a, b| a.x0().total_cmp(&b.x0()));
        let runs = runs(line, budget)?;
        if !runs.is_empty() {
            lines.push(Line { runs });
        }
        rest = tail;
    }
    Ok(lines)
}

/// Glyphs painted one after the other, each where the one before left off.
struct Fragment<'g> {
    glyphs: &'g [Glyph],
    baseline: f64,
    size: f64,
}

impl Fragment<'_> {
    fn x0(&self) -> f64 {
        self.glyphs.first().map_or(0.0, |g| g.x0)
    }
}

fn fragments(glyphs: &[Glyph]) -> Vec<Fragment<'_>> {
    let follows = |a: &Glyph, b: &Glyph| {
        let gap = (b.x0 - a.pen) / a.size;
        (a.baseline - b.baseline).abs() < 0.05 * a.size && (a.size - b.size).abs() < 0.1 * a.size && gap.abs() < SPACE
    };
    glyphs
        .chunk_by(follows)
        .filter_map(|chunk| {
            let start = chunk.iter().position(|g| !g.is_blank())?;
            let end = chunk.iter().rposition(|g| !g.is_blank())? + 1;
            let glyphs = chunk.get(start..end)?;
            glyphs.first().map(|first| Fragment { glyphs, baseline: first.baseline, size: first.size })
        })
        .collect()
}

fn runs(line: &[Fragment<'_>], budget: &Budget) -> Result<Vec<Run>, Unreadable> {
    let mut open: Option<OpenRun> = None;
    let mut runs = Vec::new();
    let mut placed: Vec<&Fragment<'_>> = Vec::new();
    for fragment in line {
        if repeats(fragment, &placed, budget)? {
            continue;
        }
        placed.push(fragment);
        match &mut open {
            Some(run) if (fragment.x0() - run.pen) / run.size.min(fragment.size) < NEW_RUN => run.join(fragment),
            open => runs.extend(open.replace(OpenRun::begin(fragment)).map(OpenRun::close)),
        }
    }
    runs.extend(open.map(OpenRun::close));
    Ok(runs)
}

/// Whether a fragment is an earlier one painted again to look bold. Standing on any other text makes both unreadable.
fn repeats(fragment: &Fragment<'_>, placed: &[&Fragment<'_>], budget: &Budget) -> Result<bool, Unreadable> {
    let mut repeated = 0;
    for other in placed.iter().rev() {
        budget.compare(1)?;
        if !other.glyphs.last().is_some_and(|last| last.x1 > fragment.x0()) {
            continue;
        }
        budget.compare(fragment.glyphs.len().saturating_mul(other.glyphs.len()))?;
        for glyph in fragment.glyphs.iter().filter(|g| !g.is_blank()) {
            for under in other.glyphs.iter().filter(|g| !g.is_blank()) {
                let width = (glyph.x1 - glyph.x0).min(under.x1 - under.x0);
                let shared = glyph.x1.min(under.x1) - glyph.x0.max(under.x0);
                if width <= 0.0 || shared <= MAX_OVERLAP * width {
                    continue;
                }
                let again = glyph.text == under.text && (glyph.x0 - under.x0).abs() < 0.15 * glyph.size;
                if !again {
                    return Err(Unreadable("overlapping_text"));
                }
                repeated += 1;
            }
        }
    }
    match fragment.glyphs.iter().filter(|g| !g.is_blank()).count() {
        all if repeated == all => Ok(true),
        _ if repeated == 0 => Ok(false),
        _ => Err(Unreadable("overlapping_text")),
    }
}

struct OpenRun {
    text: String,
    x0: f64,
    x1: f64,
    pen: f64,
    top: f64,
    bottom: f64,
    size: f64,
}

impl OpenRun {
    fn begin(fragment: &Fragment<'_>) -> Self {
        let mut run = Self {
            text: String::with_capacity(fragment.glyphs.len() * 3),
            x0: fragment.x0(),
            x1: fragment.x0(),
            pen: fragment.x0(),
            top: f64::MAX,
            bottom: f64::MIN,
            size: fragment.size,
        };
        run.join(fragment);
        run
    }

    fn join(&mut self, fragment: &Fragment<'_>) {
        if !self.text.is_empty() && (fragment.x0() - self.pen) / self.size.min(fragment.size) > SPACE {
            self.text.push(' ');
        }
        for glyph in fragment.glyphs {
            glyph.text.push_to(&mut self.text);
            self.x1 = self.x1.max(glyph.x1);
            self.pen = self.pen.max(glyph.pen);
        }
        self.top = self.top.min(fragment.baseline - ASCENT * fragment.size);
        self.bottom = self.bottom.max(fragment.baseline + (1.0 - ASCENT) * fragment.size);
        self.size = fragment.size;
    }

    fn close(self) -> Run {
        Run {
            text: self.text,
            x_mm: self.x0 as f32,
            y_mm: self.top as f32,
            width_mm: (self.x1 - self.x0) as f32,
            height_mm: (self.bottom - self.top) as f32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Limits;
    use crate::document::font::Shown;

    /// One glyph of 4 mm per character, from `x` on.
    fn word(text: &str, x: f64, baseline: f64) -> Vec<Glyph> {
        let mut at = x;
        let glyph = |c: char| {
            let glyph = Glyph::new(&Shown::new(c.into(), 1000.0, false), [at, at + 4.0, at + 4.0], baseline, 4.0);
            at += 4.0;
            glyph
        };
        text.chars().map(glyph).collect()
    }

    fn texts(words: &[Vec<Glyph>]) -> Result<Vec<Vec<String>>, Unreadable> {
        let glyphs = words.concat();
        let lines = lines(&glyphs, &Budget::new(&Limits::default()))?;
        Ok(lines.into_iter().map(|l| l.runs.into_iter().map(|r| r.text).collect()).collect())
    }

    #[test]
    fn wide_gaps_split_runs_and_narrow_ones_are_spaces() {
        let words =
            [word("花子", 60.0, 20.0), word("氏名", 20.0, 20.3), word("見本", 50.0, 20.0), word("住所", 20.0, 28.0)];
        assert_eq!(texts(&words).unwrap(), [vec!["氏名".to_owned(), "見本 花子".to_owned()], vec!["住所".to_owned()]]);
    }

    #[test]
    fn text_painted_twice_to_look_bold_is_read_once() {
        let words = [word("見本", 20.0, 20.0), word("見本", 20.2, 20.1)];
        assert_eq!(texts(&words).unwrap(), [["見本"]]);
    }

    #[test]
    fn text_on_top_of_other_text_is_unreadable() {
        let words = [word("見本", 20.0, 20.0), word("花子", 20.5, 20.0)];
        assert_eq!(texts(&words), Err(Unreadable("overlapping_text")));
    }
}
