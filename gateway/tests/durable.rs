//! The release record and the first byte, over a real socket: a disk that takes its time delays the head of an answer, not only its end.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panic"
)]

#[allow(dead_code, reason = "shared with other tests")]
mod backend;

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use backend::Site;
use sekisho_worker::journal::{Disk, Files, Storage};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const HALF_A_SECOND: Duration = Duration::from_millis(500);

/// When the first release intent since it was made slow was durable.
#[derive(Default)]
struct State {
    slow: bool,
    durable: Option<Instant>,
}

/// A disk whose syncs take half a second from when it is told so.
#[derive(Default, Clone)]
struct Slow(Arc<Mutex<State>>);

struct SlowFile {
    file: Box<dyn Storage>,
    disk: Slow,
    /// A release intent was written, and not synced yet.
    intent: bool,
}

impl Slow {
    fn on(&self, file: Box<dyn Storage>) -> Box<dyn Storage> {
        Box::new(SlowFile { file, disk: self.clone(), intent: false })
    }
}

impl Disk for Slow {
    fn create(&self, path: &Path, bytes: &[u8]) -> io::Result<Box<dyn Storage>> {
        Files.create(path, bytes).map(|file| self.on(file))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Storage>> {
        Files.open(path).map(|file| self.on(file))
    }
}

impl Storage for SlowFile {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let wanted = b"\"release_intent\"";
        self.intent |= bytes.windows(wanted.len()).any(|part| part == wanted);
        self.file.write_at(bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        let slow = self.disk.0.lock().unwrap().slow;
        if slow {
            // The failpoint itself: nobody waits for anything by it.
            std::thread::sleep(HALF_A_SECOND);
        }
        self.file.sync()?;
        if std::mem::take(&mut self.intent) && slow {
            self.disk.0.lock().unwrap().durable.get_or_insert_with(Instant::now);
        }
        Ok(())
    }

    fn finish(&mut self, length: u64) -> io::Result<()> {
        self.file.finish(length)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_byte_of_a_head_comes_after_the_sync_of_its_release_intent() {
    let disk = Slow::default();
    let site = Site::start_on_disk(Arc::new(disk.clone())).await;
    let session = site.open("K-1", "card-1").await;
    disk.0.lock().unwrap().slow = true;
    let mut stream = TcpStream::connect(site.address).await.unwrap();
    let asked = Instant::now();
    let request = format!(
        "GET /residents/r-1 HTTP/1.1\r\nHost: a\r\nX-Terminal: K-1\r\nX-Session: {session}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut said = vec![0];
    stream.read_exact(&mut said).await.unwrap();
    let first_byte = Instant::now();
    stream.read_to_end(&mut said).await.unwrap();
    let said = String::from_utf8(said).unwrap();
    assert!(said.starts_with("HTTP/1.1 200") && said.contains("\"id\":\"r-1\""), "{said}");
    let durable = disk.0.lock().unwrap().durable;
    let durable = durable.expect("the whole answer came, and its record is not durable");
    assert!(first_byte >= durable, "a byte came {:?} before its record was durable", durable - first_byte);
    assert!(first_byte - asked >= HALF_A_SECOND);
}
