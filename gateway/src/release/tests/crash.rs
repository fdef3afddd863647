//! The gate on a disk that delays, fails, or forgets at a kill whatever was not synced: nothing leaves that the records do not have.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sekisho_worker::journal::{Disk, Files, Storage};

use super::*;
use crate::record::{Options, export, verify};
use crate::state_dir::CheckpointKey;

/// What a file holds for good, and what was written since.
#[derive(Default, Clone)]
struct Held {
    durable: Vec<u8>,
    pending: Vec<(u64, Vec<u8>)>,
}

impl Held {
    fn apply(durable: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
        let (from, to) = (offset as usize, offset as usize + bytes.len());
        durable.resize(durable.len().max(to), 0);
        durable[from..to].copy_from_slice(bytes);
    }

    fn sync(&mut self) {
        for (offset, bytes) in self.pending.drain(..) {
            Self::apply(&mut self.durable, offset, &bytes);
        }
    }
}

/// What the disk does to those who use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Good,
    SyncTakes(Duration),
    /// An error number.
    SyncFails(i32),
    WriteFails(i32),
}

struct World {
    files: HashMap<PathBuf, Held>,
    mood: Mood,
    /// Writes and syncs still to come before the power goes.
    until_kill: Option<u64>,
    kill: Option<Kill>,
}

/// Whom an answer was given to.
type Given = Arc<Mutex<Vec<u128>>>;

/// Where the picture of the moment goes: who was given something before it, then what each file held.
struct Kill {
    given: Given,
    picture: std::sync::mpsc::Sender<(Vec<u128>, HashMap<PathBuf, Held>)>,
}

impl World {
    fn count(&mut self) {
        self.until_kill = self.until_kill.and_then(|left| left.checked_sub(1));
        if self.until_kill == Some(0)
            && let Some(Kill { given, picture }) = self.kill.take()
        {
            let given = given.lock().unwrap().clone();
            picture.send((given, self.files.clone())).unwrap();
        }
    }
}

/// Files that are what they seem until the power goes.
#[derive(Clone)]
struct Shaky(Arc<Mutex<World>>);

struct ShakyFile {
    path: PathBuf,
    seen: Box<dyn Storage>,
    disk: Shaky,
}

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

impl Shaky {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(World { files: HashMap::new(), mood: Mood::Good, until_kill: None, kill: None })))
    }

    fn mood(&self, mood: Mood) {
        self.0.lock().unwrap().mood = mood;
    }

    /// The power goes after so many writes and syncs.
    fn kill_after(
        &self,
        operations: u64,
        given: &Given,
    ) -> std::sync::mpsc::Receiver<(Vec<u128>, HashMap<PathBuf, Held>)> {
        let (picture, taken) = std::sync::mpsc::channel();
        let mut world = self.0.lock().unwrap();
        (world.until_kill, world.kill) = (Some(operations), Some(Kill { given: given.clone(), picture }));
        taken
    }
}

/// What is on the disk after a kill: what was synced, and of the rest whatever `rng` lets survive, possibly torn.
fn lay_out(files: &HashMap<PathBuf, Held>, into: &Path, rng: &mut StdRng) {
    for (path, held) in files {
        let mut bytes = held.durable.clone();
        let keeps = rng.random_bool(0.5);
        for (offset, write) in held.pending.iter().filter(|_| keeps) {
            Held::apply(&mut bytes, *offset, &write[..rng.random_range(0..=write.len())]);
        }
        std::fs::write(into.join(path.file_name().unwrap()), bytes).unwrap();
    }
}

