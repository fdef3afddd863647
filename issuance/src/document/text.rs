//! Text objects and operators (ISO 32000-2, 9.3 and 9.4): where each glyph stands on the page.

use std::rc::Rc;

use super::Unreadable;
use super::canvas::Glyph;
use super::content::Content;
use super::font::Font;
use super::geometry::Matrix;
use super::interpreter::Run;
use super::value::Value;

const MALFORMED: Unreadable = Unreadable("malformed_content");

/// The matrices between `BT` and `ET`.
#[derive(Clone, Copy)]
pub(super) struct TextObject {
    matrix: Matrix,
    line: Matrix,
}

impl<'o, 'a> Run<'_, 'o, 'a> {
    pub(super) fn text_operator(&mut self, operator: &[u8], content: &Content<'_, '_>) -> Result<(), Unreadable> {
        let one = || content.numbers::<1>().map(|[n]| n);
        match operator {
            b"BT" => {
                let begun = TextObject { matrix: Matrix::IDENTITY, line: Matrix::IDENTITY };
                if self.text.replace(begun).is_some() {
                    return Err(MALFORMED);
                }
            }
            b"ET" => drop(self.text.take().ok_or(MALFORMED)?),
            b"Tc" => self.state.text.character_spacing = one()?,
            b"Tw" => self.state.text.word_spacing = one()?,
            b"Tz" => self.state.text.scale = one()? / 100.0,
            b"TL" => self.state.text.leading = one()?,
            b"Ts" => self.state.text.rise = one()?,
            b"Tr" => {
                let mode = content.one()?.unsigned().filter(|mode| *mode <= 7);
                self.state.text.mode = mode.ok_or(MALFORMED)?;
            }
            b"Tf" => {
                let [name, size] = content.operands.as_slice() else { return Err(MALFORMED) };
                let font = self.resource(b"Font", name.name().ok_or(MALFORMED)?)?;
                self.set_font(font, size.number().ok_or(MALFORMED)?)?;
            }
            b"Td" => self.next_line(content.numbers()?)?,
            b"TD" => {
                let [x, y] = content.numbers()?;
                self.state.text.leading = -y;
                self.next_line([x, y])?;
            }
            b"Tm" => {
                let matrix = Matrix(content.numbers()?);
                let text = self.text.as_mut().ok_or(MALFORMED)?;
                (text.matrix, text.line) = (matrix, matrix);
            }
            b"T*" => self.next_line([0.0, -self.state.text.leading])?,
            b"Tj" | b"'" => {
                if operator == b"'" {
                    self.next_line([0.0, -self.state.text.leading])?;
                }
                self.show(content.operands.get(..1).filter(|_| content.operands.len() == 1).ok_or(MALFORMED)?)?;
            }
            b"\"" => {
                let [word, character, string] = content.operands.as_slice() else { return Err(MALFORMED) };
                self.state.text.word_spacing = word.number().ok_or(MALFORMED)?;
                self.state.text.character_spacing = character.number().ok_or(MALFORMED)?;
                self.next_line([0.0, -self.state.text.leading])?;
                self.show(std::slice::from_ref(string))?;
            }
            b"TJ" => self.show(content.one()?.array().ok_or(MALFORMED)?)?,
            _ => self.unknown_operator()?,
        }
        Ok(())
    }

    /// Takes a font from the cache, or reads it; a font without a number of its own is read each time.
    pub(super) fn set_font(&mut self, font: &'o Value<'a>, size: f64) -> Result<(), Unreadable> {
        let objects = self.interpreter.objects;
        let number = if let Value::Reference(number) = font { Some(*number) } else { None };
        let cached = number.and_then(|number| self.interpreter.fonts.get(&number).cloned());
        let read = match cached {
            Some(font) => font,
            None => {
                let dict = objects.resolve(font)?.dict().ok_or(Unreadable("malformed_font"))?;
                // A font's own tables cost memory beyond its streams.
                self.interpreter.budget.inflate(16 << 10)?;
                let read = Rc::new(Font::read(objects, dict, self.interpreter.budget)?);
                self.interpreter.fonts.extend(number.map(|number| (number, Rc::clone(&read))));
                read
            }
        };
        self.state.text.font = Some(read);
        self.state.text.size = size;
        Ok(())
    }

    fn next_line(&mut self, [x, y]: [f64; 2]) -> Result<(), Unreadable> {
        let text = self.text.as_mut().ok_or(MALFORMED)?;
        text.line = Matrix::translate(x, y).then(text.line);
        text.matrix = text.line;
        Ok(())
    }

    /// Shows strings, moved apart by the numbers between them.
    fn show(&mut self, items: &[Value<'_>]) -> Result<(), Unreadable> {
        let mut text = self.text.ok_or(MALFORMED)?;
        let parameters = &self.state.text;
        let font = parameters.font.clone().ok_or(Unreadable("missing_resource"))?;
        let (size, scale) = (parameters.size, parameters.scale);
        let to_page = self.state.matrix;
        let budget = self.interpreter.budget;
        let rise = parameters.rise;
        let base = Matrix([size * scale, 0.0, 0.0, size, 0.0, rise]);
        let glyphs = &mut self.canvas.glyphs;
        let start = glyphs.len();
        let mut seen = false;
        for item in items {
            match item {
                Value::Number(number) => text.matrix.advance(-number.value / 1000.0 * size * scale),
                Value::String(string) => {
                    // Within a string only the place changes.
                    let shape = base.then(text.matrix).then(to_page);
                    let Matrix([a, b, c, d, ..]) = shape;
                    let Matrix([_, _, slant, ..]) = text.matrix.then(to_page);
                    let height = -d;
                    let finite = shape.is_finite();
                    let upright = a > 0.0 && height > 0.0 && b.abs() <= 0.02 * a && c.abs() <= 0.5 * height;
                    // Squeezed to less than half, small text is a line.
                    let size_mm = height.min(2.0 * a);
                    font.show(string, budget, |shown| {
                        let Matrix([_, _, e, f, x, y]) = text.matrix;
                        let (x, baseline) = to_page.apply(rise * e + x, rise * f + y);
                        if !(finite && x.is_finite() && baseline.is_finite()) {
                            return Err(MALFORMED);
                        }
                        if !upright && !shown.is_blank {
                            return Err(Unreadable(if a == 0.0 && b == 0.0 { "tiny_text" } else { "rotated_text" }));
                        }
                        let word_spacing = if shown.is_space_code { parameters.word_spacing } else { 0.0 };
                        let spacing = parameters.character_spacing + word_spacing;
                        let width = shown.width / 1000.0;
                        text.matrix.advance((width * size + spacing) * scale);
                        if upright {
                            budget.inflate(size_of::<Glyph>())?;
                            let Matrix([.., next_x, next_y]) = text.matrix;
                            let pen = slant * rise + to_page.apply(next_x, next_y).0;
                            glyphs.push(Glyph::new(shown, [x, x + width * a, pen], baseline, size_mm));
                            seen |= !shown.is_blank;
                        }
                        Ok(())
                    })?;
                }
                _ => return Err(MALFORMED),
            }
        }
        self.text = Some(text);
        if !seen {
            return Ok(());
        }
        let shades = self.state.text_shades()?;
        self.canvas.text(start, &shades, self.state.clip)
    }
}
