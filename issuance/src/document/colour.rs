//! How bright a colour comes out on paper, for telling text from its background.

use super::Unreadable;
use super::objects::Objects;
use super::value::{Dict, Value};

/// A colour space as far as its brightness can be told (ISO 32000-2, 8.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Space {
    Gray,
    Rgb,
    Cmyk,
    Lab,
    /// Black ink, or all inks.
    Ink,
    Pattern,
    Unknown,
}

/// What something is painted with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Shade {
    /// Relative luminance, 0 black to 1 white.
    Known(f64),
    /// A pattern, a picture or a colour space that is not understood.
    Unknown,
}

impl Shade {
    pub(super) const BLACK: Self = Self::Known(0.0);
    pub(super) const WHITE: Self = Self::Known(1.0);

    /// Whether a reader tells text in this shade from that background: a contrast ratio (WCAG 2.1) of 2 or more.
    pub(super) fn stands_out_on(self, background: Self) -> bool {
        let (Self::Known(a), Self::Known(b)) = (self, background) else { return false };
        (a.max(b) + 0.05) / (a.min(b) + 0.05) >= 2.0
    }
}

impl Space {
    /// The space that an operator or a resource names. ICC profiles are taken for the device space of as many components.
    pub(super) fn read<'o, 'a>(
        objects: &'o Objects<'a>,
        value: &'o Value<'a>,
        resources: Option<&'o Dict<'a>>,
    ) -> Result<Self, Unreadable> {
        match objects.resolve(value)? {
            Value::Name(name) => match name.as_ref() {
                b"DeviceGray" | b"G" | b"CalGray" => Ok(Self::Gray),
                b"DeviceRGB" | b"RGB" => Ok(Self::Rgb),
                b"DeviceCMYK" | b"CMYK" => Ok(Self::Cmyk),
                b"Pattern" => Ok(Self::Pattern),
                name => {
                    let Some(resources) = resources else { return Ok(Self::Unknown) };
                    match objects.get(resources, name)? {
                        // A name for a name leads nowhere twice.
                        Value::Name(named) if named.as_ref() == name => Ok(Self::Unknown),
                        named => Self::read(objects, named, None),
                    }
                }
            },
            Value::Array(items) => Self::family(objects, items),
            _ => Ok(Self::Unknown),
        }
    }

    fn family(objects: &Objects<'_>, items: &[Value<'_>]) -> Result<Self, Unreadable> {
        let first = items.first().and_then(Value::name).unwrap_or_default();
        let second = items.get(1).unwrap_or(&Value::Null);
        Ok(match first {
            b"DeviceGray" | b"CalGray" => Self::Gray,
            b"DeviceRGB" | b"CalRGB" => Self::Rgb,
            b"DeviceCMYK" => Self::Cmyk,
            b"Lab" => Self::Lab,
            b"Pattern" => Self::Pattern,
            b"ICCBased" => {
                let stream = objects.stream(second).ok_or(Unreadable("malformed"))?;
                match objects.get(stream.dict, b"N")?.unsigned() {
                    Some(1) => Self::Gray,
                    Some(3) => Self::Rgb,
                    Some(4) => Self::Cmyk,
                    _ => Self::Unknown,
                }
            }
            b"Separation" if matches!(objects.resolve(second)?.name(), Some(b"Black" | b"All")) => Self::Ink,
            _ => Self::Unknown,
        })
    }

    /// How many numbers a colour of this space has.
    pub(super) fn components(self) -> Option<usize> {
        match self {
            Self::Gray | Self::Ink => Some(1),
            Self::Rgb | Self::Lab => Some(3),
            Self::Cmyk => Some(4),
            Self::Pattern | Self::Unknown => None,
        }
    }

    /// The colour that a new space begins with (8.6.3): black, or unknown.
    pub(super) fn initial(self) -> Shade {
        match self {
            Self::Pattern | Self::Unknown => Shade::Unknown,
            _ => Shade::BLACK,
        }
    }

    /// The shade of a colour.
    pub(super) fn shade(self, components: &[f64]) -> Shade {
        let rgb = |r: f64, g: f64, b: f64| Shade::Known(0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b));
        match (self, components) {
            (Self::Gray, [gray]) => rgb(*gray, *gray, *gray),
            (Self::Ink, [tint]) => rgb(1.0 - tint, 1.0 - tint, 1.0 - tint),
            (Self::Rgb, [r, g, b]) => rgb(*r, *g, *b),
            (Self::Cmyk, [c, m, y, k]) => {
                let mix = |ink: f64| (1.0 - ink.clamp(0.0, 1.0)) * (1.0 - k.clamp(0.0, 1.0));
                rgb(mix(*c), mix(*m), mix(*y))
            }
            (Self::Lab, [l, ..]) => Shade::Known(((l.clamp(0.0, 100.0) + 16.0) / 116.0).powi(3)),
            _ => Shade::Unknown,
        }
    }
}

/// From sRGB to light (IEC 61966-2-1).
fn linear(component: f64) -> f64 {
    let component = component.clamp(0.0, 1.0);
    if component <= 0.04045 { component / 12.92 } else { ((component + 0.055) / 1.055).powf(2.4) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pale_colours_do_not_stand_out_on_white_in_any_device_space() {
        let pale = [
            Space::Gray.shade(&[0.9]),
            Space::Rgb.shade(&[1.0, 1.0, 0.0]),
            Space::Cmyk.shade(&[0.0, 0.0, 0.2, 0.05]),
            Space::Ink.shade(&[0.1]),
            Space::Pattern.shade(&[]),
        ];
        assert!(pale.iter().all(|shade| !shade.stands_out_on(Shade::WHITE)));
        let strong =
            [Space::Gray.shade(&[0.4]), Space::Rgb.shade(&[0.8, 0.0, 0.0]), Space::Cmyk.shade(&[1.0, 0.5, 0.0, 0.0])];
        assert!(strong.iter().all(|shade| shade.stands_out_on(Shade::WHITE)));
        assert!(!strong.iter().any(|shade| shade.stands_out_on(Shade::Unknown)));
    }
}
