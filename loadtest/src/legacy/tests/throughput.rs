//! What a document costs the simulator. Prints; judges nothing. Run in release: `cargo test --release -p sekisho-loadtest -- --ignored --nocapture cpu_time_a_document`.

use std::sync::Arc;

use super::super::{Form, ServiceTime, World, WorldConfig, serve};
use super::ANY;
use super::client::Client;

/// CPU time of the calling thread in clock ticks (10 ms).
fn thread_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
#[ignore = "a measurement, for release builds"]
fn cpu_time_a_document() {
    const DOCUMENTS: usize = 30_000;
    let world = World::new(WorldConfig { service: ServiceTime::INSTANT, ..WorldConfig::default() });
    let (bound, addresses) = std::sync::mpsc::channel();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let (measure, measured) = std::sync::mpsc::channel();
    let (ask, mut asked) = tokio::sync::mpsc::channel::<()>(1);
    let server_world = Arc::clone(&world);
    let server = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let running = serve(server_world, ANY, ANY).await.unwrap();
            bound.send((running.issuer, running.records)).unwrap();
            tokio::spawn(async move {
                while asked.recv().await.is_some() {
                    measure.send(thread_ticks()).unwrap();
                }
            });
            let _ = stopped.await;
        });
    });
    let (issuer, records) = addresses.recv().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let ticks = async || {
            ask.send(()).await.unwrap();
            measured.recv().unwrap()
        };
        for (city, municipality) in world.city_codes().into_iter().zip(world.municipalities()) {
            let people: Vec<_> = world.samples(&city, true).into_iter().filter(|p| p.household <= 4).take(20).collect();
            let lane = async |lane: usize| {
                let client = Client::new(issuer);
                let mut bytes = 0;
                for turn in 0..DOCUMENTS / 8 / 20 {
                    let person = &people[(lane + turn) % people.len()];
                    let terminal = format!("K-{lane:04}");
                    let opened = client.open(&terminal, &person.card, &city).await.unwrap().json();
                    for n in 0..20 {
                        let form = [Form::ResidentRecord, Form::Tax][n % 2];
                        let session = opened["sessionId"].as_str().unwrap();
                        bytes +=
                            client.issue("r", session, &terminal, form.path(), "household").await.unwrap().body.len();
                    }
                }
                bytes
            };
            // Once to render everything, then measured.
            for measured in [false, true] {
                let (before, began) = (ticks().await, std::time::Instant::now());
                let got = tokio::join!(lane(0), lane(1), lane(2), lane(3), lane(4), lane(5), lane(6), lane(7));
                let (ticks, took) = (ticks().await - before, began.elapsed());
                let bytes = [got.0, got.1, got.2, got.3, got.4, got.5, got.6, got.7].iter().sum::<usize>();
                if measured {
                    eprintln!(
                        "{:?}: {:.1} us CPU a document of {} bytes, {:.0} documents/s as one client saw it",
                        municipality.style,
                        ticks as f64 * 10_000.0 / DOCUMENTS as f64,
                        bytes / DOCUMENTS,
                        DOCUMENTS as f64 / took.as_secs_f64()
                    );
                }
            }
        }
        let client = Client::new(records);
        let people = world.samples("991007", true);
        let before = ticks().await;
        for turn in 0..DOCUMENTS {
            let path = format!("/v2/residents/{}", people[turn % people.len()].resident);
            assert_eq!(client.send("GET", &path, &[], "").await.unwrap().status, 200);
        }
        let ticks = ticks().await - before;
        eprintln!("{:.1} us CPU a lookup of a resident and household", ticks as f64 * 10_000.0 / DOCUMENTS as f64);
    });
    stop.send(()).unwrap();
    server.join().unwrap();
}
