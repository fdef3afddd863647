//! Durations and sizes as people write them: a number and its unit. A bare number is an error, since nobody agrees on its unit.

use std::time::Duration;

/// The longest duration a configuration may name.
const LONGEST: Duration = Duration::from_secs(90 * 24 * 3600);
/// The largest size a configuration may name.
const LARGEST: u64 = 1 << 30;

fn split(text: &str) -> Option<(u64, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit))
}

/// Reads `"800ms"`, `"3s"`, `"2m"`, `"24h"` or `"14d"`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let scale: u64 = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    let duration = Duration::from_millis(number.checked_mul(scale)?);
    (duration <= LONGEST).then_some(duration)
}

/// Reads `"512B"`, `"64KiB"`, `"2MiB"`, `"1GiB"`; decimal units are refused rather than guessed.
pub(super) fn size(text: &str) -> Option<usize> {
    let (number, unit) = split(text)?;
    let scale: u64 = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    let bytes = number.checked_mul(scale)?;
    (bytes <= LARGEST).then_some(bytes as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_required() {
        assert_eq!(duration("800ms"), Some(Duration::from_millis(800)));
        assert_eq!(duration("2m"), Some(Duration::from_secs(120)));
        assert_eq!(duration("10"), None);
        assert_eq!(duration("s"), None);
        assert_eq!(duration("-1s"), None);
        assert_eq!(duration("1.5s"), None);
        assert_eq!(duration("99999999999999999999s"), None);
        assert_eq!(duration("18446744073709551615h"), None);
        assert_eq!(size("64KiB"), Some(65536));
        assert_eq!(size("64KB"), None);
        assert_eq!(size("64"), None);
        assert_eq!(size("2GiB"), None);
    }
}
