//! Runs the content of a page (ISO 32000-2, 8 and 9) onto a [`Canvas`]: graphics state, paths, pictures, forms and marks.
//! Text operators are in [`super::text`].

use std::collections::BTreeMap;
use std::rc::Rc;

use super::budget::Budget;
use super::canvas::{Canvas, Clip, Paint};
use super::colour::{Shade, Space};
use super::content::{Content, Step};
use super::font::Font;
use super::geometry::{Area, Matrix};
use super::objects::{Objects, Stream};
use super::path::Path;
use super::state::{Ink, State};
use super::structure::Layers;
use super::text::TextObject;
use super::value::{Dict, Value};
use super::words::same_words;
use super::{Picture, Unreadable};

const MALFORMED: Unreadable = Unreadable("malformed_content");

/// Saved graphics states of one content stream.
const MAX_SAVED: usize = 256;

/// Lines thinner than this cross text without hiding it.
const THICK_LINE_MM: f64 = 0.6;

/// What content can refer to; fonts are read once per document.
pub(super) struct Interpreter<'o, 'a> {
    pub(super) objects: &'o Objects<'a>,
    pub(super) budget: &'o Budget,
    pub(super) layers: &'o Layers,
    pub(super) fonts: BTreeMap<u32, Rc<Font>>,
}

/// An open marked-content sequence.
struct Mark {
    /// Text from here on is inside it.
    start: usize,
    /// What it claims that its text says.
    instead: Option<String>,
    /// It belongs to a layer that is not certainly printed.
    hidden: bool,
}

/// One content stream being run.
pub(super) struct Run<'r, 'o, 'a> {
    pub(super) interpreter: &'r mut Interpreter<'o, 'a>,
    pub(super) canvas: &'r mut Canvas<'o>,
    resources: Option<&'o Dict<'a>>,
    pub(super) state: State,
    saved: Vec<State>,
    path: Path,
    clip_next: bool,
    marks: Vec<Mark>,
    pub(super) text: Option<TextObject>,
    ignoring: bool,
    depth: usize,
}

impl<'o, 'a> Interpreter<'o, 'a> {
    /// Runs a page's content, or an appearance's.
    pub(super) fn run(
        &mut self,
        content: &[u8],
        resources: Option<&'o Dict<'a>>,
        state: State,
        canvas: &mut Canvas<'o>,
        depth: usize,
    ) -> Result<(), Unreadable> {
        let mut run = Run {
            interpreter: self,
            canvas,
            resources,
            state,
            saved: Vec::new(),
            path: Path::default(),
            clip_next: false,
            marks: Vec::new(),
            text: None,
            ignoring: false,
            depth,
        };
        run.check_default_spaces()?;
        let mut content = Content::new(content, run.interpreter.budget);
        while let Some(step) = content.next()? {
            match step {
                Step::Operator(operator) => run.operator(operator, &content)?,
                Step::InlineImage(image) => {
                    let mask = [&b"IM"[..], b"ImageMask"].iter().any(|k| *image.dict.raw(k) == Value::Bool(true));
                    run.picture(&image.dict, image.data, mask, false)?;
                }
            }
        }
        if run.marks.is_empty() && run.text.is_none() { Ok(()) } else { Err(MALFORMED) }
    }
}

