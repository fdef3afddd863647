//! The head of every page with charts: one file, no script, no outside resource.

use super::chart::COLOURS;
use super::html::{STYLE, escape};

const MORE_STYLE: &str = "
figure{margin:1.2rem 0}figcaption{font-weight:600}svg{width:100%;height:auto;display:block}
.key{font-weight:400;font-size:.86rem;margin-left:.8rem}.key::before{content:'\u{2014} ';font-weight:700}
.line{stroke:currentColor}.grid{stroke:var(--line);stroke-width:1}.tick,.name{font-size:12px;fill:var(--dim)}
.stage{fill:var(--card);stroke:var(--line)}.fault{fill:var(--bad-bg);opacity:.7}
td.text,th.text{text-align:left}pre{white-space:pre-wrap;background:var(--card);padding:.6rem .8rem;border-radius:.4rem}";

/// Everything before the first heading.
pub(crate) fn page_head(title: &str) -> String {
    let colours: String = COLOURS.iter().map(|(class, colour)| format!(".{class}{{color:{colour}}}")).collect();
    let mut page = String::with_capacity(128 * 1024);
    page.push_str("<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">");
    page.push_str(&format!("<title>{}</title><style>{STYLE}{MORE_STYLE}{colours}</style>", escape(title)));
    page
}
