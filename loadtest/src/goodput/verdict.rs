//! What the gateway must reach, held against the rows. Pure.

use super::row::{Contest, Row};

/// One demand.
#[derive(Debug, Clone, PartialEq)]
pub struct Ruling {
    /// What is asked for.
    pub demand: String,
    /// What was measured.
    pub measured: String,
    /// Whether it holds.
    pub held: bool,
}

/// At these multiples goodput must reach this share of the capacity.
const GOODPUT: [(f64, f64); 3] = [(2.0, 0.97), (5.0, 0.95), (10.0, 0.95)];
/// As far behind the best peer the gateway may be.
const BEHIND_THE_BEST: f64 = 0.01;
/// Steps of started sessions, and admitted requests, that must end well.
const WELL: f64 = 0.999;
/// The longest that all but one in a hundred may wait for their no at the highest multiple.
const NO_P99_MS: f64 = 5.0;

/// As far apart from the others a measurement's own backend may be.
const EQUAL_BACKENDS: f64 = 0.06;

/// After a stall, goodput over capacity.
const AFTER_A_STALL: f64 = 0.95;
/// While the backend is slow, of the best static limit's goodput.
const OF_THE_BEST_STATIC: f64 = 0.92;

/// Every demand that the scenario and these multiples let us hold against the rows.
pub fn verdict(contest: &Contest) -> Vec<Ruling> {
    match contest.scenario.as_str() {
        "stall" => faulty(contest, |row, _| (AFTER_A_STALL, row.goodput, "goodput from 1 s after a stall of 8 s")),
        "stall-settle" => faulty(contest, |row, _| {
            (AFTER_A_STALL, row.goodput, "goodput from settle_after_timeout (1 s) + 1 s after a stall of 8 s")
        }),
        "slow" => faulty(contest, |row, haproxy| {
            let share = haproxy.map_or(0.0, |haproxy| row.goodput / haproxy.goodput.max(f64::MIN_POSITIVE));
            (OF_THE_BEST_STATIC, share, "of HAProxy's goodput, the best static limit, while the backend is slow")
        }),
        _ => overload(contest),
    }
}

