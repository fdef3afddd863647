//! Reading a PDF the way a clerk does: only what a printer would put on the paper, in lines with places.
//!
//! Whatever a printer might show differently makes the whole document [`Unreadable`]; nothing is repaired or guessed.

mod budget;
mod canvas;
mod cid_font;
mod cmap;
mod colour;
mod content;
mod decrypt;
mod digest;
mod encoding;
mod file;
mod filter;
mod font;
mod geometry;
mod glyph_text;
mod inline_image;
mod interpreter;
mod known;
mod layout;
mod lex;
mod objects;
mod path;
mod predefined;
mod state;
mod structure;
mod text;
mod truetype;
mod value;
mod words;
mod xref;

use std::collections::BTreeMap;

use budget::Budget;
use canvas::{Canvas, Clip};
use decrypt::Cipher;
use file::File;
use geometry::Paper;
use interpreter::Interpreter;
use objects::{ObjectStreams, Objects};
use state::State;
use structure::PageNode;
use value::Value;

/// Bounds of one reading. Exceeding any is [`Unreadable`], never a crash or a hang.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Size of the file.
    pub max_file_bytes: usize,
    /// Pages.
    pub max_pages: usize,
    /// Indirect objects.
    pub max_objects: usize,
    /// All streams after decoding, together, and what is kept because of them.
    pub max_inflated_bytes: usize,
    /// Content operators, all pages together.
    pub max_operators: usize,
    /// Nesting of forms, arrays and dictionaries.
    pub max_depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_file_bytes: 4 << 20,
            max_pages: 64,
            max_objects: 20_000,
            max_inflated_bytes: 16 << 20,
            max_operators: 200_000,
            max_depth: 24,
        }
    }
}

/// Why a document cannot be vouched for; a stable word, safe for labels and logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub &'static str);

/// A line of visible text: glyphs that share a baseline and follow each other without a wide gap (a gap splits the line into runs).
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Text runs from left to right; a table row is one line with one run per cell.
    pub runs: Vec<Run>,
}

/// Text without a wide gap, and its box in millimetres from the top left of the page.
#[derive(Clone, PartialEq)]
pub struct Run {
    /// Unicode text as decoded; not normalized.
    pub text: String,
    /// Left edge.
    pub x_mm: f32,
    /// Top edge.
    pub y_mm: f32,
    /// Width.
    pub width_mm: f32,
    /// Height.
    pub height_mm: f32,
}

impl Line {
    /// The whole line, runs separated by one space.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for run in &self.runs {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(&run.text);
        }
        text
    }
}

impl Page {
    /// The texts of its lines, top to bottom.
    pub fn texts(&self) -> impl Iterator<Item = String> + '_ {
        self.lines.iter().map(Line::text)
    }
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Run({} chars at {:.1},{:.1})", self.text.chars().count(), self.x_mm, self.y_mm)
    }
}

/// One page, top to bottom.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Page {
    /// Paper width.
    pub width_mm: f32,
    /// Paper height.
    pub height_mm: f32,
    /// Lines from top to bottom.
    pub lines: Vec<Line>,
    /// Images in the order in which they were painted.
    pub pictures: Vec<Picture>,
}

/// An image that was painted: a digest of its bytes and its box in millimetres from the top left of the page.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// BLAKE3 of its size and its bytes as stored.
    pub digest: [u8; 32],
    /// Left edge.
    pub x_mm: f32,
    /// Top edge.
    pub y_mm: f32,
    /// Width.
    pub width_mm: f32,
    /// Height.
    pub height_mm: f32,
}

/// A whole document that could be read.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// At least one page, each with at least one line of text.
    pub pages: Vec<Page>,
    /// BLAKE3 of all pages' text, places and images, without metadata: the same paper gives the same digest.
    pub content_digest: [u8; 32],
}

/// Reads every page, or says why the document cannot be vouched for.
pub fn read(bytes: &[u8], limits: &Limits) -> Result<Document, Unreadable> {
    if bytes.len() > limits.max_file_bytes {
        return Err(Unreadable("too_large"));
    }
    let budget = Budget::new(limits);
    let file = File::examine(bytes, limits, &budget)?;
    let cipher = Cipher::open(&file)?;
    let streams = ObjectStreams::decode(&file, cipher.as_ref(), &budget)?;
    let objects = Objects::assemble(file, &streams, cipher.as_ref(), &budget)?;
    let layers = structure::examine(&objects)?;
    let nodes = structure::pages(&objects, limits)?;
    if nodes.is_empty() {
        return Err(Unreadable("no_text"));
    }
    let mut interpreter = Interpreter { objects: &objects, budget: &budget, layers: &layers, fonts: BTreeMap::new() };
    let pages = nodes.iter().map(|node| read_page(&mut interpreter, node)).collect::<Result<_, _>>()?;
    Ok(Document::from_pages(pages))
}

fn read_page<'o, 'a>(interpreter: &mut Interpreter<'o, 'a>, node: &PageNode<'o, 'a>) -> Result<Page, Unreadable> {
    let objects = interpreter.objects;
    let unit = objects.number(node.dict, b"UserUnit")?.unwrap_or(1.0);
    let paper = Paper::of(node, unit)?;
    let mut canvas = Canvas::new(paper.area, interpreter.budget);
    let state = State::initial(paper.matrix, Clip::Inside(paper.area));
    let content = content_of(objects, node, interpreter.budget)?;
    interpreter.run(&content, node.resources, state, &mut canvas, interpreter.budget.depth)?;
    let lines = layout::lines(&canvas.glyphs, interpreter.budget)?;
    if lines.is_empty() {
        return Err(Unreadable("no_text"));
    }
    let (width_mm, height_mm) = (paper.area.x1 as f32, paper.area.y1 as f32);
    Ok(Page { width_mm, height_mm, lines, pictures: canvas.pictures })
}

/// The content streams of a page as one; no token reaches across two of them.
fn content_of(objects: &Objects<'_>, node: &PageNode<'_, '_>, budget: &Budget) -> Result<Vec<u8>, Unreadable> {
    let contents = node.dict.raw(b"Contents");
    let single = std::slice::from_ref(contents);
    let parts = match objects.resolve(contents)? {
        Value::Null => return Err(Unreadable("no_text")),
        Value::Array(parts) => parts.as_slice(),
        _ => single,
    };
    let mut content = Vec::new();
    for part in parts {
        let stream = objects.stream(part).ok_or(Unreadable("malformed"))?;
        content.extend_from_slice(&objects.decode(stream, budget)?);
        content.push(b'\n');
    }
    Ok(content)
}

/// Parses what is shared by all documents (predefined character maps), so that the first document is not slow.
pub fn warm() {
    predefined::warm();
}
