//! A load run as text: one line a second while it goes on, tables at the end.

use std::fmt::Write;

use crate::run::{Glance, Report, Ruled, Stopped, Summary};

/// What happened in one second.
pub fn load_line(glance: &Glance) -> String {
    let second = &glance.second;
    let mut line = format!(
        "{:>4}s {:<12} offered {:>4}/s good {:>4} lost {:>3} paper {:>4} shed {:>4} withheld {:>3} failed {:>3} \
         in flight {:>4}  p50 {:>6.0} ms p99 {:>6.0} ms  start p99.9 {:.2} ms",
        second.at + 1,
        glance.stage,
        second.offered,
        second.good,
        second.lost,
        second.papers,
        second.shed,
        second.withheld,
        second.failed,
        second.in_flight,
        second.p50_ms,
        second.p99_ms,
        glance.start_error.p999,
    );
    if glance.dropped > 0 {
        let _ = write!(line, "  DROPPED {}", glance.dropped);
    }
    if glance.harmful > 0 {
        let _ = write!(line, "  HARMFUL {}", glance.harmful);
    }
    line
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.2}%", share * 100.0))
}

fn times(summary: &Summary) -> String {
    let Summary { p50, p90, p99, p999, max, .. } = summary;
    format!("{p50:>9.1} {p90:>9.1} {p99:>9.1} {p999:>9.1} {max:>9.1}")
}

const TIMES: &str = "  p50 ms    p90 ms    p99 ms  p99.9 ms    max ms";

/// The whole run.
pub fn load_table(report: &Report) -> String {
    let mut text = String::new();
    let mut line = |line: String| {
        let _ = writeln!(text, "{}", line.trim_end());
    };
    line(format!("plan {} (seed {}) at {}, {:.0} s", report.plan, report.seed, report.target, report.seconds));
    line(report.why.clone());
    line(format!("{}, sekisho-loadtest {}", report.machine, report.version));
    line(format!(
        "\n{:<14} {:>7} {:>7} {:>7} {:>7} {:>9} {:>6} {:>9}  start error p99.9 ms, max ms",
        "stage", "begun", "dropped", "served", "refused", "abandoned", "lost", "goodput"
    ));
    for stage in &report.stages {
        line(format!(
            "{:<14} {:>7} {:>7} {:>7} {:>7} {:>9} {:>6} {:>9}  {:.3}, {:.3}{}",
            stage.name,
            stage.begun,
            stage.dropped,
            stage.served,
            stage.refused,
            stage.abandoned,
            stage.lost,
            percent(stage.goodput),
            stage.start_error.p999,
            stage.start_error.max,
            if stage.judged { "" } else { "  (not judged)" }
        ));
    }
    line(format!("\n{:<10} {:>9} {:>7} {TIMES}", "rank", "answers", "shed"));
    for rank in &report.ranks {
        line(format!("{:<10} {:>9} {:>7} {}", rank.rank, rank.answers, rank.shed, times(&rank.latency)));
        if rank.time_to_no.count > 0 {
            line(format!("{:<28} {}", "  time to no", times(&rank.time_to_no)));
        }
    }
    line(format!("\n{:<28} {TIMES}  outcomes", "step"));
    for step in &report.steps {
        let outcomes: Vec<String> = step.outcomes.iter().map(|(outcome, count)| format!("{outcome} {count}")).collect();
        line(format!("{:<28} {}  {}", step.step, times(&step.latency), outcomes.join(", ")));
    }
    if report.cities.len() > 1 {
        let cities: Vec<String> =
            report.cities.iter().map(|(code, share)| format!("{code} {}", percent(*share))).collect();
        line(format!("\ngoodput by municipality: {}", cities.join(", ")));
    }
    if !report.sheds.is_empty() {
        let sheds = report.sheds.iter().map(|shed| format!("{} {} {}", shed.rank, shed.reason, shed.count));
        line(format!("\nshed: {}", sheds.collect::<Vec<_>>().join(", ")));
    }
    if !report.troubles.is_empty() {
        let troubles = report.troubles.iter().map(|(what, count)| format!("{what} {count}"));
        line(format!("\nother noes: {}", troubles.collect::<Vec<_>>().join(", ")));
    }
    let harms: Vec<String> = report.harms.iter().map(|(harm, count)| format!("{harm} {count}")).collect();
    line(format!("\njudged {} documents and answers: {}", report.judged, harms.join(", ")));
    if report.unreadable > 0 {
        line(format!("{} of them had no text that could be judged", report.unreadable));
    }
    report.examples.iter().for_each(|example| line(format!("  {example}")));
    if report.changes > 0 {
        line(format!("records changed alongside: {}", report.changes));
    }
    match &report.reconciled {
        None => line("the gateway's counters were not compared: no [target].metrics".to_owned()),
        Some(reconciled) => {
            line(format!(
                "counters: {} unreconciled ({} requests whose end is not known)",
                reconciled.unreconciled, reconciled.unknown
            ));
            for row in reconciled.rows.iter().filter(|row| row.ours != row.theirs) {
                line(format!("  {} {}: ours {}, the gateway's {}", row.operation, row.outcome, row.ours, row.theirs));
            }
        }
    }
    line(String::new());
    report.thresholds.iter().for_each(|ruled| line(threshold(ruled)));
    line(verdict(report));
    text.trim_end().to_owned()
}

fn threshold(ruled: &Ruled) -> String {
    let word = match ruled.held {
        Some(true) => "ok    ",
        Some(false) => "BROKEN",
        None => "open  ",
    };
    let measured = ruled.measured.as_deref().unwrap_or("nothing to measure");
    format!("{word} {:<8} {:<52} {measured}", ruled.group, ruled.threshold)
}

fn verdict(report: &Report) -> String {
    let why = match &report.stopped {
        None => String::new(),
        Some(Stopped::Harm) => ", stopped at the first harmful document".to_owned(),
        Some(Stopped::Aborted(rule)) => format!(", given up because {rule}"),
        Some(Stopped::Interrupted) => ", interrupted: the figures are those until then".to_owned(),
    };
    let unended = match report.unended {
        0 => String::new(),
        n => format!(", {n} sessions did not end by themselves"),
    };
    let word = match report.exit {
        0 => "PASSED",
        97 => "FAILED: a wrong, mixed, stale or duplicate document",
        98 => "INVALID: the generator did not keep its schedule",
        99 => "FAILED: a threshold is broken",
        _ => "INTERRUPTED",
    };
    format!("\n{word} (exit {}){why}{unended}", report.exit)
}
