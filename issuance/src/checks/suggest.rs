//! "Did you mean": the nearest known name to a mistyped one.

/// The nearest of `known` to `name`, if it is near enough to be a slip of the hand.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = 1 + name.chars().count() / 4;
    let distances = known.into_iter().map(|candidate| (distance(name, candidate), candidate));
    distances.filter(|(d, _)| *d <= limit).min_by_key(|(d, _)| *d).map(|(_, candidate)| candidate)
}

/// A suggestion for an unknown name: the nearest one, else the list of all.
pub fn instead<'a>(name: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    if let Some(near) = nearest(name, known.clone()) {
        return format!("did you mean `{near}`?");
    }
    let all: Vec<_> = known.into_iter().map(|k| format!("`{k}`")).collect();
    if all.is_empty() { "none is declared yet".to_owned() } else { format!("known: {}", all.join(", ")) }
}

/// Levenshtein distance over characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        let mut next = vec![left];
        for (cb, up) in b.iter().zip(row.iter().skip(1)) {
            let cell = (diagonal + usize::from(ca != *cb)).min(up + 1).min(left + 1);
            diagonal = *up;
            left = cell;
            next.push(cell);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognized_and_a_different_word_is_not() {
        let known = ["name", "birth_date", "address"];
        assert_eq!(nearest("nmae", known), Some("name"));
        assert_eq!(nearest("birthdate", known), Some("birth_date"));
        assert_eq!(nearest("adress", known), Some("address"));
        assert_eq!(nearest("sex", known), None);
        assert_eq!(instead("sex", known), "known: `name`, `birth_date`, `address`");
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
