//! The one-file HTML report of a load run: what it comes to first, then charts over time, then the tables.

use std::fmt::Write;

use super::chart::{Line, Span, chart};
use super::html::escape;
use super::page::page_head;
use crate::run::{Report, Second, Stopped, Summary};

/// Writes the whole page.
pub fn load_page(report: &Report) -> String {
    let mut page = page_head(&format!("Sekisho: {}", report.plan));
    let harms: u64 = report.harms.values().sum();
    let goodput = report.goodput().map_or_else(|| "-".to_owned(), |share| format!("{:.2} %", share * 100.0));
    let papers: u64 = report.series.iter().map(|second| second.papers).sum();
    let sheds: u64 = report.sheds.iter().map(|shed| shed.count).sum();
    let tone = |good: bool| if good { "good" } else { "bad" };
    let _ = write!(
        page,
        "<h1>Sekisho 関所: {0}</h1><p>{1}</p>\
         <p class=\"dim\">{2} · {3} · {4:.0} s · seed {5} · {6}</p><div class=\"sum\">\
         <div><b class=\"{7}\">{8}</b>exit {9}</div><div><b class=\"{10}\">{harms}</b>harmful of {11} judged</div>\
         <div><b>{goodput}</b>of sessions served</div><div><b>{papers}</b>certificates handed out</div>\
         <div><b>{sheds}</b>early noes</div></div>",
        escape(&report.plan),
        escape(&report.why),
        escape(&report.started),
        escape(&report.target),
        report.seconds,
        report.seed,
        escape(&report.machine),
        tone(report.exit == 0),
        verdict(report),
        report.exit,
        tone(harms == 0),
        report.judged,
    );
    if let Some(stopped) = &report.stopped {
        let why = match stopped {
            Stopped::Harm => "it was stopped at the first harmful document".to_owned(),
            Stopped::Aborted(rule) => format!("it was given up because {rule}"),
            Stopped::Interrupted => "somebody interrupted it".to_owned(),
        };
        let _ = write!(page, "<p class=\"bad\">This is a partial report: {}.</p>", escape(&why));
    }
    thresholds(&mut page, report);
    charts(&mut page, report);
    tables(&mut page, report);
    let _ = writeln!(
        page,
        "<p class=\"dim\">sekisho-loadtest {}{}. Latency is measured from the moment at which a step should have begun; an early no \
         from the first byte sent. Every document was judged by an auditor that shares no code with the gateway.</p></html>",
        report.version,
        report.gateway_version.as_ref().map(|version| format!(", gateway {}", escape(version))).unwrap_or_default(),
    );
    page
}

fn verdict(report: &Report) -> &'static str {
    match report.exit {
        0 => "passed",
        97 => "harm",
        98 => "invalid",
        105 => "interrupted",
        _ => "failed",
    }
}

fn thresholds(page: &mut String, report: &Report) {
    if report.thresholds.is_empty() {
        return;
    }
    page.push_str("<h2>Thresholds</h2><div class=\"wide\"><table><thead><tr><th>group<th>threshold<th>measured<th></tr></thead><tbody>");
    for ruled in &report.thresholds {
        let (class, word) = match ruled.held {
            Some(true) => ("good", "held"),
            Some(false) => ("bad", "broken"),
            None => ("", "not reached"),
        };
        let measured = ruled.measured.as_deref().unwrap_or("nothing to measure");
        let _ = write!(
            page,
            "<tr><td>{}<td><code>{}</code><td>{}<td class=\"{class}\">{word}</tr>",
            ruled.group,
            escape(&ruled.threshold),
            escape(measured)
        );
    }
    page.push_str("</tbody></table></div>");
}

fn charts(page: &mut String, report: &Report) {
    let seconds = report.series.len();
    let rate = |value: fn(&Second) -> u64| report.series.iter().map(|second| Some(value(second) as f64)).collect();
    let time = |value: fn(&Second) -> f64| {
        let of = |second: &Second| (second.answers > second.shed).then(|| value(second));
        report.series.iter().map(of).collect()
    };
    let spans = spans(report);
    page.push_str("<h2>Over time</h2>");
    let sessions = [
        Line { name: "offered", class: "c1", values: rate(|second| second.offered) },
        Line { name: "ended well", class: "c2", values: rate(|second| second.good) },
        Line { name: "ended without", class: "c3", values: rate(|second| second.lost) },
    ];
    page.push_str(&chart("Sessions", "/s", seconds, &sessions, &spans));
    let answers = [
        Line { name: "certificates", class: "c2", values: rate(|second| second.papers) },
        Line { name: "early noes", class: "c4", values: rate(|second| second.shed) },
        Line { name: "withheld", class: "c6", values: rate(|second| second.withheld) },
        Line { name: "errors and silence", class: "c3", values: rate(|second| second.failed) },
    ];
    page.push_str(&chart("Answers", "/s", seconds, &answers, &spans));
    let latency = [
        Line { name: "longest", class: "c3", values: time(|second| second.max_ms) },
        Line { name: "99th percentile", class: "c4", values: time(|second| second.p99_ms) },
        Line { name: "median", class: "c5", values: time(|second| second.p50_ms) },
    ];
    page.push_str(&chart("Latency, early noes left out", " ms", seconds, &latency, &spans));
    let people = [Line { name: "at a kiosk", class: "c5", values: rate(|second| second.in_flight) }];
    page.push_str(&chart("People", "", seconds, &people, &spans));
}

