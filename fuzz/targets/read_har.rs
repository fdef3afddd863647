//! Any bytes as a HAR file, and a proposal from whatever exchanges are in it: no panic, no hang, bounded memory; what is proposed is
//! TOML, whatever stood in the recording.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sekisho_gateway::config;
use sekisho_gateway::init::{har, propose};

fuzz_target!(|bytes: &[u8]| {
    sekisho_fuzz::bounded(|| {
        let Ok(exchanges) = har::read(bytes) else { return };
        let proposal = propose(&exchanges);
        if let Err(mistakes) = config::parse(&proposal.text) {
            assert!(mistakes.iter().all(|mistake| mistake.key != "toml"), "{mistakes:?}\n{}", proposal.text);
        }
    });
});
