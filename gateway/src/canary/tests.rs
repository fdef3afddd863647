use std::time::{Duration, Instant};

use jiff::Timestamp;
use tower::Service;

use super::*;
use crate::layer::tests::inbound;
use crate::registry::{Enabled, Registry};

pub(crate) fn visit(canary: &str) -> Arc<Visit> {
    Visit::new(&canary.into())
}

fn canary() -> Arc<Canary> {
    let text = format!(
        "{}\n[canaries.seen]\n{}",
        include_str!("../../../loadtest/demo/gateway.toml"),
        r#"route = "tax"
        every = "10s"
        facts = { municipality = "991007" }
        people = [{ kiosk = "CANARY-1", card = "9901" }, { kiosk = "CANARY-2", card = "9902" }]
        open = { route = "session_open", body = '{"terminal":"{kiosk}","cardSerial":"{card}","cityCode":"{municipality}"}' }"#
    );
    let config = crate::config::parse(&text).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    config.canaries["seen"].clone()
}

#[test]
fn names_are_label_values_in_order() {
    assert_eq!(Expect::ALL.map(Expect::name), Expect::NAMES);
    let all = [Seen::Passed, Seen::Closed, Seen::Shed, Seen::Failed, Seen::Blind, Seen::NotWithheld];
    assert_eq!(all.map(Seen::name), Seen::NAMES);
    assert!(all.is_sorted(), "the worst of several is the greatest");
}

/// A canary may miss one run; a polite no that everybody hears is no miss, and having no room is one.
#[test]
fn a_canary_is_overdue_when_it_neither_sang_nor_was_told_that_nobody_is_served() {
    let (registry, board, canary, start) = (Registry::isolated(), Board::default(), canary(), Instant::now());
    registry.declare(&Enabled { canaries: vec!["seen"], ..Enabled::default() });
    board.keep([&canary].into_iter(), &registry, start);
    let overdue = |after: Duration| {
        board.publish(&registry, start + after);
        let text = registry.render();
        let line = "sekisho_canary_overdue_seconds{canary=\"seen\",expect=\"release\"} ";
        text.lines().find_map(|l| l.strip_prefix(line)?.parse::<f64>().ok()).unwrap()
    };
    let enough = 2 * canary.every + canary.longest_run();
    let second = Duration::from_secs(1);
    assert_eq!((overdue(enough), overdue(enough + second)), (0.0, 1.0));
    for (seen, moves) in [(Seen::Shed, false), (Seen::Failed, false), (Seen::Closed, true), (Seen::Passed, true)] {
        board.saw(&canary.name, Expect::Release, seen, &registry, Timestamp::UNIX_EPOCH);
        board.ran(&canary.name, Expect::Release, seen, start + enough);
        assert_eq!(overdue(enough + second) == 0.0, moves, "{seen:?}");
        board.ran(&canary.name, Expect::Release, Seen::Passed, start);
    }
    assert_eq!(board.alarming(), []);
    board.ran(&canary.name, Expect::Withhold, Seen::Blind, start);
    assert_eq!(board.alarming(), [(canary.name.clone(), Seen::Blind)]);
    // Gone with a reload, it is not waited for.
    assert_eq!(overdue(2 * enough + second), enough.as_secs_f64() + 1.0);
    board.keep([].into_iter(), &registry, start);
    assert_eq!(overdue(4 * enough), 0.0);
}

/// Whatever a request says of itself, over a connection it is no canary: only the value that a run makes says so.
#[tokio::test]
async fn a_canarys_request_ends_with_the_canary_and_a_kiosks_with_the_counters() {
    let edge = crate::edge::tests::edge();
    let arrivals = || {
        let text = edge.registry.render();
        text.lines().find_map(|l| l.strip_prefix("sekisho_arrivals_total ")?.parse::<f64>().ok()).unwrap()
    };
    let headers = [("x-canary", "tax"), ("x-session", "s1"), ("x-terminal", "CANARY-1")];
    let ask = async |visit: Option<Arc<Visit>>| {
        let mut request = inbound(&edge, "GET", "/residents/r1", &headers, "");
        request.canary = visit;
        Box::pin(crate::stack::stack().call(request)).await.unwrap().status()
    };
    let refused = ask(None).await;
    assert_eq!(arrivals(), 1.0);
    let visit = visit("tax");
    assert_eq!(ask(Some(visit.clone())).await, refused, "the same layers say the same");
    assert_eq!(arrivals(), 1.0);
    assert_eq!(visit.take().ended, Some((Outcome::Rejected, "unknown_session")));
}
