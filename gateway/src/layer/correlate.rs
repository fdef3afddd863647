//! Builds the frozen request context: id, trace, deadline, declared operation. Decides nothing.

use std::convert::Infallible;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Response};
use jiff::Timestamp;
use sekisho_issuance::context::{RequestContext, TraceParent};
use sekisho_issuance::id::RequestId;
use tower::Service;

use super::{Correlated, Inbound, Known};
use crate::template::TRACEPARENT;

/// The header in which a client may send its own correlation id, handed back as it came.
pub const X_CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");

/// The header in which a client may say when it waits no longer: milliseconds from now, or a moment (RFC 3339).
pub const X_REQUEST_DEADLINE: HeaderName = HeaderName::from_static("x-request-deadline");

/// How long a request without a route may take to be turned away.
const NO_ROUTE_TIMEOUT: Duration = Duration::from_secs(5);

/// Before `observe`, so that whatever happens is counted under a route and logged under an id.
pub async fn correlate<B, S, R>(inbound: Inbound<B>, mut next: S) -> Result<Response<R>, Infallible>
where
    S: Service<Correlated<B>, Response = Response<R>, Error = Infallible>,
{
    let Inbound { edge, id, arrived, arrived_at, peer, connection, canary, request } = inbound;
    let config = edge.config();
    let (head, body) = request.into_parts();
    let route = config.routes.find(&head.method, head.uri.path());
    let declared = route.as_ref().map_or(NO_ROUTE_TIMEOUT, |matched| matched.route.timeout);
    // One that cannot be read is refused by `guard`, in the route's own words.
    let said = patience(&head.headers, arrived_at).ok().flatten();
    let timeout = said.map_or(declared, |said| said.min(declared));
    let context = RequestContext::freeze(id, trace(&head.headers, id), arrived, arrived_at, timeout);
    let correlation = correlation(&head.headers);
    let known = Known { edge, config, context, correlation, peer, connection, canary };
    next.call(Correlated { known, route, head, body }).await
}

/// The caller's trace, or a new one whose id is the request's.
fn trace(headers: &HeaderMap, id: RequestId) -> TraceParent {
    let mut given = headers.get_all(TRACEPARENT).iter();
    let parsed = match (given.next(), given.next()) {
        (Some(value), None) => value.to_str().ok().and_then(TraceParent::parse),
        _ => None,
    };
    let span = (id.as_u128() as u64).max(1);
    match parsed {
        Some(parent) => TraceParent { parent_id: span, ..parent },
        None => TraceParent { trace_id: id.as_u128(), parent_id: span, flags: 0 },
    }
}

/// How long the client says that it waits; `Err` where it says it in no way that can be read.
pub(super) fn patience(headers: &HeaderMap, arrived_at: Timestamp) -> Result<Option<Duration>, ()> {
    let mut given = headers.get_all(X_REQUEST_DEADLINE).iter();
    let text = match (given.next(), given.next()) {
        (None, _) => return Ok(None),
        (Some(value), None) => value.to_str().map_err(|_| ())?,
        (Some(_), Some(_)) => return Err(()),
    };
    if !text.is_empty() && text.len() <= 9 && text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().map(|ms| Some(Duration::from_millis(ms))).map_err(|_| ());
    }
    let until: Timestamp = text.parse().map_err(|_| ())?;
    Ok(Some(Duration::try_from(until.duration_since(arrived_at)).unwrap_or(Duration::ZERO)))
}

/// Visible ASCII, at most 128 bytes; anything else is not handed back.
fn correlation(headers: &HeaderMap) -> Option<HeaderValue> {
    let value = headers.get(X_CORRELATION_ID)?;
    (value.len() <= 128 && value.as_bytes().iter().all(u8::is_ascii_graphic)).then(|| value.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_goes_on_and_a_broken_one_begins_anew() {
        let id = RequestId::from_u128(0xabc);
        let mut headers = HeaderMap::new();
        assert_eq!(trace(&headers, id).trace_id, 0xabc);
        headers.insert(TRACEPARENT, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse().unwrap());
        let passed = trace(&headers, id);
        assert_eq!((passed.trace_id, passed.flags), (0x0af7651916cd43dd8448eb211c80319c, 1));
        assert_eq!(passed.parent_id, 0xabc, "the backend's parent is this hop");
        headers.append(TRACEPARENT, "00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse().unwrap());
        assert_eq!(trace(&headers, id).trace_id, 0xabc, "two traces are none");
    }

    #[test]
    fn only_a_short_visible_correlation_id_is_handed_back() {
        let mut headers = HeaderMap::new();
        headers.insert(X_CORRELATION_ID, "abc-1".parse().unwrap());
        assert_eq!(correlation(&headers).unwrap(), "abc-1");
        headers.insert(X_CORRELATION_ID, "a b".parse().unwrap());
        assert!(correlation(&headers).is_none());
    }

    #[test]
    fn a_deadline_is_milliseconds_or_a_moment_and_nothing_else() {
        let now: Timestamp = "2026-11-22T03:00:00Z".parse().unwrap();
        let said = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(X_REQUEST_DEADLINE, text.parse().unwrap());
            patience(&headers, now)
        };
        assert_eq!(patience(&HeaderMap::new(), now), Ok(None));
        assert_eq!(said("1500"), Ok(Some(Duration::from_millis(1500))));
        assert_eq!(said("2026-11-22T12:00:02.5+09:00"), Ok(Some(Duration::from_millis(2500))));
        assert_eq!(said("2026-11-22T02:59:59Z"), Ok(Some(Duration::ZERO)), "nobody waits any more");
        for wrong in ["", "-5", "1.5", "5s", "9999999999", "2026-11-22T12:00:02", "2026-11-22", "soon", "1 2"] {
            assert_eq!(said(wrong), Err(()), "{wrong:?}");
        }
        let mut twice = HeaderMap::new();
        twice.append(X_REQUEST_DEADLINE, "1000".parse().unwrap());
        twice.append(X_REQUEST_DEADLINE, "2000".parse().unwrap());
        assert_eq!(patience(&twice, now), Err(()));
    }
}
