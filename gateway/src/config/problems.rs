//! `[problems.NAME]`: a client's own words for "no".

use std::collections::BTreeMap;
use std::sync::Arc;

use super::section::Section;
use super::source::{Findings, did_you_mean};
use crate::outcome::Outcome;
use crate::problem::{Code, ProblemTemplate, TEMPLATE_NAMES};

pub(super) type Problems = BTreeMap<Arc<str>, Arc<ProblemTemplate>>;

pub(super) fn read(root: &mut Section<'_>, found: &mut Findings) -> Problems {
    let mut problems = Problems::new();
    for (name, mut section) in root.named(found, "problems") {
        let status = section.count(found, "status", 200, 599).map(|c| c.value as u16);
        let charset = super::dialects::charset(&mut section, found);
        let written = charset.unwrap_or_default();
        let body = super::lookups::body(&mut section, "{\"code\":\"{code}\"}", written, found);
        if body.is_none() && !section.has("body") && !section.has("body_file") {
            let (span, key) = (section.span().clone(), section.key("body"));
            let example =
                r#"body = '{"result":"NG","code":"{code}","messageJa":"{message_ja}","requestId":"{request_id}"}'"#;
            found.mistake(&span, key, "is missing", example);
        }
        if let Some(placed) = &body {
            unknown_names(&placed.value).for_each(|unknown| {
                let suggestion = did_you_mean(unknown, TEMPLATE_NAMES).unwrap_or("code");
                placed.as_deref().wrong(
                    found,
                    format!("has `{{{unknown}}}`, which is not known"),
                    format!("{{{suggestion}}}"),
                );
            });
        }
        let media_type = section.text(found, "media_type", "application/json").map_or("application/json", |p| p.value);
        let media_type: Arc<str> = match charset {
            Some(charset) if !media_type.contains(';') => format!("{media_type}; charset={}", charset.name()).into(),
            _ => media_type.into(),
        };
        let mut codes = BTreeMap::new();
        if let Some(section) = section.section(found, "codes") {
            for (place, value) in section.entries() {
                match value.get_ref().as_str() {
                    Some(text) => {
                        // A refusal's own code is upper case by custom; ours are lower case, so a slip is caught.
                        let known = || Code::ALL.iter().map(|c| c.name()).chain(Outcome::ALL.iter().map(|o| o.name()));
                        let ours = place.value.chars().all(|c| c.is_ascii_lowercase() || c == '_');
                        if ours && place.value != "default" && !known().any(|k| k == place.value) {
                            let suggestion = did_you_mean(place.value, known()).unwrap_or("default");
                            place.wrong(found, "is not a code of the gateway", format!("{suggestion} = {text:?}"));
                        }
                        if written.encode(text).is_none() {
                            place.wrong(found, format!("cannot be written in {}", written.name()), "\"E999\"");
                        }
                        codes.insert(place.value.to_owned(), text.to_owned());
                    }
                    None => place.wrong(found, "must be a string", "\"E999\""),
                }
            }
        }
        section.finish(found);
        let body = body.map(|b| b.value.into());
        problems
            .insert(name.value.into(), Arc::new(ProblemTemplate { status, body, media_type, charset: written, codes }));
    }
    problems
}

/// Names in braces that look like ours and are not: lower case letters and underscores only, so JSON's own braces are left alone.
fn unknown_names(body: &str) -> impl Iterator<Item = &str> {
    body.split('{').skip(1).filter_map(|tail| tail.split_once('}')).map(|(name, _)| name).filter(|name| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '_') && !TEMPLATE_NAMES.contains(name)
    })
}
