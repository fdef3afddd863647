//! The contest as one HTML file: what it comes to, the plots, the tables, the settings. No script, no outside resource.

use std::fmt::Write;

use super::plot::{Line, Scale, plot};
use super::row::{Contest, Row};
use super::table::{LEGEND, ms, percent};
use super::verdict::verdict;
use crate::report::{escape, page_head};

/// Writes the whole page.
pub fn goodput_page(contest: &Contest) -> String {
    let mut page = page_head("Sekisho: goodput under overload");
    let _ = write!(
        page,
        "<h1>Sekisho 関所: goodput under overload</h1><p>The same backend behind each, at multiples of its capacity. \
         Capacity: {:.1} certificates a second, measured {} times in this run, straight and closed loop at the knee.</p>\
         <p>Scenario: {}. Backend: {}. Cores: {}.</p><p class=\"dim\">{} · {} · sekisho-loadtest {} · <code>{}</code></p>",
        contest.capacity,
        contest.capacities.len(),
        escape(&contest.scenario),
        escape(&contest.backend),
        escape(&contest.cores),
        escape(&contest.started),
        escape(&contest.machine),
        escape(&contest.version),
        escape(&contest.command),
    );
    if contest.interrupted {
        page.push_str("<p class=\"bad\">This is a partial report: somebody interrupted it.</p>");
    }
    plots(&mut page, contest);
    rows(&mut page, contest);
    rulings(&mut page, contest);
    sweep(&mut page, contest);
    page.push_str("</html>\n");
    page
}

fn plots(page: &mut String, contest: &Contest) {
    let mut multiples: Vec<f64> = contest.rows.iter().map(|row| row.multiple).collect();
    multiples.dedup();
    let mut names: Vec<&str> = Vec::new();
    contest.rows.iter().for_each(|row| {
        if !names.contains(&row.name.as_str()) {
            names.push(&row.name);
        }
    });
    let loads: Vec<String> = multiples.iter().map(|multiple| format!("{multiple}x")).collect();
    let lines = |value: fn(&Row) -> Option<f64>| -> Vec<Line> {
        let of = |name: &&str| {
            let at = |multiple: &f64| {
                contest.rows.iter().find(|row| row.name == *name && row.multiple == *multiple).and_then(value)
            };
            Line { name: (*name).to_owned(), values: multiples.iter().map(at).collect() }
        };
        names.iter().map(of).collect()
    };
    let hundred = |value: Option<f64>| value.map(|share| share * 100.0);
    let goodput = lines(|row| Some(row.goodput * 100.0));
    page.push_str(&plot("Goodput in the deadline, of capacity", " %", &loads, &goodput, Scale::To(100.0)));
    let started: Vec<Line> = lines(|row| row.started_well)
        .into_iter()
        .map(|line| Line { values: line.values.into_iter().map(hundred).collect(), ..line })
        .collect();
    page.push_str(&plot("Steps of started sessions that succeed", " %", &loads, &started, Scale::To(100.0)));
    let no = lines(|row| row.no_p99_ms);
    page.push_str(&plot("Time to no, 99th percentile", " ms", &loads, &no, Scale::Decades(0.1, 10_000.0)));
}

fn rows(page: &mut String, contest: &Contest) {
    page.push_str(
        "<h2>Figures</h2><div class=\"wide\"><table><thead><tr><th>load<th>before the backend<th>goodput %<th>least..best\
         <th>started %<th>admitted %<th>noes<th>no p50 ms<th>no p99 ms<th>certificate p99 ms<th>wrong<th>errors %<th>CPU<th>busy\
         <th>start error p99.9 ms</tr></thead><tbody>",
    );
    for row in &contest.rows {
        let _ = write!(
            page,
            "<tr><td>{}x<td><b>{}</b><td>{}<td>{}..{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td class=\"{}\">{}<td>{}<td>{:.2}<td>{}<td>{:.2}</tr>",
            row.multiple,
            escape(&row.name),
            percent(Some(row.goodput)),
            percent(Some(row.goodput_least)),
            percent(Some(row.goodput_most)),
            percent(row.started_well),
            percent(row.admitted_well),
            row.noes,
            ms(row.no_p50_ms),
            ms(row.no_p99_ms),
            ms(row.paper_p99_ms),
            if row.wrong == 0 { "good" } else { "bad" },
            row.wrong,
            percent(Some(row.errors)),
            row.cpu,
            row.busy.map_or_else(|| "-".to_owned(), |busy| format!("{:.0} %", busy * 100.0)),
            row.start_error_p999_ms,
        );
    }
    let _ = write!(page, "</tbody></table></div><p class=\"dim\">{LEGEND}</p>");
    for absent in &contest.absent {
        let _ = write!(page, "<p>{} is not installed there and was left out.</p>", escape(absent));
    }
    if !contest.examples.is_empty() {
        let _ = write!(page, "<pre>{}</pre>", escape(&contest.examples.join("\n")));
    }
}

fn rulings(page: &mut String, contest: &Contest) {
    page.push_str("<h2>What the gateway must reach</h2><div class=\"wide\"><table><thead><tr><th>demand<th>measured<th></tr></thead><tbody>");
    for ruling in verdict(contest) {
        let (class, word) = if ruling.held { ("good", "held") } else { ("bad", "broken") };
        let _ = write!(
            page,
            "<tr><td>{}<td>{}<td class=\"{class}\">{word}</tr>",
            escape(&ruling.demand),
            escape(&ruling.measured)
        );
    }
    page.push_str("</tbody></table></div>");
}

fn sweep(page: &mut String, contest: &Contest) {
    if contest.sweep.is_empty() {
        return;
    }
    let _ = write!(
        page,
        "<h2>Settings of the peers</h2><p>One measurement each at {}x, one knob after the other; the best of each peer is what was \
         measured above.</p><div class=\"wide\"><table><thead><tr><th>peer<th>settings<th>goodput %<th>started %<th>no p99 ms<th></tr></thead><tbody>",
        contest.swept_at
    );
    for swept in &contest.sweep {
        let _ = write!(
            page,
            "<tr><td>{}<td>{}<td>{}<td>{}<td>{}<td>{}</tr>",
            escape(&swept.name),
            escape(&swept.setting),
            percent(Some(swept.goodput)),
            percent(swept.started_well),
            ms(swept.no_p99_ms),
            if swept.best { "best" } else { "" },
        );
    }
    page.push_str("</tbody></table></div>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_asks_for_nothing_from_outside_and_shows_every_row() {
        let row = |name: &str, multiple| Row { name: name.into(), multiple, goodput: 0.9, ..Row::default() };
        let rows = vec![row("haproxy", 1.0), row("sekisho", 1.0), row("haproxy", 2.0), row("sekisho", 2.0)];
        let page = goodput_page(&Contest { rows, command: "a < b".into(), ..Contest::default() });
        assert_eq!(page.matches("<b>haproxy</b>").count(), 2);
        assert_eq!(page.matches("<circle").count(), 4, "a point a goodput");
        assert!(page.contains("a &lt; b"));
        assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("<script"));
    }
}
