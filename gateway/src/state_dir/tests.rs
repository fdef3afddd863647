use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;

fn fresh() -> (tempfile::TempDir, PathBuf) {
    let parent = tempfile::tempdir().unwrap();
    let root = parent.path().join("state");
    (parent, root)
}

#[test]
fn keys_and_counter_survive_a_restart() {
    let (_parent, root) = fresh();
    let first = StateDir::open(&root).unwrap();
    assert_eq!(first.epoch(), Epoch(1));
    assert!(first.was_clean(), "nothing was in flight before the first start");
    let pseudonym = first.keys().pseudonym.of("resident", "1");
    let digest = first.keys().record.digest("content", &[b"x"]);
    let admin = first.admin_key().expose().to_owned();
    drop(first);
    let second = StateDir::open(&root).unwrap();
    assert_eq!(second.epoch(), Epoch(2));
    assert!(!second.was_clean(), "the first never said goodbye");
    assert_eq!(second.keys().pseudonym.of("resident", "1"), pseudonym);
    assert_eq!(second.keys().record.digest("content", &[b"x"]), digest);
    assert!(second.admin_key().matches(&admin));
    assert!(!second.admin_key().matches("wrong"));
}

#[test]
fn a_goodbye_counts_for_one_start_only() {
    let (_parent, root) = fresh();
    StateDir::open(&root).unwrap().mark_clean().unwrap();
    let second = StateDir::open(&root).unwrap();
    assert!(second.was_clean());
    drop(second);
    assert!(!StateDir::open(&root).unwrap().was_clean());
}

#[test]
fn a_second_process_is_refused() {
    let (_parent, root) = fresh();
    let _first = StateDir::open(&root).unwrap();
    assert!(matches!(StateDir::open(&root), Err(StateDirError::InUse(_))));
}

#[test]
fn newer_unreadable_or_foreign_directories_are_refused() {
    let (_parent, root) = fresh();
    drop(StateDir::open(&root).unwrap());
    fs::write(root.join("version"), "sekisho-state 3\n").unwrap();
    let refused = StateDir::open(&root).unwrap_err();
    assert!(refused.to_string().contains("layout 3"), "{refused}");
    fs::write(root.join("version"), b"\xff\xfe").unwrap();
    assert!(matches!(StateDir::open(&root), Err(StateDirError::Format { .. })));

    let (_parent, foreign) = fresh();
    DirBuilder::new().mode(0o700).create(&foreign).unwrap();
    fs::write(foreign.join("thesis.txt"), "x").unwrap();
    assert!(matches!(StateDir::open(&foreign), Err(StateDirError::NotOurs(_))));
    assert_eq!(fs::read_dir(&foreign).unwrap().count(), 1, "a foreign directory stays untouched");
}

#[test]
fn a_lost_key_or_counter_is_never_made_again() {
    for lost in ["keys", "starts"] {
        let (_parent, root) = fresh();
        drop(StateDir::open(&root).unwrap());
        fs::remove_file(root.join(lost)).unwrap();
        assert!(matches!(StateDir::open(&root), Err(StateDirError::Lost(_))), "{lost}");
        assert!(!root.join(lost).exists());
    }
}

#[test]
fn a_first_start_that_died_half_way_can_be_repeated() {
    let (_parent, root) = fresh();
    DirBuilder::new().mode(0o700).create(&root).unwrap();
    fs::write(root.join("lock"), "").unwrap();
    fs::write(root.join("version.new"), "seki").unwrap();
    drop(StateDir::open(&root).unwrap());
    let (_parent, root) = fresh();
    DirBuilder::new().mode(0o700).create(&root).unwrap();
    fs::write(root.join("version"), "sekisho-state 1\n").unwrap();
    fs::write(root.join("starts"), "0\n").unwrap();
    assert_eq!(StateDir::open(&root).unwrap().epoch(), Epoch(1));
}

#[test]
fn others_are_kept_out() {
    let (_parent, root) = fresh();
    drop(StateDir::open(&root).unwrap());
    assert_eq!(fs::metadata(&root).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(root.join("admin.key")).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(root.join("keys")).unwrap().permissions().mode() & 0o777, 0o600);
    fs::set_permissions(&root, fs::Permissions::from_mode(0o750)).unwrap();
    assert!(matches!(StateDir::open(&root), Err(StateDirError::Mode { .. })));
    fs::set_permissions(&root, fs::Permissions::from_mode(0o700)).unwrap();
    fs::set_permissions(root.join("keys"), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(StateDir::open(&root), Err(StateDirError::Mode { .. })));
}

#[test]
fn published_addresses_are_of_this_start() {
    let (_parent, root) = fresh();
    let state = StateDir::open(&root).unwrap();
    let address: SocketAddr = "127.0.0.1:4711".parse().unwrap();
    state.publish(Listener::Admin, address).unwrap();
    assert_eq!(published(&root, Listener::Admin).unwrap(), address);
    drop(state);
    let _again = StateDir::open(&root).unwrap();
    assert!(published(&root, Listener::Admin).is_err(), "a stale address would send a command to a stranger");
}

#[test]
fn keys_print_as_redacted() {
    let (_parent, root) = fresh();
    let state = StateDir::open(&root).unwrap();
    let printed = format!("{state:?}");
    let keys = fs::read_to_string(root.join("keys")).unwrap();
    for line in keys.lines() {
        assert!(!printed.contains(line.split_once(' ').unwrap().1));
    }
    assert!(!printed.contains(state.admin_key().expose()));
}

#[test]
fn the_layout_before_is_brought_up_with_all_that_it_holds() {
    let (_parent, root) = fresh();
    let before = StateDir::open(&root).unwrap();
    let pseudonym = before.keys().pseudonym.of("resident", "1");
    drop(before);
    fs::write(root.join("version"), "sekisho-state 1\n").unwrap();
    fs::remove_file(root.join("checkpoint.key")).unwrap();
    let opened = StateDir::open(&root).unwrap();
    assert_eq!((opened.epoch(), opened.keys().pseudonym.of("resident", "1")), (Epoch(2), pseudonym));
    assert_eq!(fs::read_to_string(root.join("version")).unwrap(), "sekisho-state 2\n");
    let public = opened.checkpoint_key().public();
    drop(opened);
    assert_eq!(checkpoint_public(&root).unwrap(), public);
    assert_eq!(StateDir::open(&root).unwrap().checkpoint_key().public(), public);
}
