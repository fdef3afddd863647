//! `shape`: whether an answer is of the form that a good one has, before anybody reads what it says.

use memchr::memmem;

use crate::answer::{AnswerView, Charset, Format};
use crate::verdict::{FieldEvidence, Verdict};

/// The compiled check.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    pub(super) status: Vec<u16>,
    /// Lower case, without parameters.
    pub(super) media_types: Vec<String>,
    pub(super) least: u64,
    pub(super) most: u64,
    pub(super) form: Form,
}

/// What a body must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A PDF and nothing after it.
    Document,
    /// Data in this format and charset, with or without a document inside.
    Data(Format, Charset),
    /// Anything but a document.
    Opaque,
}

impl Shape {
    /// Judges head and body. The first thing that is wrong is said, worst first.
    pub(super) fn judge(&self, answer: &AnswerView<'_>) -> Verdict {
        let nothing_asked = matches!(answer.status, 204 | 205) || self.most == 0;
        let empty = nothing_asked && answer.body.is_empty();
        let wrong = if answer.framing_surprise {
            Some("framing")
        } else if !self.status.contains(&answer.status) {
            Some("status")
        } else if !coding_is_plain(answer) {
            Some("content_encoding")
        } else if answer.has_header("content-range") {
            Some("content_range")
        } else if !length_is_declared_right(answer) {
            Some("content_length")
        } else if empty {
            None
        } else if !self.media_type_fits(answer) {
            Some("media_type")
        } else if !(self.least..=self.most).contains(&(answer.body.len() as u64)) {
            Some("size")
        } else {
            self.body_is_wrong(answer.body)
        };
        match wrong {
            None => Verdict::Match,
            Some(field) => Verdict::Mismatch { field: blank(field) },
        }
    }

    fn media_type_fits(&self, answer: &AnswerView<'_>) -> bool {
        let Some(value) = answer.header("content-type") else { return false };
        let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let readable = match self.form {
            Form::Data(_, charset) => charset.fits_content_type(value),
            Form::Document | Form::Opaque => true,
        };
        self.media_types.contains(&essence) && readable
    }

    fn body_is_wrong(&self, body: &[u8]) -> Option<&'static str> {
        let begun = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii_start();
        match self.form {
            Form::Document => document_is_wrong(body),
            Form::Data(Format::Json, _) if !begun.starts_with(b"{") => Some("magic"),
            Form::Data(Format::Xml, _) if !begun.starts_with(b"<") => Some("magic"),
            Form::Opaque if body.starts_with(b"%PDF-") => Some("magic"),
            Form::Data(..) | Form::Opaque => None,
        }
    }
}

/// One PDF, from its first byte to its end.
pub(super) fn document_is_wrong(body: &[u8]) -> Option<&'static str> {
    if !body.starts_with(b"%PDF-") {
        return Some("magic");
    }
    let joined = memmem::find_iter(body, b"%PDF-")
        .skip(1)
        .any(|at| body.get(..at).is_some_and(|before| before.trim_ascii_end().ends_with(b"%%EOF")));
    let ended = body.trim_ascii_end().ends_with(b"%%EOF");
    if joined || !ended { Some("trailing_bytes") } else { None }
}

/// Evidence that has no characters to count.
pub(super) fn blank(field: &str) -> FieldEvidence {
    FieldEvidence { field: field.to_owned(), page: None, expected_chars: 0, found_chars: 0, differs_in: String::new() }
}

fn coding_is_plain(answer: &AnswerView<'_>) -> bool {
    !answer.has_header("content-encoding")
        || answer.header("content-encoding").is_some_and(|coding| coding.trim().eq_ignore_ascii_case("identity"))
}

