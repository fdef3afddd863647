//! A comparison as text: both figures, the difference, and a mark where it counts.

use std::fmt::Write;

use super::{Change, Compared, Comparison};

/// The whole comparison.
pub fn compare_text(comparison: &Comparison) -> String {
    let mut text = String::new();
    for unlike in &comparison.unlike {
        let _ = writeln!(text, "not alike  {unlike}");
    }
    let _ = writeln!(text, "       {:<36} {:>12} {:>12} {:>10}", "", "before", "after", "change");
    for row in &comparison.rows {
        let _ = writeln!(text, "{}", line(row).trim_end());
    }
    let count = |change: Change| comparison.rows.iter().filter(|row| row.change == change).count();
    let _ = write!(
        text,
        "{} worse, {} better, {} the same within the tolerance, {} in one report only",
        count(Change::Worse),
        count(Change::Better),
        count(Change::Same),
        count(Change::Missing)
    );
    text
}

fn line(row: &Compared) -> String {
    let mark = match row.change {
        Change::Worse => "WORSE",
        Change::Better => "better",
        Change::Missing => "only 1",
        Change::Same | Change::Told => "",
    };
    let shown = |value: Option<f64>| match value {
        None => "-".to_owned(),
        Some(share) if row.unit == "%" => format!("{:.2} %", share * 100.0),
        Some(count) if row.unit.is_empty() => format!("{count:.0}"),
        Some(value) => format!("{value:.2} {}", row.unit),
    };
    let change = match (row.before, row.after) {
        (Some(before), Some(after)) if row.unit == "%" => format!("{:+.2}", (after - before) * 100.0),
        (Some(before), Some(after)) if before > 0.0 && !row.unit.is_empty() => {
            format!("{:+.1} %", (after / before - 1.0) * 100.0)
        }
        (Some(before), Some(after)) => format!("{:+.0}", after - before),
        _ => String::new(),
    };
    format!("{mark:<6} {:<36} {:>12} {:>12} {change:>10}", row.name, shown(row.before), shown(row.after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_got_worse_is_marked_and_shares_differ_in_points() {
        let row = Compared {
            name: "hold: goodput".into(),
            before: Some(0.99),
            after: Some(0.9),
            unit: "%",
            change: Change::Worse,
        };
        let text = compare_text(&Comparison { rows: vec![row], unlike: vec!["seed: 1 / 2".into()], harmful: 0 });
        assert!(
            text.contains("WORSE  hold: goodput") && text.contains("-9.00") && text.contains("not alike  seed"),
            "{text}"
        );
        assert!(text.contains("1 worse, 0 better"), "{text}");
    }
}
