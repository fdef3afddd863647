//! The one-file HTML report: no script, no outside resource, opens anywhere.

use std::fmt::Write;

use super::row::{Path, Row};
use crate::incidents::catalogue::{INCIDENTS, Incident};

/// What the report is about, besides its rows.
#[derive(Debug, Clone)]
pub struct Occasion {
    /// When it was written, as text.
    pub written: String,
    /// The seed that gives the same replay again.
    pub seed: u64,
    /// The command that gives the same replay again.
    pub command: String,
}

pub(super) const STYLE: &str = "
:root{color-scheme:light dark;--ink:#1b1f24;--dim:#57606a;--line:#d0d7de;--bad:#b42318;--bad-bg:#fee4e2;--good:#067647;--good-bg:#d1fadf;--card:#f6f8fa}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--dim:#9198a1;--line:#3d444d;--bad:#ff9c92;--bad-bg:#4a1512;--good:#6ce9a6;--good-bg:#073d27;--card:#151b23}}
body{font:15px/1.55 system-ui,'Noto Sans JP',sans-serif;color:var(--ink);max-width:72rem;margin:2.5rem auto;padding:0 1.2rem}
h1{font-size:1.7rem;margin:0}h2{font-size:1.15rem;margin:2.4rem 0 .4rem}p{margin:.4rem 0}.dim{color:var(--dim)}
.sum{display:flex;gap:1rem;flex-wrap:wrap;margin:1.4rem 0}.sum div{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:.8rem 1.1rem;min-width:11rem}
.sum b{display:block;font-size:1.8rem;line-height:1.2}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}th,td{padding:.35rem .55rem;border-bottom:1px solid var(--line);text-align:right;vertical-align:top}
th:first-child,td:first-child,th:nth-child(2),td:nth-child(2){text-align:left}thead th{color:var(--dim);font-weight:600}
.bad{color:var(--bad);background:var(--bad-bg);font-weight:700}.good{color:var(--good);background:var(--good-bg)}
td.what{color:var(--dim);font-size:.86rem;padding-bottom:1rem;text-align:left}code{background:var(--card);padding:.1rem .3rem;border-radius:.3rem}
.wide{overflow-x:auto}";

/// Writes the whole page.
pub fn render(occasion: &Occasion, rows: &[Row]) -> String {
    let mut page = String::with_capacity(32 * 1024);
    let sum = |path: Path, figure: fn(&Row) -> u64| rows.iter().filter(|r| r.path == path).map(figure).sum::<u64>();
    let harm = |row: &Row| {
        row.harmful_documents() + row.duplicate + row.misapplied + row.wrong_data + row.alarms_closed_by_retry
    };
    let _ = write!(
        page,
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>Sekisho: the incidents, straight and protected</title><style>{STYLE}</style>\
         <h1>Sekisho 関所: the incidents, straight and protected</h1>\
         <p class=\"dim\">{} · seed {} · <code>{}</code></p>\
         <div class=\"sum\"><div><b class=\"{}\">{}</b>harms straight at the backend</div>\
         <div><b class=\"{}\">{}</b>harms through the gateway</div>\
         <div><b>{}</b>certificates released by the gateway</div><div><b>{}</b>withheld by the gateway</div></div>",
        escape(&occasion.written),
        occasion.seed,
        escape(&occasion.command),
        tone(sum(Path::Direct, harm)),
        sum(Path::Direct, harm),
        tone(sum(Path::Gateway, harm)),
        sum(Path::Gateway, harm),
        sum(Path::Gateway, |r| r.released),
        sum(Path::Gateway, |r| r.withheld),
    );
    page.push_str(
        "<p>Each incident is replayed twice with the same seed: once with the kiosks speaking straight to the simulated \
         backend, once with the gateway between them. The faults are those of the reports, switched on in the backend; \
         the judge knows what each paper should say because it knows the simulated town, and shares no code with the \
         gateway. <i>Served</i> counts the requests that the fault did not touch.</p>\
         <div class=\"wide\"><table><thead><tr><th>incident<th>path<th>requests<th>released<th>wrong person<th>mixed page\
         <th>stale<th>duplicate<th>other harm<th>withheld<th>shed<th>served</tr></thead><tbody>",
    );
    for incident in &INCIDENTS {
        let mut own = rows.iter().filter(|row| row.incident == incident.id).peekable();
        if own.peek().is_none() {
            continue;
        }
        for row in own {
            figures(&mut page, row);
        }
        story(&mut page, incident);
    }
    page.push_str("</tbody></table></div></html>\n");
    page
}

fn figures(page: &mut String, row: &Row) {
    let _ = write!(
        page,
        "<tr><td><b>{}</b><td>{}<td>{}<td>{}",
        escape(&row.incident),
        row.path.name(),
        row.requests,
        row.released
    );
    let other = row.misapplied + row.wrong_data + row.alarms_closed_by_retry;
    for harm in [row.wrong_person, row.mixed_page, row.stale, row.duplicate, other] {
        let _ = write!(page, "<td class=\"{}\">{harm}", tone(harm));
    }
    let _ = write!(
        page,
        "<td>{}<td>{}<td class=\"{}\">{:.2} %</tr>",
        row.withheld,
        row.shed,
        if row.path == Path::Direct || row.served_the_unaffected() { "" } else { "bad" },
        row.served_ratio_of_unaffected * 100.0
    );
}

fn story(page: &mut String, incident: &Incident) {
    let _ = write!(
        page,
        "<tr><td class=\"what\" colspan=\"12\">{} ({}). Came out: {}. {} <i>Why it was missed:</i> {}</tr>",
        escape(incident.place),
        escape(incident.causes),
        escape(incident.came_out),
        escape(incident.mechanism),
        escape(incident.missed),
    );
}

fn tone(harms: u64) -> &'static str {
    if harms == 0 { "good" } else { "bad" }
}

pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_shows_every_row_once_and_asks_for_nothing_from_outside() {
        let rows: Vec<Row> = INCIDENTS
            .iter()
            .flat_map(|i| [Path::Direct, Path::Gateway].map(|path| Row::empty(i.id, path, 7)))
            .collect();
        let occasion = Occasion { written: "today".into(), seed: 7, command: "a < b".into() };
        let page = render(&occasion, &rows);
        for incident in &INCIDENTS {
            assert_eq!(page.matches(&format!("<b>{}</b>", incident.id)).count(), 2, "{}", incident.id);
        }
        assert!(page.contains("a &lt; b"));
        assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("<script"));
    }

    #[test]
    fn a_harm_is_red_and_its_absence_is_not() {
        let occasion = Occasion { written: String::new(), seed: 1, command: String::new() };
        let quiet = Row { served_ratio_of_unaffected: 1.0, ..Row::empty("stale-seal", Path::Gateway, 1) };
        let loud = Row { stale: 3, ..quiet.clone() };
        assert!(!render(&occasion, &[quiet]).contains("class=\"bad\""));
        assert!(render(&occasion, &[loud]).contains("<td class=\"bad\">3"));
    }
}
