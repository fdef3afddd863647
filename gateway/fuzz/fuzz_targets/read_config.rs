//! Any text ends in a configuration or in explained mistakes. From `gateway/`, on stable with RUSTC_BOOTSTRAP=1:
//!
//! `cargo fuzz run -s none read_config fuzz/corpus/read_config ../loadtest/demo`

#![no_main]

use libfuzzer_sys::fuzz_target;
use sekisho_gateway::config::parse;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Err(mistakes) = parse(text) {
        assert!(!mistakes.is_empty());
    }
});
