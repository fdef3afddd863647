//! What would become of another's document: said, and nothing else done.

use super::*;

fn specimen(bench: &Bench, resident: &str, request: u128, about: &str) -> Box<Specimen> {
    let bound = bench.bound("inquiry", resident, request);
    let attested = inquiry(&bound, about);
    let genuine = Genuine::of(&attested);
    Specimen::new(bound.into(), genuine)
}

/// Nothing left, was claimed, counted, suspended or recorded.
fn untouched(bench: &Bench) {
    assert_eq!(bench.documents(), (0.0, 0.0, 0.0));
    assert_eq!(bench.gauge("sekisho_check_verdicts_total", ""), 0.0);
    assert_eq!(bench.gauge("sekisho_unique_hits_total", ""), 0.0);
    assert_eq!(bench.gate.records().memory().unique.len(), (0, 0));
    assert!(bench.latches.list().is_empty() && bench.log.texts().is_empty());
}

#[tokio::test]
async fn anothers_document_is_recognised_and_nothing_is_suspended_for_it() {
    for mode in ["enforce", "observe"] {
        let bench = bench(mode);
        let (mine, theirs) = (specimen(&bench, "1001", 1, "1001"), specimen(&bench, "1002", 2, "1002"));
        for _ in 0..5 {
            assert_eq!(bench.gate.would_release(&mine, &theirs), Trial::Recognised, "{mode}");
        }
        untouched(&bench);
    }
}

/// A detector that sees nobody: the document says whatever is asked for.
#[tokio::test]
async fn a_document_that_no_check_tells_apart_is_said_to_leave_and_does_not() {
    let bench = bench("enforce");
    let mine = specimen(&bench, "1001", 1, "1001");
    assert_eq!(bench.gate.would_release(&mine, &mine), Trial::Released);
    let echo_alone = specimen(&bench, "1001", 2, "1001");
    assert_eq!(bench.gate.would_release(&mine, &echo_alone), Trial::WithheldOtherwise("echo"));
    untouched(&bench);
}

/// What a canary is given moves no figure of kiosks, and a stranger's document latches all the same.
#[tokio::test]
async fn a_canarys_own_document_is_counted_nowhere_and_a_strangers_still_suspends() {
    let bench = bench("enforce");
    let visit = crate::canary::tests::visit("tax");
    let bound = bench.bound("inquiry", "1001", 1).asked_by(Some(&visit));
    let released = bench.gate.decide(&bound, inquiry(&bound, "1001")).await.unwrap();
    let out = bench.gate.commit(&bound, released, waits).await.unwrap();
    drop(body(out.response).await);
    assert_eq!((bench.documents(), bench.gauge("sekisho_check_verdicts_total", "")), ((0.0, 0.0, 0.0), 0.0));
    assert!(bench.log.texts()[0].contains("\"canary\":\"tax\""), "{:?}", bench.log.texts());
    let bound = bench.bound("inquiry", "1001", 2).asked_by(Some(&visit));
    let kept = bench.gate.decide(&bound, inquiry(&bound, "1002")).await.err().unwrap();
    assert_eq!(kept.reason(), "identity");
    assert!(bench.latches.show(kept.latch().unwrap()).unwrap().confirmed);
    assert_eq!((bench.documents(), bench.gauge("sekisho_check_verdicts_total", "")), ((0.0, 0.0, 0.0), 0.0));
}