impl<'o, 'a> Run<'_, 'o, 'a> {
    fn operator(&mut self, operator: &[u8], content: &Content<'_, '_>) -> Result<(), Unreadable> {
        match operator {
            b"q" => {
                if self.saved.len() >= MAX_SAVED {
                    return Err(Unreadable("too_deep"));
                }
                self.saved.push(self.state.clone());
            }
            b"Q" => self.state = self.saved.pop().ok_or(MALFORMED)?,
            b"cm" => {
                let matrix = Matrix(content.numbers()?).then(self.state.matrix);
                self.state.matrix = if matrix.is_finite() { matrix } else { return Err(MALFORMED) };
            }
            b"w" => self.state.line_width = content.numbers::<1>()?[0],
            b"J" | b"j" | b"M" | b"i" => drop(content.numbers::<1>()?),
            b"d" | b"ri" => {}
            b"gs" => self.graphics_state(content.name()?)?,
            b"m" | b"l" | b"c" | b"v" | b"y" | b"h" | b"re" => self.construct(operator, content)?,
            b"S" => self.paint_path(false, true)?,
            b"s" => {
                self.path.close();
                self.paint_path(false, true)?;
            }
            b"f" | b"F" | b"f*" => self.paint_path(true, false)?,
            b"B" | b"B*" => self.paint_path(true, true)?,
            b"b" | b"b*" => {
                self.path.close();
                self.paint_path(true, true)?;
            }
            b"n" => self.paint_path(false, false)?,
            b"W" | b"W*" => self.clip_next = true,
            b"g" => self.state.fill.set(Space::Gray, &content.numbers::<1>()?),
            b"G" => self.state.stroke.set(Space::Gray, &content.numbers::<1>()?),
            b"rg" => self.state.fill.set(Space::Rgb, &content.numbers::<3>()?),
            b"RG" => self.state.stroke.set(Space::Rgb, &content.numbers::<3>()?),
            b"k" => self.state.fill.set(Space::Cmyk, &content.numbers::<4>()?),
            b"K" => self.state.stroke.set(Space::Cmyk, &content.numbers::<4>()?),
            b"cs" | b"CS" => {
                let space = self.space(content.one()?)?;
                let ink = self.ink(operator == b"CS");
                ink.space = space;
                ink.shade = space.initial();
            }
            b"sc" | b"scn" | b"SC" | b"SCN" => self.set_colour(matches!(operator, b"SC" | b"SCN"), content)?,
            b"sh" => {
                let area = self.state.clip.area();
                self.canvas.paint(Paint { area, solid: false, shade: Shade::Unknown })?;
            }
            b"Do" => self.external_object(content.name()?)?,
            b"BMC" => self.begin_mark(None, content.name()?)?,
            b"BDC" => {
                let [tag, properties] = content.operands.as_slice() else { return Err(MALFORMED) };
                self.begin_mark(Some(properties), tag.name().ok_or(MALFORMED)?)?;
            }
            b"EMC" => self.end_mark()?,
            b"MP" | b"DP" => {}
            b"BX" => self.ignoring = true,
            b"EX" => self.ignoring = false,
            _ => return self.text_operator(operator, content),
        }
        Ok(())
    }

    /// Unknown operators are allowed only where the content says that they may be ignored.
    pub(super) fn unknown_operator(&self) -> Result<(), Unreadable> {
        if self.ignoring { Ok(()) } else { Err(Unreadable("unknown_operator")) }
    }

    fn ink(&mut self, stroking: bool) -> &mut Ink {
        if stroking { &mut self.state.stroke } else { &mut self.state.fill }
    }

    /// A category of the current resources, and an entry in it.
    pub(super) fn resource(&self, category: &[u8], name: &[u8]) -> Result<&'o Value<'a>, Unreadable> {
        let category = match self.resources {
            Some(resources) => self.interpreter.objects.dict(resources, category)?,
            None => None,
        };
        match category.map(|c| c.raw(name)) {
            None | Some(Value::Null) => Err(Unreadable("missing_resource")),
            Some(value) => Ok(value),
        }
    }

    /// A resource may replace the device spaces; only by what they would have meant anyway.
    fn check_default_spaces(&self) -> Result<(), Unreadable> {
        let Some(resources) = self.resources else { return Ok(()) };
        let objects = self.interpreter.objects;
        let Some(spaces) = objects.dict(resources, b"ColorSpace")? else { return Ok(()) };
        for (key, device) in
            [(&b"DefaultGray"[..], Space::Gray), (b"DefaultRGB", Space::Rgb), (b"DefaultCMYK", Space::Cmyk)]
        {
            let value = spaces.raw(key);
            if !value.is_null() && Space::read(objects, value, None)? != device {
                return Err(Unreadable("unknown_colour"));
            }
        }
        Ok(())
    }

    fn space(&self, operand: &Value<'_>) -> Result<Space, Unreadable> {
        let objects = self.interpreter.objects;
        let name = operand.name().ok_or(MALFORMED)?;
        match name {
            b"DeviceGray" => Ok(Space::Gray),
            b"DeviceRGB" => Ok(Space::Rgb),
            b"DeviceCMYK" => Ok(Space::Cmyk),
            b"Pattern" => Ok(Space::Pattern),
            name => Space::read(objects, self.resource(b"ColorSpace", name)?, None),
        }
    }

    fn set_colour(&mut self, stroking: bool, content: &Content<'_, '_>) -> Result<(), Unreadable> {
        let ink = self.ink(stroking);
        match ink.space.components() {
            Some(components) if components == content.operands.len() => {
                let numbers: Option<Vec<f64>> = content.operands.iter().map(Value::number).collect();
                ink.set(ink.space, &numbers.ok_or(MALFORMED)?);
            }
            Some(_) => return Err(MALFORMED),
            None => ink.shade = Shade::Unknown,
        }
        Ok(())
    }

    fn graphics_state(&mut self, name: &[u8]) -> Result<(), Unreadable> {
        let objects = self.interpreter.objects;
        let dict = objects.resolve(self.resource(b"ExtGState", name)?)?.dict().ok_or(MALFORMED)?;
        self.state.apply(objects, dict)?;
        if let Some([font, size]) = objects.array(dict, b"Font")?.and_then(|f| f.first_chunk::<2>()) {
            let size = objects.resolve(size)?.number().ok_or(MALFORMED)?;
            self.set_font(font, size)?;
        }
        Ok(())
    }

    fn construct(&mut self, operator: &[u8], content: &Content<'_, '_>) -> Result<(), Unreadable> {
        // What a piece of a path costs to keep.
        self.interpreter.budget.inflate(256)?;
        let matrix = self.state.matrix;
        let at = |[x, y]: [f64; 2]| matrix.apply(x, y);
        match operator {
            b"m" => self.path.move_to(at(content.numbers()?)),
            b"l" => self.path.line_to(at(content.numbers()?)),
            b"c" => {
                let [a, b, c, d, e, f] = content.numbers()?;
                self.path.curve_to([at([a, b]), at([c, d]), at([e, f])]);
            }
            b"v" => {
                let [c, d, e, f] = content.numbers()?;
                self.path.curve_to([self.path.current, at([c, d]), at([e, f])]);
            }
            b"y" => {
                let [a, b, e, f] = content.numbers()?;
                self.path.curve_to([at([a, b]), at([e, f]), at([e, f])]);
            }
            b"h" => self.path.close(),
            _ => self.path.rectangle(matrix, content.numbers()?),
        }
        Ok(())
    }

    fn paint_path(&mut self, fill: bool, stroke: bool) -> Result<(), Unreadable> {
        let path = self.path.take();
        let clip = self.state.clip;
        let veiled = self.state.is_veiled();
        let Ink { shade, .. } = self.state.fill;
        let solid = self.state.fill.is_opaque() && !veiled && matches!(clip, Clip::Inside(_));
        let shown = |area: Area| area.intersect(clip.area());
        if fill {
            // Rectangles in one path may cancel each other out (8.5.3.3).
            let solid = solid && path.rectangles.len() == 1 && path.shapes.is_empty();
            for area in &path.rectangles {
                self.canvas.paint(Paint { area: shown(*area), solid, shade })?;
            }
            for area in &path.shapes {
                self.canvas.paint(Paint { area: shown(*area), solid: false, shade })?;
            }
        }
        if stroke {
            let width = (self.state.line_width * self.state.matrix.scale()).abs();
            let shade = self.state.stroke.shade;
            if width > THICK_LINE_MM {
                for area in path.lines.iter().chain(path.shapes.iter()) {
                    self.canvas.paint(Paint { area: shown(area.grow(width / 2.0)), solid: false, shade })?;
                }
            }
        }
        if std::mem::take(&mut self.clip_next) {
            self.state.clip = match (path.rectangles.as_slice(), path.shapes.as_slice()) {
                ([area], []) => clip.within(*area),
                ([], []) => clip.within(Area { x0: 0.0, y0: 0.0, x1: 0.0, y1: 0.0 }),
                (rectangles, shapes) => {
                    let around = rectangles.iter().chain(shapes).copied().reduce(Area::union);
                    Clip::Shape(clip.area().intersect(around.unwrap_or(clip.area())))
                }
            };
        }
        Ok(())
    }

    fn external_object(&mut self, name: &[u8]) -> Result<(), Unreadable> {
        let objects = self.interpreter.objects;
        let stream = objects.stream(self.resource(b"XObject", name)?).ok_or(MALFORMED)?;
        let layer = stream.dict.raw(b"OC");
        let hidden = !layer.is_null() && !self.interpreter.layers.is_on(layer);
        match objects.name(stream.dict, b"Subtype")? {
            Some(b"Image") => {
                let mask = *objects.get(stream.dict, b"ImageMask")? == Value::Bool(true);
                let softened = [&b"SMask"[..], b"Mask", b"SMaskInData"].iter().any(|k| !stream.dict.raw(k).is_null());
                self.picture(stream.dict, stream.data, mask, softened || hidden)
            }
            Some(b"Form") => {
                let before = self.canvas.glyphs.len();
                self.form(stream)?;
                if hidden && self.canvas.glyphs.len() > before { Err(Unreadable("hidden_layer")) } else { Ok(()) }
            }
            _ => Err(Unreadable("unknown_xobject")),
        }
    }

    /// A picture covers the unit square (8.9.5), or with a mask parts of it.
    fn picture(&mut self, dict: &Dict<'_>, data: &[u8], mask: bool, softened: bool) -> Result<(), Unreadable> {
        let matrix = self.state.matrix;
        let corners = [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)].map(|(x, y)| matrix.apply(x, y));
        let area = Area::around(corners).ok_or(MALFORMED)?;
        let solid = matrix.keeps_rectangles() && !mask && !softened && !self.state.is_veiled();
        let shade = if mask { self.state.fill.shade } else { Shade::Unknown };
        let mut hasher = blake3::Hasher::new();
        for key in [&b"Width"[..], b"W", b"Height", b"H", b"BitsPerComponent", b"BPC"] {
            let number = self.interpreter.objects.resolve_number(dict.raw(key));
            hasher.update(&number.unwrap_or(0.0).to_be_bytes());
        }
        hasher.update(data);
        self.canvas.pictures.push(Picture {
            digest: hasher.finalize().into(),
            x_mm: area.x0 as f32,
            y_mm: area.y0 as f32,
            width_mm: (area.x1 - area.x0) as f32,
            height_mm: (area.y1 - area.y0) as f32,
        });
        let solid = solid && matches!(self.state.clip, Clip::Inside(_));
        self.canvas.paint(Paint { area: area.intersect(self.state.clip.area()), solid, shade })
    }

    /// Runs a form in its own space, clipped to its box, with its own resources (8.10).
    fn form(&mut self, stream: Stream<'o, 'a>) -> Result<(), Unreadable> {
        let objects = self.interpreter.objects;
        let depth = self.depth.checked_sub(1).ok_or(Unreadable("too_deep"))?;
        let mut state = self.state.clone();
        if let Some(matrix) = objects.numbers(stream.dict.raw(b"Matrix"))? {
            state.matrix = Matrix(matrix).then(state.matrix);
        }
        let [x0, y0, x1, y1] = objects.numbers(stream.dict.raw(b"BBox"))?.ok_or(MALFORMED)?;
        let corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)].map(|(x, y)| state.matrix.apply(x, y));
        let bounds = Area::around(corners).ok_or(MALFORMED)?;
        state.clip = if state.matrix.keeps_rectangles() {
            state.clip.within(bounds)
        } else {
            Clip::Shape(state.clip.area().intersect(bounds))
        };
        if !objects.get(stream.dict, b"Group")?.is_null() {
            // A group is composited as a whole: what veils it veils everything in it, whatever it sets itself.
            state.group_veiled = state.is_veiled() || !state.fill.is_opaque();
            state.veiled = false;
            state.fill.alpha = 1.0;
            state.stroke.alpha = 1.0;
        }
        if !objects.get(stream.dict, b"Ref")?.is_null() {
            return Err(Unreadable("external_data"));
        }
        let resources = objects.dict(stream.dict, b"Resources")?.or(self.resources);
        let content = objects.decode(stream, self.interpreter.budget)?;
        self.interpreter.run(&content, resources, state, self.canvas, depth)
    }

    fn begin_mark(&mut self, properties: Option<&Value<'_>>, tag: &[u8]) -> Result<(), Unreadable> {
        if self.marks.len() >= self.interpreter.budget.depth.saturating_mul(4) {
            return Err(Unreadable("too_deep"));
        }
        let objects = self.interpreter.objects;
        let mut mark = Mark { start: self.canvas.glyphs.len(), instead: None, hidden: tag == b"OC" };
        match properties {
            Some(Value::Name(name)) => {
                let value = self.resource(b"Properties", name)?;
                mark.hidden = tag == b"OC" && !self.interpreter.layers.is_on(value);
                if let Some(dict) = objects.resolve(value)?.dict() {
                    mark.instead = replacement(dict)?;
                }
            }
            Some(Value::Dict(dict)) => mark.instead = replacement(dict)?,
            Some(_) => return Err(MALFORMED),
            None => {}
        }
        self.marks.push(mark);
        Ok(())
    }

    fn end_mark(&mut self) -> Result<(), Unreadable> {
        let mark = self.marks.pop().ok_or(MALFORMED)?;
        let inside = self.canvas.glyphs.get(mark.start..).unwrap_or_default();
        if mark.hidden && inside.iter().any(|g| !g.is_blank()) {
            return Err(Unreadable("hidden_layer"));
        }
        if let Some(instead) = mark.instead {
            self.interpreter.budget.compare(inside.len())?;
            let mut text = String::new();
            inside.iter().for_each(|glyph| glyph.text.push_to(&mut text));
            // What is said of a picture replaces no text.
            if !inside.is_empty() && !same_words(&text, &instead) {
                return Err(Unreadable("replaced_text"));
            }
        }
        Ok(())
    }
}

