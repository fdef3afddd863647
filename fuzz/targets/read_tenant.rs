//! Any bytes as the file of one municipality: a policy or explained mistakes, and nobody else's policy changes.

#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sekisho_fuzz::bounded;
use sekisho_gateway::config::{Config, parse_in};

const CONFIG: &str =
    concat!(include_str!("../../gateway/tests/backend/gateway.toml"), "\n[tenants]\ndir = \"tenants\"\n");
const GOOD: &str = "name = \"例示市\"\nenabled = true\nshare = 3\nlatch = { approvers = 2 }\n";

struct Bench {
    folder: PathBuf,
    alone: Config,
}

static BENCH: LazyLock<Bench> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(format!("sekisho-read-tenant-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("tenants")).unwrap();
    std::fs::write(folder.join("tenants/991023.toml"), GOOD).unwrap();
    let alone = parse_in(CONFIG, Some(&folder)).unwrap();
    assert_eq!(alone.tenants.len(), 2);
    Bench { folder, alone }
});

fuzz_target!(|bytes: &[u8]| {
    let Bench { folder, alone } = &*BENCH;
    std::fs::write(folder.join("tenants/991015.toml"), bytes).unwrap();
    bounded(|| {
        let mut config = parse_in(CONFIG, Some(folder)).unwrap();
        let files = &config.tenant_files;
        assert!(
            files.loaded.len() + files.broken.len() == 2 && files.broken.values().all(|mistakes| !mistakes.is_empty())
        );
        let loaded = files.loaded.len() == 2;
        config.tenants.retain(|code, _| code.as_str() != "991015");
        assert_eq!(config.tenants, alone.tenants, "another's policy");
        assert!(loaded || config.tenant_files.broken.contains_key("991015.toml"));
    });
});