impl Disk for Shaky {
    fn create(&self, path: &Path, bytes: &[u8]) -> io::Result<Box<dyn Storage>> {
        if let Mood::WriteFails(error) = self.0.lock().unwrap().mood {
            return Err(io::Error::from_raw_os_error(error));
        }
        let seen = Files.create(path, bytes)?;
        let held = Held { durable: bytes.to_vec(), pending: Vec::new() };
        self.0.lock().unwrap().files.insert(path.to_owned(), held);
        Ok(Box::new(ShakyFile { path: path.to_owned(), seen, disk: self.clone() }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Storage>> {
        let held = Held { durable: std::fs::read(path)?, pending: Vec::new() };
        self.0.lock().unwrap().files.insert(path.to_owned(), held);
        Ok(Box::new(ShakyFile { path: path.to_owned(), seen: Files.open(path)?, disk: self.clone() }))
    }
}

impl Storage for ShakyFile {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut world = self.disk.0.lock().unwrap();
        if let Mood::WriteFails(error) = world.mood {
            return Err(io::Error::from_raw_os_error(error));
        }
        world.files.get_mut(&self.path).unwrap().pending.push((offset, bytes.to_vec()));
        world.count();
        self.seen.write_at(bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        let mood = self.disk.0.lock().unwrap().mood;
        match mood {
            Mood::SyncFails(error) => return Err(io::Error::from_raw_os_error(error)),
            // The failpoint itself: nobody waits for anything by it.
            Mood::SyncTakes(time) => std::thread::sleep(time),
            Mood::Good | Mood::WriteFails(_) => {}
        }
        let mut world = self.disk.0.lock().unwrap();
        world.files.get_mut(&self.path).unwrap().sync();
        world.count();
        Ok(())
    }

    fn finish(&mut self, length: u64) -> io::Result<()> {
        self.sync()?;
        self.disk.0.lock().unwrap().files.get_mut(&self.path).unwrap().durable.truncate(length as usize);
        self.seen.finish(length)
    }
}

/// A gate whose records are on `disk` in `dir`, in small segments.
fn gate_on(disk: &Shaky, dir: &Path) -> (Bench, CheckpointKey) {
    let key = CheckpointKey::new(&[7; 32]);
    let options = Options { segment_bytes: 9_000, key: Some(key.clone()), disk: Arc::new(disk.clone()) };
    let records = Records::open_with(dir, Memory::default(), Clock::fixed(now()), options).unwrap();
    (bench_over("enforce", Scripted::new(), records).0, key)
}

/// Hands an answer to a kiosk, to its last byte.
async fn released(bench: &Bench, request: u128) -> Result<(), Withheld> {
    let bound = bench.bound("inquiry", "1001", request);
    let released = bench.gate.decide(&bound, inquiry(&bound, "1001")).await?;
    body(bench.gate.commit(&bound, released, waits).await?.response).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_response_byte_comes_before_a_sync_that_takes_half_a_second() {
    let (disk, dir) = (Shaky::new(), tempfile::tempdir().unwrap());
    let (bench, _) = gate_on(&disk, dir.path());
    let half_a_second = Duration::from_millis(500);
    disk.mood(Mood::SyncTakes(half_a_second));
    let began = Instant::now();
    assert!(released(&bench, 1).await.is_ok());
    assert!(began.elapsed() >= half_a_second, "{:?}", began.elapsed());
    disk.mood(Mood::Good);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_failing_or_full_disk_nothing_leaves_and_it_is_said() {
    for mood in [Mood::SyncFails(EIO), Mood::SyncFails(ENOSPC), Mood::WriteFails(ENOSPC), Mood::WriteFails(EIO)] {
        let (disk, dir) = (Shaky::new(), tempfile::tempdir().unwrap());
        let (bench, _) = gate_on(&disk, dir.path());
        assert!(released(&bench, 1).await.is_ok());
        disk.mood(mood);
        let kept = released(&bench, 2).await.err().unwrap();
        assert_eq!(kept.reason(), "not_durable", "{mood:?}");
        // A disk that recovers is not believed: what failed may be lost, and only a restart reads what there is.
        disk.mood(Mood::Good);
        assert_eq!(released(&bench, 3).await.err().unwrap().reason(), "not_durable", "{mood:?}");
        assert!(!bench.gate.records().is_durable());
        assert_eq!(bench.documents(), (3.0, 1.0, 2.0), "{mood:?}");
    }
}

/// 200 kills at random moments under load. Whatever a kiosk was given is in the records that are left, and these prove whole.
#[test]
fn a_kill_that_forgets_unsynced_writes_leaves_no_release_without_its_record() {
    let seed: u64 = std::env::var("SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(rand::random);
    println!("SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (mut torn, mut let_go) = (0, 0);
    for life in 0..10 {
        let (disk, dir, given) = (Shaky::new(), tempfile::tempdir().unwrap(), Given::default());
        let guard = runtime.enter();
        let (bench, key) = gate_on(&disk, dir.path());
        drop(guard);
        let bench = Arc::new(bench);
        for point in 0..20 {
            let left = tempfile::tempdir().unwrap();
            // A picture of what a kill at this moment would leave; the load goes on, as if it had not been. Each kiosk waits for a
            // write and a sync of its own for every answer, so the moment comes.
            let picture = disk.kill_after(rng.random_range(1..=2 * u64::from(EACH)), &given);
            let kiosks = (0..4)
                .map(|kiosk| runtime.spawn(ask(bench.clone(), point * 10 + kiosk, given.clone())))
                .collect::<Vec<_>>();
            for kiosk in kiosks {
                runtime.block_on(kiosk).unwrap();
            }
            let (given, files) = picture.try_recv().unwrap();
            lay_out(&files, left.path(), &mut rng);
            let found = verify(left.path(), &[], &[key.public()]).unwrap();
            assert!(found.ok, "SEED={seed} {life}/{point}: {found:#?}");
            torn += u64::from(found.segments.last().is_some_and(|s| s.torn_bytes > 0));
            let opened = Records::open(left.path(), Memory::default(), Clock::fixed(now()));
            opened.unwrap_or_else(|error| panic!("SEED={seed} {life}/{point}: {error}")).close();
            let mut recorded = HashSet::new();
            export(left.path(), None, None, |line| {
                if line["record"]["record"] == "release_intent" {
                    recorded.insert(line["record"]["request"].as_str().unwrap().to_owned());
                }
            })
            .unwrap();
            for request in &given {
                let request = RequestId::from_u128(*request).to_string();
                assert!(recorded.contains(&request), "SEED={seed} {life}/{point}: {request} left without a record");
            }
            let_go = let_go.max(given.len());
        }
    }
    assert!(torn > 20 && let_go > 100, "torn {torn} times, {let_go} given in a life: it says nothing");
}

/// Answers that a kiosk asks for, one after the other.
const EACH: u32 = 6;

async fn ask(bench: Arc<Bench>, kiosk: u32, given: Given) {
    for n in 1..=EACH {
        let request = u128::from(kiosk * 100 + n);
        released(&bench, request).await.unwrap_or_else(|why| panic!("{why:?}"));
        given.lock().unwrap().push(request);
        if n == EACH / 2 {
            bench.gate.records().export_head(None);
        }
    }
}
