//! Any bytes on a backend's connection end in an answer within its bounds or in a reason. They travel over a real loopback
//! connection: head, body and what lies behind the body are read as in production.

#![no_main]

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Method};
use libfuzzer_sys::fuzz_target;
use sekisho_fuzz::bounded;
use sekisho_issuance::fence::Epoch;
use sekisho_worker::assignment::Call;
use sekisho_worker::backend::{Address, BackendConfig};
use sekisho_worker::owner::{Owner, OwnerConfig};
use tokio::runtime::Runtime;

const MAX_RESPONSE_BYTES: usize = 64 * 1024;

struct Bench {
    runtime: Runtime,
    owner: Arc<Owner>,
    replies: Sender<Vec<u8>>,
}

static BENCH: OnceLock<Bench> = OnceLock::new();

fn bench() -> Bench {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = Address::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let (replies, waiting) = channel::<Vec<u8>>();
    std::thread::spawn(move || {
        while let (Ok((mut stream, _)), Ok(reply)) = (listener.accept(), waiting.recv()) {
            // The whole request is one small segment.
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(&reply);
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let state = std::env::temp_dir().join(format!("sekisho-read-reply-{}", std::process::id()));
    std::fs::create_dir_all(&state).unwrap();
    let backends = HashMap::from([(Arc::from("fuzzed"), BackendConfig::new(address))]);
    let owner = runtime.block_on(async { Owner::start(OwnerConfig::new(state, Epoch(1), backends)) }).unwrap();
    Bench { runtime, owner, replies }
}

fuzz_target!(|bytes: &[u8]| bounded(|| answered(bytes)));

fn answered(bytes: &[u8]) {
    let Bench { runtime, owner, replies } = BENCH.get_or_init(bench);
    replies.send(bytes.to_vec()).unwrap();
    let call = Call {
        backend: "fuzzed".into(),
        method: Method::GET,
        target: "/".to_owned(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
        max_response_bytes: MAX_RESPONSE_BYTES,
        timeout: Duration::from_secs(5),
        echoed: false,
    };
    let deadline = Instant::now() + Duration::from_secs(5);
    if let Ok(answer) = runtime.block_on(owner.call(call, deadline)) {
        assert!(answer.body.as_slice().len() <= MAX_RESPONSE_BYTES);
        // Nothing is behind an answer that is said to be framed well.
        let body = answer.body.as_slice();
        assert!(answer.framing_surprise || body.is_empty() || bytes.len() >= body.len());
    }
}
