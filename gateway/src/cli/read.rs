//! `read`: what a document says and what a route's checks find in it, so that a vendor can write them. Prints the document's text.

use std::path::{Path, PathBuf};

use clap::Args;
use sekisho_issuance::checks::Content;
use sekisho_issuance::document::{self, Document, Limits, Unreadable};
use serde_json::{Value, json};

use super::{FAILED, MISTAKES, OK};
use crate::config::MAX_FILE_BYTES;

/// A document, and possibly a route that would check it.
#[derive(Debug, Args)]
pub(super) struct ReadArgs {
    /// A PDF, or a JSON answer where a route reads one.
    #[arg(value_name = "DOCUMENT")]
    document: PathBuf,
    /// The configuration that has the route.
    #[arg(long, value_name = "FILE", requires = "route")]
    config: Option<PathBuf>,
    /// The route whose checks shall look at it.
    #[arg(long, value_name = "NAME", requires = "config")]
    route: Option<String>,
}

pub(super) fn read(args: &ReadArgs, out: &mut impl std::io::Write) -> u8 {
    let (code, said) = match tell(args) {
        Ok(said) => (if said.get("unreadable").is_some() { FAILED } else { OK }, said),
        Err((code, error)) => (code, json!({ "error": error })),
    };
    let text = serde_json::to_string_pretty(&said).unwrap_or_default();
    if writeln!(out, "{text}").is_err() { FAILED } else { code }
}

fn tell(args: &ReadArgs) -> Result<Value, (u8, String)> {
    let shown = args.document.display();
    let bytes = std::fs::read(&args.document).map_err(|error| (FAILED, format!("{shown}: {error}")))?;
    if bytes.len() > MAX_FILE_BYTES {
        return Err((FAILED, format!("{shown}: is longer than {MAX_FILE_BYTES} bytes")));
    }
    let (Some(config), Some(name)) = (&args.config, &args.route) else {
        return Ok(plain(document::read(&bytes, &Limits::default())));
    };
    let config = super::load(config).map_err(|error| (MISTAKES, error))?;
    let Some(route) = config.routes.get(name) else {
        let known: Vec<&str> = config.routes.iter().map(|r| r.name.as_ref()).collect();
        return Err((MISTAKES, format!("there is no route `{name}`; one of: {}", known.join(", "))));
    };
    let content = route.checks.read(&bytes, None);
    let unreadable = match &content {
        Content::Unreadable(reason) | Content::Enclosed(_, Err(reason)) => Some(*reason),
        Content::Document(_) | Content::Enclosed(_, Ok(_)) | Content::Data(_) | Content::Opaque => None,
    };
    let mut said = route.checks.explain(content, None);
    if let (Some(reason), Some(said)) = (unreadable, said.as_object_mut()) {
        said.insert("unreadable".to_owned(), reason.into());
    }
    Ok(said)
}

/// A document alone: each page's lines, with the place of each run.
fn plain(read: Result<Document, Unreadable>) -> Value {
    let document = match read {
        Ok(document) => document,
        Err(Unreadable(reason)) => return json!({ "unreadable": reason }),
    };
    let pages = document.pages.iter().enumerate().map(|(n, page)| {
        let lines: Vec<Value> = page
            .lines
            .iter()
            .map(|line| {
                let runs: Vec<Value> = line
                    .runs
                    .iter()
                    .map(|run| {
                        let tenth = |mm: f32| f64::from((mm * 10.0).round()) / 10.0;
                        let place = [run.x_mm, run.y_mm, run.width_mm, run.height_mm].map(tenth);
                        json!({ "text": run.text, "box_mm": place })
                    })
                    .collect();
                let text: Vec<&str> = line.runs.iter().map(|run| run.text.as_str()).collect();
                json!({ "line": text.join(" "), "runs": runs })
            })
            .collect();
        json!({ "page": n + 1, "width_mm": page.width_mm, "height_mm": page.height_mm, "lines": lines })
    });
    json!({ "pages": pages.collect::<Vec<_>>() })
}

/// Where relative file names in `file` begin.
pub(super) fn beside(file: &Path, name: &str) -> PathBuf {
    file.parent().unwrap_or(Path::new(".")).join(name)
}
