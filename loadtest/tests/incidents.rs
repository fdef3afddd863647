//! Every incident, small: straight at the backend it does its harm, through a gateway it does none.
//!
//! The full replay (`sekisho-loadtest incidents`) also counts how many of the others were served; here there are too few
//! of them to say anything in per cent.

#![allow(clippy::unwrap_used)]

use sekisho_loadtest::dialect::Dialect;
use sekisho_loadtest::incidents::catalogue::{INCIDENTS, find};
use sekisho_loadtest::incidents::{Setup, run};
use sekisho_loadtest::report::{Path, Step};

fn setup() -> Setup {
    let program = env!("CARGO_BIN_EXE_sekisho-loadtest").into();
    Setup { program, seed: 20_230_327, requests: 18, per_second: 8.0, without: None, dialect: Dialect::Json }
}

async fn does_harm_directly(id: &str) {
    let incident = find(id).unwrap();
    let row = run(&setup(), incident, Path::Direct, Step::silent()).await.unwrap();
    assert!(row.did_expected_harm(incident.expected), "seed {}: {row:?}", row.seed);
    assert!(row.faults_fired > 0, "{row:?}");
}

async fn does_none_through_the_gateway(id: &str, dialect: Dialect) {
    let setup = Setup { dialect, ..setup() };
    let row = run(&setup, find(id).unwrap(), Path::Gateway, Step::silent()).await.unwrap();
    assert!(row.harmless(), "seed {}: {row:?}", row.seed);
    assert!(row.released > 0 && row.municipalities >= 3, "{row:?}");
}

macro_rules! incidents {
    ($($name:ident = $id:literal),* $(,)?) => {
        $(mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn does_harm_straight_at_the_backend() {
                super::does_harm_directly($id).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn does_none_through_the_gateway() {
                super::does_none_through_the_gateway($id, super::Dialect::Json).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn does_none_through_the_gateway_in_soap() {
                super::does_none_through_the_gateway($id, super::Dialect::Soap).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn does_none_through_the_gateway_where_certificates_are_jobs() {
                super::does_none_through_the_gateway($id, super::Dialect::Form).await;
            }
        })*

        #[test]
        fn every_incident_is_tested() {
            let mut tested = [$($id),*];
            let mut all = INCIDENTS.map(|incident| incident.id);
            tested.sort_unstable();
            all.sort_unstable();
            assert_eq!(tested, all);
        }
    };
}

incidents! {
    yokohama_lock_timeout = "yokohama-lock-timeout",
    kawasaki_same_second = "kawasaki-same-second",
    adachi_update_race = "adachi-update-race",
    munakata_previous_result = "munakata-previous-result",
    tokushima_mixed_page = "tokushima-mixed-page",
    stale_seal = "stale-seal",
    takamatsu_topology = "takamatsu-topology",
    adachi_dismissed_alarm = "adachi-dismissed-alarm",
    account_previous_user = "account-previous-user",
    insurance_weak_match = "insurance-weak-match",
    cancelled_request_reuse = "cancelled-request-reuse",
    collapsed_forwarding = "collapsed-forwarding",
}
