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
        let base = Matrix([size * scale, 0.0, 0.0, size, 0.0, parameters.rise]);
        let mut glyphs = Vec::new();
        for item in items {
            match item {
                Value::Number(number) => {
                    let shift = -number.value / 1000.0 * size * scale;
                    text.matrix = Matrix::translate(shift, 0.0).then(text.matrix);
                }
                Value::String(string) => font.show(string, |shown| {
                    let spacing =
                        parameters.character_spacing + if shown.is_space_code { parameters.word_spacing } else { 0.0 };
                    let width = shown.width / 1000.0;
                    let glyph = base.then(text.matrix).then(to_page);
                    let [a, b, c, d, x, baseline] = glyph.0;
                    if !glyph.is_finite() {
                        return Err(MALFORMED);
                    }
                    let height = -d;
                    let upright = a > 0.0 && height > 0.0 && b.abs() <= 0.02 * a && c.abs() <= 0.5 * height;
                    let blank = shown.text.chars().all(char::is_whitespace);
                    if !upright && !blank {
                        return Err(Unreadable(if a == 0.0 && b == 0.0 { "tiny_text" } else { "rotated_text" }));
                    }
                    // Squeezed to less than half, small text is a line.
                    let size_mm = height.min(2.0 * a);
                    let advance = Matrix::translate((width * size + spacing) * scale, 0.0).then(text.matrix);
                    let (pen, _) = advance.then(to_page).apply(0.0, parameters.rise);
                    if upright {
                        budget.inflate(size_of::<Glyph>())?;
                        glyphs.push(Glyph::new(Rc::clone(&shown.text), x, x + width * a, pen, baseline, size_mm));
                    }
                    text.matrix = advance;
                    Ok(())
                })?,
                _ => return Err(MALFORMED),
            }
        }
        self.text = Some(text);
        if glyphs.iter().any(|g| !g.is_blank()) {
            let shades = self.state.text_shades()?;
            self.canvas.text(glyphs, &shades, self.state.clip)
        } else {
            self.canvas.blank(glyphs);
            Ok(())
        }
    }
}
