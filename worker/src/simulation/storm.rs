//! Many residents, households, amends, cancels and a bad backend at once, from a seed that is printed.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::backend::{Reply, Scripted};
use super::*;

/// What one seed led to: every request as the backend heard it.
async fn storm(seed: u64) -> Vec<(String, Duration)> {
    let (backend, state) = (Scripted::start(), tempfile::tempdir().unwrap());
    let owner = owner_with(state.path(), &backend, |c| {
        c.max_in_flight = 4;
        c.hazards.settle_after_timeout = SECOND;
    });
    let start = clock::now();
    let mut rng = StdRng::seed_from_u64(seed);
    let mut asked = Vec::new();
    for n in 0..120 {
        let residents: Vec<u128> = (0..rng.random_range(1..3)).map(|_| rng.random_range(0..6)).collect();
        let lanes: Vec<_> = LaneSet::new(residents.iter().map(|r| LaneId::from_u128(*r)).collect())
            .as_slice()
            .iter()
            .map(|l| l.as_u128().to_string())
            .collect();
        let path = format!("/{n}/{}", lanes.join("-"));
        let slowness = Duration::from_millis(rng.random_range(0..3000));
        match rng.random_range(0..10) {
            0 => {}
            1 => backend
                .on(&path, move |_| Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf").after(slowness)),
            2 => backend.on(&path, move |_| Reply::ok("late").after(Duration::from_secs(15))),
            _ => backend.on(&path, move |_| Reply::ok("x").after(slowness)),
        }
        let mut a = assignment(&path, &residents);
        a.deadline = clock::now() + Duration::from_millis(rng.random_range(500..12_000));
        a.call.timeout = Duration::from_secs(5);
        let (passes, cancel) = (rng.random_bool(0.8), rng.random_bool(0.2));
        let owner = Arc::clone(&owner);
        let task = tokio::spawn(async move {
            if let Ok(attested) = owner.assign(a).await {
                match passes {
                    true => attested.settlement.passed(),
                    false => attested.settlement.surprised("storm"),
                }
            }
        });
        let pause = Duration::from_millis(rng.random_range(0..800));
        tokio::time::sleep(pause).await;
        if cancel {
            task.abort();
        }
        asked.push(task);
    }
    for task in asked {
        let _ = task.await;
    }
    tokio::time::sleep(MAX_RUN * 4).await;
    assert!(owner.lanes.is_idle(), "seed {seed}: {:?}", owner.oldest_attempts(5));
    assert_eq!(owner.intents.count(), 0, "seed {seed}");
    assert_eq!(owner.lanes.overlaps.seen(), 0, "seed {seed}: two operations at once for one resident");
    let state = &owner.backend_states()[0];
    assert_eq!((state.in_flight, state.resting, state.waiting), (0, 0, 0), "seed {seed}");
    assert!(backend.most_busy() > 1, "seed {seed}: nothing ran beside anything");
    backend.heard_all().into_iter().map(|h| (h.path, h.at - start)).collect()
}

#[tokio::test(start_paused = true)]
async fn one_operation_at_once_for_each_resident_and_nothing_left_behind() {
    for seed in 0..20 {
        println!("seed {seed}");
        let heard = storm(seed).await;
        // Of one resident's requests none came twice.
        let mut paths: Vec<_> = heard.iter().map(|(path, _)| path).collect();
        let sent = paths.len();
        paths.sort();
        paths.dedup();
        assert_eq!(paths.len(), sent, "seed {seed}: a request was sent twice");
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_trace() {
    let first = storm(42).await;
    assert!(first.len() > 15);
    assert_eq!(first, storm(42).await);
}
