//! Requests at each stage of the tower, for the layers' tests.

use http_body_util::Full;
use sekisho_issuance::context::TraceParent;

use super::*;

pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Request<Full<Bytes>> {
    let builder = Request::builder().method(method).uri(path).header("host", "kiosk-side");
    let builder = headers.iter().fold(builder, |builder, (name, value)| builder.header(*name, *value));
    builder.body(Full::new(Bytes::from(body.to_owned()))).unwrap()
}

pub(crate) fn inbound(
    edge: &Arc<Edge>,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Inbound<Full<Bytes>> {
    let id = RequestId::from_u128(uuid::Uuid::now_v7().as_u128());
    let (arrived, arrived_at) = (Instant::now(), Timestamp::now());
    Inbound {
        edge: edge.clone(),
        id,
        arrived,
        arrived_at,
        peer: None,
        connection: Arc::default(),
        canary: None,
        request: request(method, path, headers, body),
    }
}

pub(crate) fn correlated(
    edge: &Arc<Edge>,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Correlated<Full<Bytes>> {
    let Inbound { edge, id, arrived, arrived_at, peer, connection, canary, request } =
        inbound(edge, method, path, headers, body);
    let config = edge.config();
    let trace = TraceParent { trace_id: 1, parent_id: 1, flags: 0 };
    let context = RequestContext::freeze(id, trace, arrived, arrived_at, std::time::Duration::from_secs(3));
    let (head, body) = request.into_parts();
    let route = config.routes.find(&head.method, head.uri.path());
    Correlated {
        known: Known { edge, config, context, correlation: None, peer, connection, canary },
        route,
        head,
        body,
    }
}

pub(crate) fn received(edge: &Arc<Edge>, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Received {
    let Correlated { known, route, head, .. } = correlated(edge, method, path, headers, body);
    Received { known, matched: route.unwrap(), head, body: Bytes::from(body.to_owned()) }
}

pub(crate) fn answer() -> Reply {
    Reply::new(Response::new(crate::body::full("ok")), Outcome::Answered, "passed")
}
