//! `multipart/form-data` (RFC 7578) as strictly as a release needs it: plain fields, each name once. Files are refused.

use memchr::memmem;

use super::charset::Charset;
use super::form::{Form, MAX_FORM_BYTES, MAX_FORM_FIELDS, unique};

/// Reads one body whose boundary `content_type` names. Anything around the parts, a part that is a file or is coded, a header that
/// a field does not need, and a name that comes twice are refused: two readers of such a body may see two different things.
pub fn multipart(body: &[u8], content_type: &str, charset: Charset) -> Result<Form, &'static str> {
    if body.len() > MAX_FORM_BYTES {
        return Err("form_too_large");
    }
    let delimiter = [b"\r\n--", boundary(content_type)?].concat();
    // The first delimiter has no line before it.
    let mut rest = body.strip_prefix(delimiter.get(2..).unwrap_or_default()).ok_or("multipart_malformed")?;
    let mut fields = Vec::new();
    loop {
        if let Some(end) = rest.strip_prefix(b"--") {
            return if matches!(end, b"" | b"\r\n") { unique(fields) } else { Err("multipart_trailing_bytes") };
        }
        let part = rest.strip_prefix(b"\r\n").ok_or("multipart_malformed")?;
        let end = memmem::find(part, &delimiter).ok_or("multipart_malformed")?;
        let (part, after) = part.split_at_checked(end).ok_or("multipart_malformed")?;
        fields.push(field(part, charset)?);
        if fields.len() > MAX_FORM_FIELDS {
            return Err("form_too_many_fields");
        }
        rest = after.get(delimiter.len()..).unwrap_or_default();
    }
}

/// The one boundary that a content type names.
fn boundary(content_type: &str) -> Result<&[u8], &'static str> {
    let mut parameters = content_type.split(';').map(str::trim);
    if !parameters.next().is_some_and(|essence| essence.eq_ignore_ascii_case("multipart/form-data")) {
        return Err("multipart_media_type");
    }
    let named = |parameter: &'_ str| {
        let (name, _) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then_some(())
    };
    let mut boundaries = parameters.filter(|parameter| named(parameter).is_some());
    let (Some(one), None) = (boundaries.next(), boundaries.next()) else { return Err("multipart_boundary") };
    let value = one.split_once('=').map_or("", |(_, value)| value.trim());
    let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"'()+_,-./:=?".contains(&b);
    let fits = (1..=70).contains(&value.len()) && value.bytes().all(plain);
    if fits { Ok(value.as_bytes()) } else { Err("multipart_boundary") }
}

fn field(part: &[u8], charset: Charset) -> Result<(String, String), &'static str> {
    let at = memmem::find(part, b"\r\n\r\n").ok_or("multipart_malformed")?;
    let (head, value) = part.split_at_checked(at).ok_or("multipart_malformed")?;
    let head = std::str::from_utf8(head).map_err(|_| "multipart_header")?;
    let mut field_name = None;
    for line in head.split("\r\n") {
        let (name, said) = line.split_once(':').ok_or("multipart_header")?;
        if name.eq_ignore_ascii_case("content-disposition") && field_name.is_none() {
            let quoted = said.trim().strip_prefix("form-data;").map(str::trim_start);
            let quoted = quoted.and_then(|said| said.strip_prefix("name=\"")?.strip_suffix('"'));
            let plain =
                |name: &&str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && !b"\"\\%".contains(&b));
            field_name = Some(quoted.filter(plain).ok_or("multipart_header")?);
        } else if name.eq_ignore_ascii_case("content-type") {
            let text = said.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case("text/plain"));
            if !text || !charset.fits_content_type(said) {
                return Err("multipart_header");
            }
        } else {
            return Err("multipart_header");
        }
    }
    let value = charset.decode(value.get(4..).unwrap_or_default())?;
    if value.chars().any(|c| c.is_control() && !matches!(c, '\r' | '\n' | '\t')) {
        return Err("form_control_character");
    }
    Ok((field_name.ok_or("multipart_header")?.to_owned(), value.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=xYz";

    fn part(name: &str, value: &str) -> String {
        format!("--xYz\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    }

    fn reason(body: &str) -> &'static str {
        multipart(body.as_bytes(), TYPE, Charset::Utf8).err().unwrap_or("accepted")
    }

    #[test]
    fn fields_are_read_in_the_declared_charset() {
        let body =
            Charset::ShiftJis.encode(&format!("{}{}--xYz--\r\n", part("name", "表\r\n太郎"), part("n", ""))).unwrap();
        let form = multipart(&body, "Multipart/Form-Data; Boundary=\"xYz\"", Charset::ShiftJis).unwrap();
        assert_eq!(form.fields().collect::<Vec<_>>(), [("name", "表\r\n太郎"), ("n", "")]);
        assert!(multipart(&body, TYPE, Charset::Utf8).is_err());
    }

    #[test]
    fn what_two_readers_may_read_differently_is_refused() {
        let one = part("id", "1");
        assert_eq!(reason(&format!("{one}--xYz--")), "accepted");
        assert_eq!(reason(&format!("{one}{}--xYz--", part("id", "2"))), "form_duplicate_name");
        assert_eq!(reason(&format!("preamble\r\n{one}--xYz--")), "multipart_malformed");
        assert_eq!(reason(&format!("{one}--xYz--\r\n{one}")), "multipart_trailing_bytes");
        assert_eq!(reason(&format!("{one}--xYz")), "multipart_malformed");
        assert_eq!(reason(&one), "multipart_malformed");
        assert_eq!(reason(&format!("{}--xYz--", one.replace("\r\n", "\n"))), "multipart_malformed");
        for header in [
            "Content-Disposition: form-data; name=\"a\"; filename=\"b.txt\"",
            "Content-Disposition: form-data; name=\"a\\\"b\"",
            "Content-Disposition: form-data; name=a",
            "Content-Disposition: form-data; name=\"a\"\r\nContent-Disposition: form-data; name=\"b\"",
            "Content-Disposition: form-data; name=\"a\"\r\nContent-Transfer-Encoding: base64",
            "Content-Disposition: form-data; name=\"a\"\r\nContent-Type: text/plain; charset=Shift_JIS",
            "Content-Type: text/plain",
        ] {
            assert_eq!(reason(&format!("--xYz\r\n{header}\r\n\r\n1\r\n--xYz--")), "multipart_header", "{header}");
        }
        let body = format!("{one}--xYz--");
        for content_type in [
            "text/plain",
            "multipart/mixed; boundary=xYz",
            "multipart/form-data",
            "multipart/form-data; boundary=xYz; boundary=a",
        ] {
            assert!(multipart(body.as_bytes(), content_type, Charset::Utf8).is_err(), "{content_type}");
        }
    }
}
