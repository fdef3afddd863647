//! The contest as text.

use std::fmt::Write;

use super::row::Contest;
use super::verdict::verdict;

pub(super) fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.2}", share * 100.0))
}

pub(super) fn ms(time: Option<f64>) -> String {
    time.map_or_else(|| "-".to_owned(), |ms| if ms < 100.0 { format!("{ms:.2}") } else { format!("{ms:.0}") })
}

/// What the columns are, for both tables.
pub(super) const LEGEND: &str = "Goodput: certificates in their deadline, in per cent of the capacity (least and best run in brackets). Started: steps of started \
sessions that were answered well in their deadline, in per cent. Admitted: answers other than an early no that were good and in their deadline, in per cent. No: from the first byte \
sent to a complete early no, at the kiosk's socket. Errors: answers that were neither good nor an early no, silence until the deadline included, in per cent of all. CPU: cores that the \
contestant itself used. Busy: of the whole machine; near 100 % its times are the machine's. Backend: the least and the most that its own backends did straight before it, in per cent of the capacity. Medians of the runs; started and admitted over all runs, noes, wrong and dropped their sums.";

/// The whole contest.
pub fn goodput_table(contest: &Contest) -> String {
    let mut text = String::new();
    let mut line = |line: String| {
        let _ = writeln!(text, "{}", line.trim_end());
    };
    line(format!("{}, sekisho-loadtest {}, {}", contest.machine, contest.version, contest.started));
    line(format!("scenario {}; backend: {}", contest.scenario, contest.backend));
    line(contest.cores.clone());
    let capacities = || contest.capacities.iter().copied();
    line(format!(
        "capacity {:.1} certificates/s (closed loop at the knee, straight; median of {} backends, {:.1} to {:.1})",
        contest.capacity,
        contest.capacities.len(),
        capacities().reduce(f64::min).unwrap_or(0.0),
        capacities().reduce(f64::max).unwrap_or(0.0),
    ));
    if !contest.sweep.is_empty() {
        line(format!("\nsettings, one measurement each at {}x:", contest.swept_at));
        line(format!("  {:<8} {:>8} {:>8} {:>9}", "", "goodput", "started", "no p99 ms"));
        for swept in &contest.sweep {
            line(format!(
                "{} {:<8} {:>8} {:>8} {:>9}  {}",
                if swept.best { "*" } else { " " },
                swept.name,
                percent(Some(swept.goodput)),
                percent(swept.started_well),
                ms(swept.no_p99_ms),
                swept.setting
            ));
        }
    }
    line(format!(
        "\n{:>5} {:<8} {:>7} {:>17} {:>8} {:>8} {:>9} {:>9} {:>9} {:>7} {:>5} {:>7} {:>5} {:>5} {:>9}  start error p99.9 ms",
        "load",
        "",
        "goodput",
        "(least..best)",
        "started",
        "admitted",
        "noes",
        "no p50 ms",
        "no p99 ms",
        "paper",
        "wrong",
        "errors",
        "CPU",
        "busy",
        "backend"
    ));
    let mut last = None;
    for row in &contest.rows {
        let first_of_multiple = last.replace(row.multiple) != Some(row.multiple);
        line(format!(
            "{:>5} {:<8} {:>7} {:>17} {:>8} {:>8} {:>9} {:>9} {:>9} {:>7} {:>5} {:>7} {:>5.2} {:>5} {:>9}  {:.2}{}",
            if first_of_multiple { format!("{}x", row.multiple) } else { String::new() },
            row.name,
            percent(Some(row.goodput)),
            format!("({}..{})", percent(Some(row.goodput_least)), percent(Some(row.goodput_most))),
            percent(row.started_well),
            percent(row.admitted_well),
            row.noes,
            ms(row.no_p50_ms),
            ms(row.no_p99_ms),
            ms(row.paper_p99_ms),
            row.wrong,
            percent(Some(row.errors)),
            row.cpu,
            row.busy.map_or_else(|| "-".to_owned(), |busy| format!("{:.0}%", busy * 100.0)),
            row.backend_least
                .zip(row.backend_most)
                .map_or_else(|| "-".to_owned(), |(least, most)| format!("{:.0}..{:.0}", least * 100.0, most * 100.0)),
            row.start_error_p999_ms,
            if row.dropped > 0 { format!("  {} starts without a kiosk", row.dropped) } else { String::new() }
        ));
    }
    line(format!("\n{LEGEND}"));
    contest.absent.iter().for_each(|absent| line(format!("{absent} is not installed here and was left out")));
    contest.examples.iter().for_each(|example| line(format!("  {example}")));
    line(String::new());
    for ruling in verdict(contest) {
        let word = if ruling.held { "PASS" } else { "FAIL" };
        line(format!("{word} {:<78} {}", ruling.demand, ruling.measured));
    }
    if contest.interrupted {
        line("INTERRUPTED: the figures are those until then".to_owned());
    }
    text.trim_end().to_owned()
}
