//! Bounds a request before anything is known of it: ceiling, drain, length, time, coding. Reads the body and no fact.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, Method, Version};
use http_body::Body as HttpBody;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tower::Service;

use super::correlate::{X_REQUEST_DEADLINE, patience};
use super::{Correlated, Received, Reply};
use crate::problem::{Code, Problem};

/// How long a kiosk is asked to wait when the whole process is full.
pub(super) const FULL_RETRY: Duration = Duration::from_secs(2);

/// After `observe`, so that what is turned away is counted; before `facts`, so that nothing unbounded is parsed.
pub async fn guard<B, S>(correlated: Correlated<B>, mut next: S) -> Result<Reply, Problem>
where
    B: HttpBody<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    S: Service<Received, Response = Reply, Error = Problem>,
{
    let Correlated { known, route, head, body } = correlated;
    let matched = route?;
    if known.edge.drain.begun() {
        return Err(Problem::new(Code::Draining).retry_after(FULL_RETRY).closing());
    }
    let Some(place) = known.edge.ceiling.enter(known.config.listeners.server.max_in_flight) else {
        let wait = super::admission::jitter(FULL_RETRY);
        return Err(Problem::because(Code::Shed, "hard_ceiling").retry_after(wait));
    };
    framing(&head.headers)?;
    host(head.version, &head.headers)?;
    patience(&head.headers, known.context.arrived_at())
        .map_err(|()| Problem::new(Code::Malformed).about(X_REQUEST_DEADLINE.as_str()))?;
    let limit = matched.route.max_request_bytes;
    // Said at once, also to a client that waits for `100 Continue` before it sends so much.
    if body.size_hint().lower() > limit as u64 {
        return Err(Problem::new(Code::TooLarge).closing());
    }
    let body = if body.is_end_stream() {
        Bytes::new()
    } else {
        if matches!(head.method, Method::GET | Method::HEAD) {
            return Err(Problem::because(Code::Malformed, "malformed").closing());
        }
        let time = known.config.listeners.server.body_timeout;
        match tokio::time::timeout(time, Limited::new(body, limit).collect()).await {
            Ok(Ok(collected)) => collected.to_bytes(),
            Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(Problem::new(Code::TooLarge).closing()),
            Ok(Err(_)) => return Err(Problem::new(Code::Malformed).closing()),
            Err(_) => return Err(Problem::new(Code::SlowRequest).closing()),
        }
    };
    let mut reply = next.call(Received { known, matched, head, body }).await?;
    if let Some(permit) = reply.permit.as_mut() {
        permit.also_hold(place);
    }
    Ok(reply)
}

/// What the server's own reading left over (HTTP/2, or a parser that is more lenient than we are).
fn framing(headers: &HeaderMap) -> Result<(), Problem> {
    let lengths = headers.get_all(CONTENT_LENGTH).iter().count();
    if lengths > 1 || (lengths == 1 && headers.contains_key(TRANSFER_ENCODING)) {
        return Err(Problem::new(Code::Malformed).closing());
    }
    let identity = |value: &http::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if headers.get_all(CONTENT_ENCODING).iter().any(|value| !identity(value)) {
        return Err(Problem::new(Code::UnsupportedEncoding));
    }
    Ok(())
}

