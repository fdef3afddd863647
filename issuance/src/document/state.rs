//! The graphics state (ISO 32000-2, 8.4) as far as it decides whether text is seen.

use std::rc::Rc;

use super::Unreadable;
use super::canvas::Clip;
use super::colour::{Shade, Space};
use super::font::Font;
use super::geometry::Matrix;
use super::objects::Objects;
use super::value::{Dict, Value};

/// Opacity below which text is called transparent, and paint is taken to let everything through.
const OPAQUE: f64 = 0.9;

/// One colour: for filling, or for stroking.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ink {
    pub(super) space: Space,
    pub(super) shade: Shade,
    pub(super) alpha: f64,
}

impl Ink {
    const BLACK: Self = Self { space: Space::Gray, shade: Shade::BLACK, alpha: 1.0 };

    /// Sets a space and a colour in it.
    pub(super) fn set(&mut self, space: Space, components: &[f64]) {
        self.space = space;
        self.shade = space.shade(components);
    }

    pub(super) fn is_opaque(self) -> bool {
        self.alpha >= OPAQUE
    }
}

/// Text state parameters (9.3).
#[derive(Clone)]
pub(super) struct TextState {
    pub(super) font: Option<Rc<Font>>,
    pub(super) size: f64,
    pub(super) character_spacing: f64,
    pub(super) word_spacing: f64,
    pub(super) scale: f64,
    pub(super) leading: f64,
    pub(super) rise: f64,
    pub(super) mode: u32,
}

/// Everything that `q` saves.
#[derive(Clone)]
pub(super) struct State {
    pub(super) matrix: Matrix,
    pub(super) clip: Clip,
    pub(super) fill: Ink,
    pub(super) stroke: Ink,
    pub(super) line_width: f64,
    pub(super) text: TextState,
    /// A soft mask, a blend mode or a transfer function is in force.
    pub(super) veiled: bool,
    /// As `veiled`, or transparent, for a whole group around this content.
    pub(super) group_veiled: bool,
}

impl State {
    pub(super) fn initial(matrix: Matrix, clip: Clip) -> Self {
        let text = TextState {
            font: None,
            size: 0.0,
            character_spacing: 0.0,
            word_spacing: 0.0,
            scale: 1.0,
            leading: 0.0,
            rise: 0.0,
            mode: 0,
        };
        Self {
            matrix,
            clip,
            fill: Ink::BLACK,
            stroke: Ink::BLACK,
            line_width: 1.0,
            text,
            veiled: false,
            group_veiled: false,
        }
    }

    /// Whether what is painted now might not come out as painted.
    pub(super) fn is_veiled(&self) -> bool {
        self.veiled || self.group_veiled
    }

    /// Applies a graphics state dictionary (8.4.5), its font excepted.
    pub(super) fn apply(&mut self, objects: &Objects<'_>, dict: &Dict<'_>) -> Result<(), Unreadable> {
        if let Some(width) = objects.number(dict, b"LW")? {
            self.line_width = width;
        }
        if let Some(alpha) = objects.number(dict, b"ca")? {
            self.fill.alpha = alpha;
        }
        if let Some(alpha) = objects.number(dict, b"CA")? {
            self.stroke.alpha = alpha;
        }
        match objects.get(dict, b"SMask")? {
            Value::Null => {}
            Value::Name(name) if name.as_ref() == b"None" => self.veiled = false,
            _ => self.veiled = true,
        }
        let plain = |value: &Value<'_>, names: &[&[u8]]| match value {
            Value::Null => true,
            Value::Name(name) => names.contains(&name.as_ref()),
            _ => false,
        };
        // An array lists blend modes of which the reader takes the first it knows.
        if !plain(objects.get(dict, b"BM")?, &[b"Normal", b"Compatible"])
            || !plain(objects.get(dict, b"TR")?, &[b"Identity"])
            || !plain(objects.get(dict, b"TR2")?, &[b"Default"])
        {
            self.veiled = true;
        }
        Ok(())
    }

    /// Why text painted now would not be seen, if so; else the shades it is painted in.
    pub(super) fn text_shades(&self) -> Result<[Shade; 2], Unreadable> {
        let inks = match self.text.mode {
            0 => [self.fill, self.fill],
            1 => [self.stroke, self.stroke],
            2 => [self.fill, self.stroke],
            _ => return Err(Unreadable("invisible_text")),
        };
        if self.is_veiled() || !inks.iter().all(|ink| ink.is_opaque()) {
            return Err(Unreadable("transparent_text"));
        }
        Ok(inks.map(|ink| ink.shade))
    }
}
