//! Any text ends in a configuration or in explained mistakes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sekisho_fuzz::bounded;
use sekisho_gateway::config::parse;

fuzz_target!(|text: &str| {
    bounded(|| {
        if let Err(mistakes) = parse(text) {
            assert!(!mistakes.is_empty());
        }
    });
});