fn length_is_declared_right(answer: &AnswerView<'_>) -> bool {
    if !answer.has_header("content-length") {
        return true;
    }
    let Some(text) = answer.header("content-length").map(str::trim) else { return false };
    text.bytes().all(|b| b.is_ascii_digit()) && text.parse() == Ok(answer.body.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PDF: &[u8] = b"%PDF-1.7\nbody of a certificate\n%%EOF\n";

    const JSON: Form = Form::Data(Format::Json, Charset::Utf8);
    const SOAP: Form = Form::Data(Format::Xml, Charset::ShiftJis);

    fn wrong(status: u16, headers: &[(&str, &str)], body: &[u8], form: Form) -> Option<String> {
        let media_types = match form {
            Form::Document => vec!["application/pdf".to_owned()],
            JSON => vec!["application/json".to_owned()],
            Form::Data(..) => vec!["text/xml".to_owned()],
            Form::Opaque => vec!["text/plain".to_owned()],
        };
        let shape = Shape { status: vec![200, 204], media_types, least: 2, most: 100, form };
        let headers: Vec<_> = headers.iter().map(|(n, v)| ((*n).to_owned(), v.as_bytes().to_vec())).collect();
        match shape.judge(&AnswerView { status, headers: &headers, body, framing_surprise: false }) {
            Verdict::Mismatch { field } => Some(field.field),
            _ => None,
        }
    }

    #[track_caller]
    fn pdf(headers: &[(&str, &str)], body: &[u8], expected: Option<&str>) {
        let mut all = vec![("content-type", "application/pdf")];
        all.extend_from_slice(headers);
        assert_eq!(wrong(200, &all, body, Form::Document).as_deref(), expected);
    }

    #[test]
    fn a_good_answer_passes() {
        pdf(&[("content-length", "37"), ("content-encoding", "identity")], PDF, None);
        let json = [("content-type", "Application/JSON; charset=\"UTF-8\"")];
        assert_eq!(wrong(200, &json, b" {}\n", JSON), None);
        assert_eq!(wrong(204, &[], b"", Form::Opaque), None);
        assert_eq!(wrong(200, &[("content-type", "text/xml; charset=Windows-31J")], b"<a/>", SOAP), None);
    }

    #[test]
    fn truncated_joined_and_padded_bodies_are_refused() {
        pdf(&[("content-length", "36")], PDF, Some("content_length"));
        pdf(&[("content-length", "37"), ("content-length", "37")], PDF, Some("content_length"));
        pdf(&[("content-length", "+37")], PDF, Some("content_length"));
        pdf(&[], PDF.strip_suffix(b"%%EOF\n").unwrap(), Some("trailing_bytes"));
        pdf(&[], &[PDF, b"x"].concat(), Some("trailing_bytes"));
        pdf(&[], &[PDF, PDF].concat(), Some("trailing_bytes"));
        pdf(&[], b"%PDF-1.7 an attached \"%PDF-\" is none\n%%EOF", None);
        pdf(&[], &[PDF, &[b'\n'; 100]].concat(), Some("size"));
    }

    #[test]
    fn error_pages_and_partial_answers_are_refused() {
        let html = [("content-type", "text/html")];
        assert_eq!(wrong(200, &html, b"<html>", Form::Document).as_deref(), Some("media_type"));
        pdf(&[], b"<html></html>", Some("magic"));
        pdf(&[("content-encoding", "gzip")], PDF, Some("content_encoding"));
        pdf(&[("content-range", "bytes 0-36/99")], PDF, Some("content_range"));
        for status in [100, 103, 206, 302, 304, 404, 500] {
            assert_eq!(wrong(status, &[], PDF, Form::Document).as_deref(), Some("status"));
        }
        assert_eq!(wrong(200, &[("content-type", "text/plain")], PDF, Form::Opaque).as_deref(), Some("magic"));
        let latin = [("content-type", "application/json; charset=shift_jis")];
        assert_eq!(wrong(200, &latin, b"{}", JSON).as_deref(), Some("media_type"));
        assert_eq!(wrong(200, &[], PDF, Form::Document).as_deref(), Some("media_type"));
        let utf8 = [("content-type", "text/xml; charset=UTF-8")];
        assert_eq!(wrong(200, &utf8, b"<a/>", SOAP).as_deref(), Some("media_type"), "not the declared charset");
        assert_eq!(wrong(200, &[("content-type", "text/xml")], b"500 <a/>", SOAP).as_deref(), Some("magic"));
    }

    #[test]
    fn a_surprise_in_the_framing_outweighs_everything() {
        let shape = Shape {
            status: vec![200],
            media_types: vec!["application/pdf".to_owned()],
            least: 2,
            most: 100,
            form: Form::Document,
        };
        let headers = [("content-type".to_owned(), b"application/pdf".to_vec())];
        let answer = AnswerView { status: 200, headers: &headers, body: PDF, framing_surprise: true };
        assert_eq!(shape.judge(&answer), Verdict::Mismatch { field: blank("framing") });
    }
}
