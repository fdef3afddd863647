//! CPU time of one inquiry (2 KB of JSON) through lane, intent and channel, by thread. Prints; judges nothing.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark")]

use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, Method};
use sekisho_issuance::binding::{Binding, BindingKey};
use sekisho_issuance::context::{RequestContext, TraceParent};
use sekisho_issuance::fence::Epoch;
use sekisho_issuance::id::RequestId;
use sekisho_issuance::request::{Facts, Operation};
use sekisho_issuance::shard::{LaneId, LaneSet};
use sekisho_worker::assignment::{Assignment, Call};
use sekisho_worker::backend::{Address, BackendConfig};
use sekisho_worker::owner::{Owner, OwnerConfig};

const AT_ONCE: usize = 16;
const ATTEMPTS: usize = 40_000;

fn serve(mut stream: TcpStream) {
    stream.set_nodelay(true).unwrap();
    let body = format!("{{\"id\":\"{}\"}}", "x".repeat(2040));
    let reply =
        format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let mut buffer = [0; 4096];
    while let Ok(read) = stream.read(&mut buffer)
        && read > 0
        && stream.write_all(reply.as_bytes()).is_ok()
    {}
}

/// Nanoseconds on a CPU, by thread name.
fn cpu() -> BTreeMap<String, u64> {
    let mut used = BTreeMap::new();
    for task in std::fs::read_dir("/proc/self/task").unwrap().flatten() {
        let read = |file: &str| std::fs::read_to_string(task.path().join(file)).unwrap_or_default();
        let ns: u64 = read("schedstat").split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0);
        *used.entry(read("comm").trim().to_owned()).or_default() += ns;
    }
    used
}

fn assignment(binding: Binding, resident: u128) -> Assignment {
    Assignment {
        request: RequestId::from_u128(resident),
        binding,
        epoch: Epoch(1),
        operation: Operation::Inquire,
        standing: sekisho_worker::standing::Standing::of(sekisho_worker::standing::Rank::New, Instant::now()),
        lanes: LaneSet::new(vec![LaneId::from_u128(resident)]),
        deadline: Instant::now() + Duration::from_secs(10),
        max_run: Duration::from_secs(30),
        trace: TraceParent { trace_id: 1, parent_id: 1, flags: 0 },
        before: None,
        before_guard: None,
        call: Call {
            backend: "issuer".into(),
            method: Method::GET,
            target: "/residents/1".to_owned(),
            headers: HeaderMap::new(),
            body: bytes::Bytes::new(),
            max_response_bytes: 64 * 1024,
            timeout: Duration::from_secs(10),
            echoed: true,
        },
        fetch: None,
        after: None,
        key: None,
    }
}

async fn attempts(owner: Arc<Owner>, binding: Binding, worker: usize) {
    for n in 0..ATTEMPTS / AT_ONCE {
        let resident = (worker * ATTEMPTS + n) as u128 + 1;
        owner.assign(assignment(binding, resident)).await.unwrap().settlement.passed();
    }
}

fn main() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = Address::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let accept = move || {
        for stream in listener.incoming().flatten() {
            std::thread::Builder::new().name("backend".to_owned()).spawn(move || serve(stream)).unwrap();
        }
    };
    std::thread::Builder::new().name("backend".to_owned()).spawn(accept).unwrap();
    let facts = Facts {
        kiosk: None,
        session: None,
        municipality: None,
        residents: Vec::new(),
        applicant: None,
        kind: None,
        selection: Default::default(),
        card: None,
        idempotency_key: None,
    };
    let trace = TraceParent { trace_id: 1, parent_id: 1, flags: 0 };
    let now = Instant::now();
    let context =
        RequestContext::freeze(RequestId::from_u128(7), trace, now, jiff::Timestamp::UNIX_EPOCH, Duration::ZERO);
    let binding = Binding::seal(&BindingKey::new([1; 32]), &context, "route", &facts, 1);
    for fresh in [false, true] {
        let state = tempfile::tempdir_in(std::env::var_os("BENCH_STATE").unwrap_or("/tmp".into())).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut backend = BackendConfig::new(address.clone());
            backend.max_in_flight = AT_ONCE;
            backend.hazards.fresh_connections = fresh;
            let config =
                OwnerConfig::new(state.path().to_owned(), Epoch(1), HashMap::from([("issuer".into(), backend)]));
            let owner = Owner::start(config).unwrap();
            let (before, start) = (cpu(), Instant::now());
            let workers: Vec<_> =
                (0..AT_ONCE).map(|w| tokio::spawn(attempts(Arc::clone(&owner), binding, w))).collect();
            for worker in workers {
                worker.await.unwrap();
            }
            let (after, took) = (cpu(), start.elapsed());
            println!("fresh_connections = {fresh}: {:.0} attempts/s", ATTEMPTS as f64 / took.as_secs_f64());
            for (thread, ns) in after {
                let used = ns - before.get(&thread).copied().unwrap_or(0).min(ns);
                println!("  {thread:16} {:6.1} us of CPU per attempt", used as f64 / ATTEMPTS as f64 / 1000.0);
            }
            owner.drain().await;
        });
    }
}
