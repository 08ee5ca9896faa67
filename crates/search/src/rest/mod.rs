//! HTTP.
use std::sync::Arc;
/// The routes of the role, at the root of its port.
pub fn router(search: Arc<crate::Search>) -> axum::Router {
    axum::Router::new().fallback(move || {
        let s = search.clone();
        async move { s.metrics() }
    })
}
