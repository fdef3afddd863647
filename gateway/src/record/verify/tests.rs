use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::clock::Clock;
use crate::record::{Ended, HEAD_FILE, Memory, Options, Records};
use crate::state_dir::CheckpointKey;

fn key() -> CheckpointKey {
    CheckpointKey::new(&[5; 32])
}

fn record(number: u64) -> Record {
    Record::Ended(Ended {
        request: format!("request-{number}"),
        arrived_at: jiff::Timestamp::UNIX_EPOCH,
        at: jiff::Timestamp::UNIX_EPOCH,
        route: "tax".to_owned(),
        outcome: "failed".to_owned(),
        canary: None,
        reason: "x".repeat((number % 50) as usize),
    })
}

/// Records of several segments; a checkpoint after every fifth. Closed, with the head that was exported at the end.
async fn written(dir: &Path, records: u64, segment_bytes: u64) -> SignedHead {
    let options = Options { segment_bytes, key: Some(key()), ..Options::default() };
    let clock = Clock::fixed(jiff::Timestamp::UNIX_EPOCH);
    let log = Records::open_with(dir, Memory::default(), clock, options).unwrap();
    for number in 0..records {
        log.append(&record(number)).await.unwrap();
        if number % 5 == 4 {
            log.export_head(None);
        }
    }
    log.close();
    exported(dir)
}

fn exported(dir: &Path) -> SignedHead {
    serde_json::from_str(&fs::read_to_string(dir.join(HEAD_FILE)).unwrap()).unwrap()
}

fn proven(dir: &Path, heads: &[Head]) -> Verification {
    verify(dir, heads, &[key().public()]).unwrap()
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let all = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    let mut all: Vec<_> = all.filter(|p| p.extension().is_some_and(|e| e == "records")).collect();
    all.sort();
    all
}

/// Where each record of a segment begins.
fn starts(bytes: &[u8]) -> Vec<usize> {
    let mut starts = Vec::new();
    let mut at = 76;
    while let Some(length) = bytes.get(at + 4..at + 8) {
        starts.push(at);
        at += 52 + u32::from_le_bytes(length.try_into().unwrap()) as usize;
    }
    starts
}

#[tokio::test]
async fn what_nobody_touched_is_proven_with_every_checkpoint_and_head() {
    let dir = tempfile::tempdir().unwrap();
    let head = written(dir.path(), 40, 2_000).await;
    let plain = Head::parse(&head.head).unwrap();
    let found = proven(dir.path(), &[Head::Signed(head.clone()), plain]);
    assert!(found.ok, "{found:#?}");
    assert!(found.segments.len() > 3 && found.checkpoints > 3 && found.heads_reached == 2, "{found:#?}");
    assert!(found.notes.is_empty(), "{:?}", found.notes);
    let stranger = CheckpointKey::new(&[6; 32]);
    let found = verify(dir.path(), &[Head::Signed(head)], &[stranger.public()]).unwrap();
    assert!(!found.ok && found.checkpoints == 0 && found.heads_reached == 0);
}

#[tokio::test]
async fn a_start_after_the_last_records_were_cut_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 12, 1 << 20).await;
    let path = &files(dir.path())[0];
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..*starts(&bytes).last().unwrap() - 200]).unwrap();
    let refused = Records::open(dir.path(), Memory::default(), Clock::system()).unwrap_err();
    assert!(refused.to_string().contains("exported head"), "{refused}");
}

#[tokio::test]
async fn whoever_writes_the_chain_anew_without_the_key_is_found() {
    let (dir, forged) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let head = written(dir.path(), 12, 1 << 20).await;
    // The same records but one, in a chain of their own: what somebody with the files and without the key could leave behind.
    let clock = Clock::fixed(jiff::Timestamp::UNIX_EPOCH);
    let log = Records::open(forged.path(), Memory::default(), clock).unwrap();
    segments::read(dir.path(), 1, |entry| {
        let text = String::from_utf8(entry.to_vec()).unwrap();
        log.append_lazy_bytes(text.replace("request-3\"", "request-7\"").as_bytes()).unwrap();
    })
    .unwrap();
    log.close();
    let found = proven(forged.path(), &[]);
    assert!(!found.ok, "the checkpoints name another chain: {found:#?}");
    assert!(!proven(forged.path(), &[Head::Signed(head)]).ok);
}

#[tokio::test]
async fn a_segment_that_is_missing_is_found_wherever_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let head = written(dir.path(), 40, 2_000).await;
    for missing in files(dir.path()) {
        let bytes = fs::read(&missing).unwrap();
        fs::remove_file(&missing).unwrap();
        let found = proven(dir.path(), &[Head::Signed(head.clone())]);
        assert!(!found.ok, "{} is gone: {found:#?}", missing.display());
        fs::write(&missing, bytes).unwrap();
    }
    assert!(proven(dir.path(), &[Head::Signed(head)]).ok);
}

/// A name and what it holds.
type Written = (String, Vec<u8>);

/// One log that many cases copy and change.
fn prepared() -> &'static (SignedHead, Vec<Written>) {
    static PREPARED: std::sync::OnceLock<(SignedHead, Vec<Written>)> = std::sync::OnceLock::new();
    PREPARED.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let head = runtime.block_on(written(dir.path(), 30, 1_500));
        let read = |path: PathBuf| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap());
        (head, files(dir.path()).into_iter().map(read).collect())
    })
}

fn laid_out(files: &[Written]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(dir.path().join(name), bytes).unwrap();
    }
    dir
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn any_changed_byte_is_found(place in any::<prop::sample::Index>(), flip in 1u8..) {
        let (head, files) = prepared();
        let mut files = files.clone();
        let mut at = place.index(files.iter().map(|(_, bytes)| bytes.len()).sum());
        for (_, bytes) in &mut files {
            if at < bytes.len() {
                bytes[at] ^= flip;
                break;
            }
            at -= bytes.len();
        }
        let dir = laid_out(&files);
        prop_assert!(!proven(dir.path(), &[Head::Signed(head.clone())]).ok);
    }

    #[test]
    fn any_cut_of_the_last_records_is_found(cut in any::<prop::sample::Index>(), plain: bool) {
        let (head, files) = prepared();
        let frames: Vec<(usize, usize)> =
            files.iter().enumerate().flat_map(|(n, (_, bytes))| starts(bytes).into_iter().map(move |at| (n, at))).collect();
        let (file, at) = frames[cut.index(frames.len())];
        let mut files = files[..=file].to_vec();
        files[file].1.truncate(at);
        let dir = laid_out(&files);
        let head = if plain { Head::Plain(head.head.clone()) } else { Head::Signed(head.clone()) };
        prop_assert!(!proven(dir.path(), &[head]).ok);
    }
}
