//! Sizes and durations with units. A bare number is a mistake: nobody can see whether it means seconds.

use std::time::Duration;

use super::spec::Quantity;

/// What is wrong with a quantity, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuantityError {
    /// What is wrong.
    pub message: String,
    /// What to write.
    pub suggestion: String,
}

const SIZES: [(&str, u64); 4] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
const DURATIONS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Bytes, from `"64KiB"`.
pub fn size(quantity: &Quantity) -> Result<u64, QuantityError> {
    parse(quantity, &SIZES, "a size", "KiB")
}

/// A duration, from `"800ms"`, `"3s"`, `"24h"`.
pub fn duration(quantity: &Quantity) -> Result<Duration, QuantityError> {
    parse(quantity, &DURATIONS, "a duration", "s").map(Duration::from_millis)
}

fn parse(quantity: &Quantity, units: &[(&str, u64)], what: &str, usual: &str) -> Result<u64, QuantityError> {
    let list = || units.iter().map(|(unit, _)| *unit).collect::<Vec<_>>().join(", ");
    let text = match quantity {
        Quantity::Bare(number) => {
            return Err(QuantityError {
                message: format!("{number} has no unit, so nobody can see what it means"),
                suggestion: format!("write \"{number}{usual}\" (units: {})", list()),
            });
        }
        Quantity::Text(text) => text,
    };
    let wrong = |message: String, suggestion: String| Err(QuantityError { message, suggestion });
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let Ok(count) = number.parse::<u64>() else {
        return wrong(format!("\"{text}\" is not {what}"), format!("write a whole number and a unit ({})", list()));
    };
    match units.iter().find(|(name, _)| *name == unit) {
        Some((_, factor)) => match count.checked_mul(*factor) {
            Some(value) => Ok(value),
            None => wrong(format!("\"{text}\" is too large"), "write a smaller number".to_owned()),
        },
        None => {
            let near = units.iter().find(|(name, _)| {
                let letters = |s: &str| s.to_ascii_lowercase().replace('i', "");
                letters(name) == letters(unit) || letters(name) == letters(&format!("{unit}B"))
            });
            let better = near.map_or(usual, |(name, _)| *name);
            wrong(format!("\"{text}\" has no known unit"), format!("write \"{count}{better}\" (units: {})", list()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(s: &str) -> Quantity {
        Quantity::Text(s.to_owned())
    }

    #[test]
    fn units_are_read() {
        assert_eq!(size(&text("2KiB")), Ok(2048));
        assert_eq!(size(&text("4MiB")), Ok(4 << 20));
        assert_eq!(duration(&text("800ms")), Ok(Duration::from_millis(800)));
        assert_eq!(duration(&text("2d")), Ok(Duration::from_secs(172_800)));
    }

    #[test]
    fn a_mistake_says_what_to_write() {
        assert_eq!(size(&Quantity::Bare(2)).unwrap_err().suggestion, "write \"2KiB\" (units: B, KiB, MiB, GiB)");
        assert!(size(&text("2KB")).unwrap_err().suggestion.starts_with("write \"2KiB\""));
        assert!(size(&text("2M")).unwrap_err().suggestion.starts_with("write \"2MiB\""));
        assert!(duration(&text("24")).unwrap_err().suggestion.starts_with("write \"24s\""));
        assert!(duration(&text("-1s")).is_err());
        assert!(duration(&text("99999999999999999999h")).is_err());
        assert!(duration(&text("9999999999999999d")).is_err());
    }
}
