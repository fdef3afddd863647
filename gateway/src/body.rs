//! The one body type of everything the kiosk side is told. It never waits for a backend: its bytes are complete before it exists.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};

/// A complete reply, possibly with a guard that speaks when it has left or was cut.
pub type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A body of bytes that nobody needs to watch leaving.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).boxed_unsync()
}