/// One demand a multiple: the least that is asked for, what was measured, and of what it speaks.
fn faulty(contest: &Contest, of: impl Fn(&Row, Option<&Row>) -> (f64, f64, &'static str)) -> Vec<Ruling> {
    let percent = |share: f64| format!("{:.2} %", share * 100.0);
    let own: Vec<&Row> = contest.rows.iter().filter(|row| row.name == "sekisho").collect();
    let rule = |row: &&Row| {
        let at = row.multiple;
        let haproxy = contest.rows.iter().find(|peer| peer.multiple == at && peer.name == "haproxy");
        let (least, measured, what) = of(row, haproxy);
        Ruling {
            demand: format!("{at}x: at least {} {what}", percent(least)),
            measured: percent(measured),
            held: measured >= least,
        }
    };
    let mut rulings: Vec<Ruling> = own.iter().map(rule).collect();
    rulings.push(harmless(&own));
    rulings.extend(equal_backends(contest));
    rulings
}

/// Whether everybody had a backend that was as able as the others': else the figures are of the machine.
fn equal_backends(contest: &Contest) -> Option<Ruling> {
    let least = contest.rows.iter().filter_map(|row| row.backend_least).reduce(f64::min)?;
    let most = contest.rows.iter().filter_map(|row| row.backend_most).reduce(f64::max)?;
    Some(Ruling {
        demand: format!("every backend within {:.0} % of the capacity before its measurement", EQUAL_BACKENDS * 100.0),
        measured: format!("{:.1} to {:.1} %", least * 100.0, most * 100.0),
        held: (least - 1.0).abs().max((most - 1.0).abs()) <= EQUAL_BACKENDS,
    })
}

fn harmless(own: &[&Row]) -> Ruling {
    let wrong: u64 = own.iter().map(|row| row.wrong).sum();
    Ruling { demand: "wrong, mixed, stale, duplicate: 0".to_owned(), measured: wrong.to_string(), held: wrong == 0 }
}

fn overload(contest: &Contest) -> Vec<Ruling> {
    let mut rulings = Vec::new();
    let mut rule = |demand: String, measured: String, held: bool| rulings.push(Ruling { demand, measured, held });
    let percent = |share: f64| format!("{:.2} %", share * 100.0);
    let own: Vec<&Row> = contest.rows.iter().filter(|row| row.name == "sekisho").collect();
    for row in &own {
        let at = row.multiple;
        if let Some((_, least)) = GOODPUT.iter().find(|(multiple, _)| *multiple == at) {
            let measured = percent(row.goodput);
            rule(
                format!("{at}x: goodput at least {} of the capacity", percent(*least)),
                measured,
                row.goodput >= *least,
            );
        }
        let peers = contest.rows.iter().filter(|peer| peer.multiple == at && peer.name != "sekisho");
        let best = peers.clone().max_by(|a, b| a.goodput.total_cmp(&b.goodput));
        if let Some(best) = best {
            let measured = format!("{}, {} {}", percent(row.goodput), best.name, percent(best.goodput));
            let held = row.goodput >= best.goodput - BEHIND_THE_BEST;
            rule(format!("{at}x: at most 1 point behind the best peer"), measured, held);
        }
        if at >= 2.0 {
            let as_good: Vec<&str> =
                peers.filter(|peer| is_as_good(peer, row)).map(|peer| peer.name.as_str()).collect();
            let measured = if as_good.is_empty() { "none".to_owned() } else { as_good.join(", ") };
            rule(
                format!("{at}x: no peer as good in goodput, rank and time to no at once"),
                measured,
                as_good.is_empty(),
            );
        }
        if let Some(share) = row.admitted_well {
            rule(format!("{at}x: admitted requests in their deadline at least 99.9 %"), percent(share), share >= WELL);
        }
        if at >= 10.0 {
            let share = row.started_well.unwrap_or(0.0);
            rule(format!("{at}x: steps of started sessions at least 99.9 %"), percent(share), share >= WELL);
            let ms = row.no_p99_ms.unwrap_or(f64::INFINITY);
            rule(format!("{at}x: time to no p99 at most 5 ms"), format!("{ms:.2} ms"), ms <= NO_P99_MS);
        }
    }
    rulings.push(harmless(&own));
    rulings.extend(equal_backends(contest));
    rulings
}

/// Not worse in any of the three than the gateway, beyond what can be told apart.
fn is_as_good(peer: &Row, own: &Row) -> bool {
    let no = |row: &Row| row.no_p99_ms.unwrap_or(f64::INFINITY);
    let rank = |row: &Row| row.started_well.unwrap_or(0.0);
    peer.goodput > own.goodput - BEHIND_THE_BEST && rank(peer) >= rank(own) && no(peer) <= no(own).max(NO_P99_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, multiple: f64, goodput: f64, started_well: f64, no_p99_ms: f64) -> Row {
        Row {
            name: name.to_owned(),
            multiple,
            goodput,
            started_well: Some(started_well),
            admitted_well: Some(1.0),
            no_p99_ms: Some(no_p99_ms),
            ..Row::default()
        }
    }

    fn broken(rows: Vec<Row>) -> Vec<String> {
        let contest = Contest { rows, ..Contest::default() };
        verdict(&contest).into_iter().filter(|ruling| !ruling.held).map(|ruling| ruling.demand).collect()
    }

    #[test]
    fn a_gateway_that_is_ahead_in_one_of_three_and_behind_in_none_breaks_nothing() {
        let peer = row("haproxy", 10.0, 0.965, 1.0, 2000.0);
        assert_eq!(broken(vec![peer, row("sekisho", 10.0, 0.96, 1.0, 4.0)]), Vec::<String>::new());
    }

    #[test]
    fn each_demand_can_be_broken() {
        let peer = row("haproxy", 10.0, 0.97, 0.9995, 4.0);
        let found = broken(vec![peer, row("sekisho", 10.0, 0.94, 0.99, 6.0)]);
        for demand in ["goodput at least", "behind the best", "started sessions", "time to no p99"] {
            assert!(found.iter().any(|broken| broken.contains(demand)), "{demand}: {found:?}");
        }
        let peer = row("haproxy", 10.0, 0.96, 1.0, 4.0);
        assert_eq!(broken(vec![peer, row("sekisho", 10.0, 0.96, 1.0, 4.5)]).len(), 1, "a peer as good in all three");
        let unequal =
            Row { backend_least: Some(0.65), backend_most: Some(1.0), ..row("sekisho", 10.0, 0.96, 1.0, 4.5) };
        assert_eq!(broken(vec![unequal]).len(), 1, "a backend that somebody else had thrashed");
        let wrong = Row { wrong: 1, ..row("sekisho", 1.0, 0.9, 1.0, 1.0) };
        assert_eq!(broken(vec![wrong]).len(), 1);
    }

    #[test]
    fn a_stall_is_held_against_the_capacity_and_a_slow_backend_against_the_best_static_limit() {
        let rows = vec![row("haproxy", 2.0, 0.5, 1.0, 1.0), row("sekisho", 2.0, 0.47, 1.0, 1.0)];
        let held = |scenario: &str| {
            let contest = Contest { rows: rows.clone(), scenario: scenario.into(), ..Contest::default() };
            verdict(&contest).iter().all(|ruling| ruling.held)
        };
        assert!(held("slow") && !held("stall") && !held("stall-settle"));
    }
}