/// What a property list claims that the marked text says: ActualText, an expansion, or an alternate description.
fn replacement(dict: &Dict<'_>) -> Result<Option<String>, Unreadable> {
    let mut found = None;
    for key in [&b"Alt"[..], b"E", b"ActualText"] {
        let value = dict.raw(key);
        if value.is_null() {
            continue;
        }
        let text = text_string(value.string().ok_or(Unreadable("replaced_text"))?);
        found = Some(text.ok_or(Unreadable("replaced_text"))?);
    }
    Ok(found)
}

/// A text string (7.9.2.2): UTF-16 with a mark, UTF-8 with a mark, or ASCII; other PDFDocEncoding is not decoded.
fn text_string(bytes: &[u8]) -> Option<String> {
    match bytes {
        [0xfe, 0xff, units @ ..] if units.len().is_multiple_of(2) => {
            let units: Vec<u16> =
                units.chunks_exact(2).map(|b| b.iter().fold(0, |unit, b| unit << 8 | u16::from(*b))).collect();
            String::from_utf16(&units).ok()
        }
        [0xef, 0xbb, 0xbf, text @ ..] => String::from_utf8(text.to_vec()).ok(),
        ascii if ascii.is_ascii() => String::from_utf8(ascii.to_vec()).ok(),
        _ => None,
    }
}
