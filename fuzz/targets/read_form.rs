//! Any bytes end in a form or a reason; what was read is written and read again the same. The first byte names the charset.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sekisho_fuzz::bounded;
use sekisho_issuance::answer::{Charset, MAX_FORM_FIELDS, form, multipart};

fuzz_target!(|bytes: &[u8]| {
    let Some((first, bytes)) = bytes.split_first() else { return };
    let Some(charset) = Charset::ALL.get(usize::from(*first) % Charset::ALL.len()).copied() else { return };
    bounded(|| {
        if let Ok(read) = multipart(bytes, "multipart/form-data; boundary=xYz", charset) {
            assert!(read.fields().count() <= MAX_FORM_FIELDS && read.fields().all(|(name, _)| !name.is_empty()));
        }
        let Ok(read) = form(bytes, charset) else { return };
        assert!(read.fields().count() <= MAX_FORM_FIELDS);
        let encoded = |text: &str| {
            charset.encode(text).map(|bytes| bytes.iter().map(|b| format!("%{b:02x}")).collect::<String>())
        };
        let again: Option<Vec<String>> =
            read.fields().map(|(name, value)| Some(format!("{}={}", encoded(name)?, encoded(value)?))).collect();
        // A few characters can be read from these charsets and not be written in them.
        if let Some(again) = again {
            let again = form(again.join("&").as_bytes(), charset);
            let same = again.is_ok_and(|again| again.fields().eq(read.fields()));
            assert!(same, "what is accepted is written acceptably");
        }
    });
});
