//! The printed official seal: a red square picture. Drawn by rule, different for each municipality.

/// Side of the picture in pixels.
pub(super) const SIDE: usize = 120;

/// One byte a pixel, 0 = ink, 255 = paper; `salt` makes the strokes differ between municipalities.
pub(super) fn official_seal(salt: u64) -> Vec<u8> {
    let edge = SIDE - 1;
    let pixel = |x: usize, y: usize| {
        let border = [x, y, edge - x, edge - y].into_iter().min().unwrap_or(0);
        let cell = super::super::fault::mix(salt ^ ((x / 10) as u64) << 8 ^ (y / 10) as u64);
        let stroke = match cell % 4 {
            0 => x % 10 < 3,
            1 => y % 10 < 3,
            2 => x.abs_diff(y) % 10 < 3,
            _ => false,
        };
        // Ink does not cover paper evenly: the grain keeps the picture as large as a scanned one.
        let grain = u8::try_from(super::super::fault::mix(salt ^ (x * SIDE + y) as u64) % 48).unwrap_or(0);
        if border < 4 || (border > 7 && stroke) { grain } else { 255 - grain / 8 }
    };
    (0..SIDE).flat_map(|y| (0..SIDE).map(move |x| pixel(x, y))).collect()
}