fn spans(report: &Report) -> Vec<Span> {
    let mut begins = 0.0;
    let stages = report.stages.iter().map(|stage| {
        let from = begins;
        begins += stage.seconds;
        Span { name: stage.name.clone(), from, to: begins, bad: false }
    });
    let faults =
        report.faults.iter().map(|fault| Span { name: fault.name.clone(), from: fault.from, to: fault.to, bad: true });
    stages.chain(faults).collect()
}

fn cells(summary: &Summary) -> String {
    let Summary { p50, p90, p99, p999, max, .. } = summary;
    [p50, p90, p99, p999, max].map(|ms| format!("<td>{ms:.1}")).concat()
}

const TIMES: &str = "<th>p50 ms<th>p90 ms<th>p99 ms<th>p99.9 ms<th>max ms";

fn tables(page: &mut String, report: &Report) {
    let table = |page: &mut String, title: &str, head: &str| {
        let _ = write!(page, "<h2>{title}</h2><div class=\"wide\"><table><thead><tr>{head}</tr></thead><tbody>");
    };
    let end = |page: &mut String| page.push_str("</tbody></table></div>");
    table(
        page,
        "Stages",
        "<th>stage<th>judged<th>begun<th>dropped<th>served<th>refused<th>abandoned<th>lost<th>goodput<th>start error p99.9 ms",
    );
    for stage in &report.stages {
        let _ = write!(
            page,
            "<tr><td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{:.3}</tr>",
            escape(&stage.name),
            if stage.judged { "yes" } else { "no" },
            stage.begun,
            stage.dropped,
            stage.served,
            stage.refused,
            stage.abandoned,
            stage.lost,
            stage.goodput.map_or_else(|| "-".to_owned(), |share| format!("{:.2} %", share * 100.0)),
            stage.start_error.p999,
        );
    }
    end(page);
    table(page, "Ranks", &format!("<th>rank<th>of<th>answers<th>shed{TIMES}"));
    for rank in &report.ranks {
        let _ = write!(
            page,
            "<tr><td>{}<td>answers<td>{}<td>{}{}</tr>",
            rank.rank,
            rank.answers,
            rank.shed,
            cells(&rank.latency)
        );
        if rank.time_to_no.count > 0 {
            let _ = write!(page, "<tr><td><td>time to no<td><td>{}{}</tr>", rank.shed, cells(&rank.time_to_no));
        }
    }
    end(page);
    table(page, "Steps", &format!("<th>step<th>outcomes{TIMES}"));
    for step in &report.steps {
        let outcomes: Vec<String> = step.outcomes.iter().map(|(outcome, count)| format!("{outcome} {count}")).collect();
        let _ = write!(page, "<tr><td>{}<td>{}{}</tr>", step.step, outcomes.join(", "), cells(&step.latency));
    }
    end(page);
    if report.cities.len() > 1 {
        table(page, "Municipalities", "<th>municipality<th>goodput");
        for (code, share) in &report.cities {
            let share = share.map_or_else(|| "-".to_owned(), |share| format!("{:.2} %", share * 100.0));
            let _ = write!(page, "<tr><td>{}<td>{share}</tr>", escape(code));
        }
        end(page);
    }
    if !report.sheds.is_empty() || !report.troubles.is_empty() {
        table(page, "Noes", "<th>who<th>reason<th>count");
        for shed in &report.sheds {
            let _ = write!(page, "<tr><td>{}<td>{}<td>{}</tr>", shed.rank, escape(&shed.reason), shed.count);
        }
        for (what, count) in &report.troubles {
            let (outcome, reason) = what.split_once('/').unwrap_or((what, ""));
            let _ = write!(page, "<tr><td>{}<td>{}<td>{count}</tr>", escape(outcome), escape(reason));
        }
        end(page);
    }
    table(page, "Documents", "<th>harm<th><th>count");
    for (harm, count) in &report.harms {
        let _ =
            write!(page, "<tr><td>{harm}<td><td class=\"{}\">{count}</tr>", if *count == 0 { "good" } else { "bad" });
    }
    end(page);
    if !report.examples.is_empty() {
        let _ = write!(page, "<pre>{}</pre>", escape(&report.examples.join("\n")));
    }
    if let Some(reconciled) = &report.reconciled {
        table(page, "Our counts and the gateway's", "<th>operation<th>outcome<th>ours<th>the gateway's");
        for row in &reconciled.rows {
            let _ = write!(
                page,
                "<tr><td>{}<td>{}<td>{}<td class=\"{}\">{}</tr>",
                escape(&row.operation),
                escape(&row.outcome),
                row.ours,
                if row.ours == row.theirs { "" } else { "bad" },
                row.theirs
            );
        }
        end(page);
        let _ = write!(
            page,
            "<p class=\"dim\">{} unreconciled; the end of {} requests is not known, because nobody waited for it or the \
             connection broke.</p>",
            reconciled.unreconciled, reconciled.unknown
        );
    }
}