/// RFC 9112, 3.2: one host in HTTP/1.1, never two. Nothing here goes by it, but what stands before us may.
fn host(version: Version, headers: &HeaderMap) -> Result<(), Problem> {
    let hosts = headers.get_all(HOST).iter().count();
    if hosts > 1 || (hosts == 0 && version == Version::HTTP_11) {
        return Err(Problem::new(Code::Malformed).about("host").closing());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;
    use tower::service_fn;

    use super::*;
    use crate::edge::tests::edge;
    use crate::layer::tests::{answer, correlated};

    async fn code(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Code {
        let below = service_fn(|_| async { Ok(answer()) });
        guard(correlated(&edge(), method, path, headers, body), below).await.err().unwrap().code()
    }

    #[tokio::test]
    async fn what_is_too_long_or_coded_or_undeclared_goes_no_further() {
        assert_eq!(code("GET", "/nowhere", &[], "").await, Code::UndeclaredPath);
        assert_eq!(code("PUT", "/sessions", &[], "").await, Code::MethodNotAllowed);
        assert_eq!(code("POST", "/sessions", &[], &"x".repeat(70_000)).await, Code::TooLarge);
        assert_eq!(code("POST", "/sessions", &[("content-encoding", "gzip")], "x").await, Code::UnsupportedEncoding);
        let twice = [("content-length", "1"), ("content-length", "1")];
        assert_eq!(code("POST", "/sessions", &twice, "x").await, Code::Malformed);
        assert_eq!(code("GET", "/notice", &[], "a body").await, Code::Malformed);
        assert_eq!(code("GET", "/notice", &[("host", "another")], "").await, Code::Malformed);
        assert_eq!(code("GET", "/notice", &[("x-request-deadline", "soon")], "").await, Code::Malformed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_given_up() {
        let correlated = correlated(&edge(), "POST", "/sessions", &[], "");
        let never = http_body_util::StreamBody::new(futures_util::stream::pending::<
            Result<http_body::Frame<Bytes>, std::convert::Infallible>,
        >());
        let slow = Correlated {
            known: correlated.known,
            route: correlated.route,
            head: correlated.head,
            body: Box::pin(never),
        };
        let below = service_fn(|_| async { Ok(answer()) });
        assert_eq!(guard(slow, below).await.err().unwrap().code(), Code::SlowRequest);
    }

    #[tokio::test]
    async fn a_body_that_is_announced_too_long_is_not_waited_for() {
        let Correlated { known, route, head, .. } = correlated(&edge(), "POST", "/sessions", &[], "");
        struct Announced;
        impl HttpBody for Announced {
            type Data = Bytes;
            type Error = std::convert::Infallible;
            fn poll_frame(
                self: std::pin::Pin<&mut Self>,
                _: &mut std::task::Context<'_>,
            ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
                panic!("the body was read");
            }
            fn size_hint(&self) -> http_body::SizeHint {
                http_body::SizeHint::with_exact(9_999_999_999)
            }
        }
        let below = service_fn(|_| async { Ok(answer()) });
        let large = Correlated { known, route, head, body: Announced };
        assert_eq!(guard(large, below).await.err().unwrap().code(), Code::TooLarge);
    }

    #[tokio::test]
    async fn a_request_without_a_host_is_an_older_one_or_none() {
        for (version, passes) in [(Version::HTTP_11, false), (Version::HTTP_10, true), (Version::HTTP_2, true)] {
            let mut correlated = correlated(&edge(), "GET", "/notice", &[], "");
            correlated.head.headers.remove(HOST);
            correlated.head.version = version;
            let below = service_fn(|_| async { Ok(answer()) });
            let problem = guard(correlated, below).await.err();
            assert_eq!(problem.map(|p| p.fact().map(str::to_owned)), (!passes).then(|| Some("host".to_owned())));
        }
    }

    #[tokio::test]
    async fn the_ceiling_sheds_and_is_held_until_the_reply_is_gone() {
        let edge = edge();
        let most = edge.config().listeners.server.max_in_flight;
        let places: Vec<_> = (0..most).map(|_| edge.ceiling.enter(most).unwrap()).collect();
        let below = service_fn(|_| async { Ok(answer()) });
        let full = guard(correlated(&edge, "GET", "/notice", &[], ""), below).await.err().unwrap();
        assert_eq!((full.code(), full.reason()), (Code::Shed, "hard_ceiling"));
        drop(places);
        let _: Full<Bytes>;
        assert!(guard(correlated(&edge, "GET", "/notice", &[], ""), below).await.is_ok());
    }
}
