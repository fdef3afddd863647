use std::fs;

use super::*;

const PURPOSE: &str = "test";

fn entries(n: usize) -> Vec<Vec<u8>> {
    (0..n).map(|i| vec![i as u8 + 1; 1 + i * 7 % 40]).collect()
}

/// A journal of `n` entries, each made durable by itself; the offsets where each ends.
fn written(path: &Path, n: usize) -> Vec<u64> {
    let (journal, _, _) = Journal::open(path, PURPOSE).unwrap();
    let mut end = frame::HEADER_BYTES as u64;
    let append = |entry: Vec<u8>| {
        journal.append(&entry).wait().unwrap();
        end += (frame::FRAME_BYTES + entry.len()) as u64;
        end
    };
    entries(n).into_iter().map(append).collect()
}

#[test]
fn holds_what_was_written_over_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("j");
    written(&path, 5);
    let (journal, read, opened) = Journal::open(&path, PURPOSE).unwrap();
    assert_eq!(read, entries(5));
    assert_eq!(opened, Opened { entries: 5, torn_bytes: 0, created: false });
    journal.append(b"more").wait().unwrap();
    journal.append_lazy(b"lazy").unwrap();
    drop(journal);
    let (_, read, _) = Journal::open(&path, PURPOSE).unwrap();
    assert_eq!(read.len(), 7);
    assert_eq!(read[6], b"lazy");
}

#[test]
fn cut_at_any_byte_it_opens_with_the_whole_entries_before() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("j");
    let ends = written(&path, 6);
    let whole = fs::read(&path).unwrap();
    for cut in frame::HEADER_BYTES..=whole.len() {
        let path = dir.path().join("cut");
        fs::write(&path, &whole[..cut]).unwrap();
        let (journal, read, opened) = Journal::open(&path, PURPOSE).unwrap();
        let expected = ends.iter().filter(|end| **end <= cut as u64).count();
        assert_eq!(read, entries(expected), "cut at {cut}");
        // The seal of the clean close is a frame without an entry. Zeros at the very end count as room made ahead.
        let kept = ends[..expected].last().copied().unwrap_or(frame::HEADER_BYTES as u64);
        let whole_frames = cut == whole.len() || cut as u64 == kept;
        assert_eq!(opened.torn_bytes == 0, whole_frames, "cut at {cut}");
        assert!(opened.torn_bytes <= cut as u64 - kept, "cut at {cut}");
        if cut % 16 != 0 {
            continue;
        }
        journal.append(b"after").wait().unwrap();
        drop(journal);
        let (_, read, opened) = Journal::open(&path, PURPOSE).unwrap();
        assert_eq!((read.len(), opened.torn_bytes), (expected + 1, 0), "cut at {cut}");
    }
}

#[test]
fn cut_within_the_header_it_is_unreadable() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("j");
    written(&path, 1);
    let whole = fs::read(&path).unwrap();
    for cut in 0..frame::HEADER_BYTES {
        fs::write(&path, &whole[..cut]).unwrap();
        let opened = Journal::open(&path, PURPOSE).map(|_| ());
        assert!(matches!(opened, Err(JournalError::Unreadable { offset: 0, .. })), "cut at {cut}: {opened:?}");
    }
}

#[test]
fn a_changed_byte_anywhere_before_the_seal_is_never_read_past() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("j");
    let ends = written(&path, 4);
    let whole = fs::read(&path).unwrap();
    for at in 0..*ends.last().unwrap() as usize {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x40;
        fs::write(&path, &bytes).unwrap();
        let opened = verify(&path);
        // The purpose is covered by the header's checksum, so nothing needs to know it.
        assert!(matches!(opened, Err(JournalError::Unreadable { .. })), "byte {at}: {opened:?}");
    }
}

#[test]
fn a_half_written_last_batch_is_a_torn_tail_and_not_damage() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("j");
    written(&path, 2);
    let mut bytes = fs::read(&path).unwrap();
    let durable = bytes.len() as u64;
    // Two frames of one write; the page with the first never reached the disk, that with the second did.
    bytes.extend_from_slice(&[0; 60]);
    frame::write(&mut bytes, &[9; 32], durable, b"second of the batch");
    fs::write(&path, &bytes).unwrap();
    let (_, read, opened) = Journal::open(&path, PURPOSE).unwrap();
    assert_eq!((read.len(), opened.torn_bytes), (2, bytes.len() as u64 - durable));
}

