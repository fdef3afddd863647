//! Reads a HAR file (HTTP Archive 1.2), as browsers and proxies write it. Bounded; trusts nothing in it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sekisho_issuance::answer::Charset;
use serde::Deserialize;
use serde_json::json;

use super::{MAX_EXCHANGES, Recorded};

/// A longer file is refused unread.
pub const MAX_HAR_BYTES: usize = 64 << 20;

#[derive(Deserialize)]
struct Har {
    log: Log,
}

#[derive(Deserialize)]
struct Log {
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    request: Request,
    response: Response,
}

#[derive(Deserialize)]
struct Request {
    method: String,
    url: String,
    #[serde(default)]
    headers: Vec<Header>,
    #[serde(default, rename = "postData")]
    body: Option<Content>,
}

#[derive(Deserialize)]
struct Response {
    status: i64,
    #[serde(default)]
    headers: Vec<Header>,
    #[serde(default)]
    content: Option<Content>,
}

#[derive(Deserialize)]
struct Header {
    name: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Content {
    #[serde(default)]
    mime_type: String,
    #[serde(default)]
    text: String,
    #[serde(default, alias = "_encoding")]
    encoding: Option<String>,
}

/// The exchanges in a HAR file, in its order. The reason names the entry, from 1.
pub fn read(bytes: &[u8]) -> Result<Vec<Recorded>, String> {
    if bytes.len() > MAX_HAR_BYTES {
        return Err(format!("is longer than {MAX_HAR_BYTES} bytes"));
    }
    let har: Har = serde_json::from_slice(bytes).map_err(|error| format!("is no HAR file: {error}"))?;
    if har.log.entries.len() > MAX_EXCHANGES {
        return Err(format!("holds more than {MAX_EXCHANGES} entries: cut it to the visits of a few residents"));
    }
    let entries = har.log.entries.into_iter().enumerate();
    entries.map(|(n, entry)| exchange(entry).map_err(|why| format!("entry {}: {why}", n + 1))).collect()
}

/// One exchange as an entry of a HAR file, its bodies as they were on the wire.
pub(crate) fn entry(exchange: &Recorded) -> Vec<u8> {
    let scheme = if exchange.tls { "https" } else { "http" };
    let query = if exchange.query.is_empty() { String::new() } else { format!("?{}", exchange.query) };
    let headers = |headers: &[(String, String)]| -> Vec<serde_json::Value> {
        headers.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect()
    };
    let content = |bytes: &[u8]| json!({ "mimeType": "", "text": STANDARD.encode(bytes), "encoding": "base64" });
    let url = format!("{scheme}://{}{}{query}", exchange.server, exchange.path);
    let request = json!({ "method": exchange.method, "url": url, "headers": headers(&exchange.headers), "postData": content(&exchange.body) });
    let response = json!({ "status": exchange.status, "headers": headers(&exchange.answer_headers), "content": content(&exchange.answer) });
    json!({ "request": request, "response": response }).to_string().into_bytes()
}

/// Reads what [`entry`] wrote.
pub(crate) fn read_entry(bytes: &[u8]) -> Result<Recorded, String> {
    exchange(serde_json::from_slice(bytes).map_err(|error| format!("is no recorded exchange: {error}"))?)
}

fn exchange(entry: Entry) -> Result<Recorded, String> {
    let Entry { request, response } = entry;
    let url: http::Uri = request.url.parse().map_err(|_| "`url` is none".to_owned())?;
    let tls = match url.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        _ => return Err("`url` is neither http nor https".to_owned()),
    };
    let authority = url.authority().ok_or("`url` names no server")?;
    let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
    let server = format!("{}:{port}", authority.host()).parse().map_err(|_| "`url` names no server".to_owned())?;
    let plain = |headers: Vec<Header>| headers.into_iter().map(|h| (h.name.to_ascii_lowercase(), h.value)).collect();
    Ok(Recorded {
        server,
        tls,
        method: request.method,
        path: url.path().to_owned(),
        query: url.query().unwrap_or("").to_owned(),
        headers: plain(request.headers),
        body: body(request.body)?,
        // A browser writes 0 where nothing came.
        status: u16::try_from(response.status).unwrap_or(0),
        answer_headers: plain(response.headers),
        answer: body(response.content)?,
    })
}

/// The bytes as they were on the wire, as far as the file can say: text is written here as Unicode whatever it was sent in.
fn body(content: Option<Content>) -> Result<Vec<u8>, String> {
    let Some(content) = content else { return Ok(Vec::new()) };
    match content.encoding.as_deref() {
        None | Some("") => {
            let charset = content.mime_type.split(';').skip(1).find_map(|part| part.trim().strip_prefix("charset="));
            let charset = charset.and_then(|label| Charset::parse(label.trim_matches('"'))).unwrap_or_default();
            charset.encode(&content.text).ok_or_else(|| format!("a body cannot be written in {}", charset.name()))
        }
        Some("base64") => STANDARD.decode(content.text.as_bytes()).map_err(|_| "a body is no base64".to_owned()),
        Some(_) => Err("a body has an encoding other than base64".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_comes_back_in_the_charset_it_was_sent_in_and_base64_as_it_is() {
        let file = r#"{"log":{"version":"1.2","entries":[{"startedDateTime":"x","request":{"method":"POST","url":"http://a.example/x?y=1",
            "headers":[{"name":"X-A","value":"b"}],"postData":{"mimeType":"text/xml; charset=Shift_JIS","text":"表"}},
            "response":{"status":200,"headers":[],"content":{"mimeType":"application/pdf","text":"JVBERg==","encoding":"base64"}}}]}}"#;
        let read = read(file.as_bytes()).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(
            (read[0].server.as_str(), read[0].path.as_str(), read[0].query.as_str()),
            ("a.example:80", "/x", "y=1")
        );
        assert_eq!((read[0].body.as_slice(), read[0].answer.as_slice()), (&[0x95, 0x5c][..], &b"%PDF"[..]));
        assert_eq!(read[0].headers, [("x-a".to_owned(), "b".to_owned())]);
    }

    #[test]
    fn what_is_no_har_file_is_said_with_its_entry() {
        let entry = |url: &str, encoding: &str| {
            format!(
                r#"{{"log":{{"entries":[{{"request":{{"method":"GET","url":"{url}"}},"response":{{"status":-1,"content":{{"text":"!","encoding":"{encoding}"}}}}}}]}}}}"#
            )
        };
        for (text, why) in [
            (String::new(), "no HAR"),
            ("{}".to_owned(), "no HAR"),
            (entry("ftp://a/", ""), "entry 1: `url`"),
            (entry("/relative", ""), "entry 1: `url`"),
            (entry("http://a/", "base64"), "entry 1: a body is no base64"),
            (entry("http://a/", "gzip"), "entry 1: a body has an encoding"),
        ] {
            assert!(read(text.as_bytes()).err().unwrap().contains(why), "{text}");
        }
        assert_eq!(read(entry("http://a/", "").as_bytes()).ok().unwrap()[0].status, 0);
    }
}
