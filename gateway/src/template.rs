//! Request templates: `{fact}` escaped for the place where it stands. Expands facts and nothing else; never reads a request.

/// The `request` table of a lookup, compiled.
#[derive(Debug, Clone)]
pub struct RequestTemplate {
    /// Method.
    pub method: http::Method,
}