#[test]
fn entries_in_another_order_break_the_chain() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("j");
    let (header, chain) = frame::header(PURPOSE, &[0; 32]);
    let (mut first, mut second) = (Vec::new(), Vec::new());
    let next = frame::write(&mut first, &chain, 0, b"first");
    frame::write(&mut second, &next, 0, b"second");
    fs::write(&path, [header.clone(), first.clone(), second.clone()].concat()).unwrap();
    assert_eq!(verify(&path).unwrap().entries, 2);
    fs::write(&path, [header, second, first].concat()).unwrap();
    assert!(matches!(verify(&path), Err(JournalError::Unreadable { .. })));
}

#[test]
fn a_journal_of_another_purpose_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("j");
    written(&path, 1);
    assert!(matches!(Journal::open(&path, "other").map(|_| ()), Err(JournalError::Unreadable { .. })));
}

#[test]
fn a_failed_write_poisons_for_good_and_leaves_nobody_waiting() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("j");
    let (file, end) = write::create(&Files, &path, PURPOSE, &[0; 32], &[]).unwrap();
    drop(file);
    let read_only: Box<dyn Storage> = Box::new(fs::File::open(&path).unwrap());
    let shared = Arc::new(Shared::default());
    let storage: (Arc<dyn Disk>, _) = (Arc::new(Files), read_only);
    let purpose = PURPOSE.to_owned();
    let writer = write::Writer::new(storage, path.clone(), purpose, end, Growth::Grows, Arc::clone(&shared));
    let handle = Handle { shared, thread: Mutex::new(Some(std::thread::spawn(move || writer.run()))), path };
    let journal = Journal(Arc::new(handle));
    let (first, second) = (journal.append(b"a"), journal.append(b"b"));
    assert_eq!(first.wait(), Err(JournalError::Poisoned));
    assert_eq!(second.wait(), Err(JournalError::Poisoned));
    assert_eq!(journal.append(b"c").wait(), Err(JournalError::Poisoned));
    assert_eq!(journal.append_lazy(b"d"), Err(JournalError::Poisoned));
    assert!(journal.is_poisoned());
}

#[test]
fn rotation_keeps_what_is_carried_and_what_was_queued_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("j");
    let rotation = Rotation { above_bytes: 4096, carry: Arc::new(|| vec![b"carried".to_vec()]) };
    let (journal, _) = Journal::open_with(&path, PURPOSE, Some(rotation), |_| {}).unwrap();
    for _ in 0..200 {
        journal.append(&[1; 100]).wait().unwrap();
    }
    journal.append(b"last").wait().unwrap();
    let head = journal.head();
    assert_ne!(head, [0; 32]);
    drop(journal);
    let (_, read, _) = Journal::open(&path, PURPOSE).unwrap();
    assert_eq!(read.first().unwrap(), b"carried");
    assert_eq!(read.last().unwrap(), b"last");
    assert!(read.len() < 60, "the file was never rewritten: {}", read.len());
}

#[test]
fn what_was_reported_durable_survives_an_end_without_closing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("j");
    let (journal, _, _) = Journal::open(&path, PURPOSE).unwrap();
    for entry in entries(3) {
        journal.append(&entry).wait().unwrap();
    }
    // As a killed process leaves it: not sealed, with the room made ahead.
    let left = dir.path().join("left");
    fs::copy(&path, &left).unwrap();
    let report = verify(&left).unwrap();
    assert_eq!((report.entries, report.torn_bytes, report.sealed), (3, 0, false));
    let (_, read, _) = Journal::open(&left, PURPOSE).unwrap();
    assert_eq!(read, entries(3));
}

#[test]
fn segments_are_sealed_one_after_the_other_and_each_names_the_head_of_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().to_owned();
    let at = Arc::new(move |number: u64| root.join(format!("{number}")));
    let ended = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&ended);
    let segments = Segments {
        number: 1,
        above_bytes: 1000,
        path: at.clone(),
        ended: Arc::new(move |number| told.lock().unwrap().push(number)),
    };
    let (journal, _) = Journal::open_segments(Arc::new(Files), PURPOSE, segments, &[0; 32], |_| {}).unwrap();
    for _ in 0..20 {
        journal.append(&[7; 100]).wait().unwrap();
    }
    journal.turn();
    journal.append(b"after the turn").wait().unwrap();
    let place = journal.place();
    drop(journal);
    let last = *ended.lock().unwrap().last().unwrap() + 1;
    assert!(last > 3 && place.segment <= last, "{last} {place:?}");
    let mut before = "0".repeat(64);
    let mut entries = 0;
    for number in 1..=last {
        let report = walk(&at(number), PURPOSE, |_| {}).unwrap();
        assert_eq!((report.before, report.sealed, report.torn_bytes), (before, true, 0), "{number}");
        before = report.head;
        entries += report.entries;
    }
    assert_eq!((entries, at(last + 1).exists()), (21, false));
}
