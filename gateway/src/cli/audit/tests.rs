use clap::Parser;

use super::*;
use crate::clock::Clock;
use crate::evidence::{EvidenceKey, EvidenceStore, PersonKey};
use crate::record::{Memory, Operated, Record, Records, SEGMENT_BYTES};
use crate::state_dir::StateDir;
use sekisho_issuance::id::RequestId;

#[derive(Debug, Parser)]
struct Line {
    #[command(subcommand)]
    command: AuditCommand,
}

/// Runs `audit ARGS`; its exit code and what it printed.
fn audit(args: &str) -> (u8, String) {
    let line = Line::try_parse_from(std::iter::once("audit").chain(args.split(' '))).unwrap();
    let mut out = Vec::new();
    let code = run(line.command, &mut out);
    (code, String::from_utf8(out).unwrap())
}

fn public(text: &str) -> PersonKey {
    let printed: serde_json::Value = serde_json::from_str(text).unwrap();
    PersonKey::parse(printed["public"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn records_of_a_copy_are_proven_found_exported_and_opened_by_two() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let (first, second) =
        (audit(&format!("keygen --out {}", at("1.key"))).1, audit(&format!("keygen --out {}", at("2.key"))).1);
    let key = EvidenceKey { first: public(&first), second: public(&second) };
    let state = StateDir::open(&dir.path().join("state")).unwrap();
    let records = Records::of(&state, Memory::default(), Clock::system(), SEGMENT_BYTES).unwrap();
    let request = RequestId::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001);
    let evidence = EvidenceStore::open(state.root()).unwrap();
    let (sealed, file) = evidence.seal(&key, request, b"{\"asked\":\"1001\"}", Some(b"paper"), 1 << 20).unwrap();
    file.unwrap().write().unwrap();
    let withheld = serde_json::json!({
        "record": "withheld", "request": request.to_string(), "at": "2026-11-22T00:00:00Z", "arrived_at": "2026-11-22T00:00:00Z",
        "sent_at": "2026-11-22T00:00:00Z", "received_at": "2026-11-22T00:00:00Z", "route": "tax", "operation": "issue",
        "municipality": "991007", "kind": "tax", "mode": "enforce", "people": ["00000000000000aa"], "epoch": 1, "bytes": 5,
        "body": "00", "findings": [], "reason": "identity", "sealed": sealed,
    });
    records.append_bytes(withheld.to_string().as_bytes()).await.unwrap();
    let operated =
        Operated { at: Clock::system().now(), action: "x".to_owned(), about: "y".to_owned(), name: None, reason: None };
    records.append(&Record::Operated(operated)).await.unwrap();
    records.close();
    let state_dir = at("state");

    let (code, printed) = audit(&format!("verify --state {state_dir}"));
    assert_eq!(code, OK, "{printed}");
    let (_, exported) = audit(&format!("head --state {state_dir}"));
    fs::write(at("head"), exported).unwrap();
    assert_eq!(audit(&format!("verify --state {state_dir} --head {}", at("head"))).0, OK);
    let nobodys = "0".repeat(64);
    assert_eq!(audit(&format!("verify --state {state_dir} --head {nobodys}")).0, FAILED);
    assert!(audit(&format!("key --state {state_dir}")).1.contains(&state.checkpoint_key().public().to_string()));

    let found = audit(&format!("find --state {state_dir} --pseudonym 00000000000000aa --kind tax"));
    assert!(found.0 == OK && found.1.lines().count() == 1 && !found.1.contains("1001"), "{found:?}");
    assert_eq!(audit(&format!("find --state {state_dir} --municipality 991015")).0, FAILED);
    let lines = audit(&format!("export --state {state_dir} --from 2026-11-22T00:00:00Z")).1;
    assert_eq!(lines.lines().count(), 3, "who started, what was withheld, what was done: {lines}");

    let who = "--first-name a --second-name b --reason victims --unrecorded";
    let (one, two) = (at("1.key"), at("2.key"));
    let opened = audit(&format!(
        "open {request} --state {state_dir} --first-key {one} --second-key {two} {who} --answer {}",
        at("out")
    ));
    assert!(opened.0 == OK && opened.1.contains("1001"), "{opened:?}");
    assert_eq!(fs::read(at("out")).unwrap(), b"paper");
    for (first, second, who) in [
        (&one, &one, who),
        (&two, &one, who),
        (&one, &two, "--first-name a --second-name a --reason victims --unrecorded"),
        (&one, &two, "--first-name a --second-name b --reason victims"),
    ] {
        let refused =
            audit(&format!("open {request} --state {state_dir} --first-key {first} --second-key {second} {who}"));
        assert!(refused.0 == FAILED && refused.1.is_empty(), "{who}: {refused:?}");
    }
}
