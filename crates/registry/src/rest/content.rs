//! Content types: which bodies are taken, and as what an answer goes out.

use super::answer::Failed;
use crate::error::Error;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// What is answered, the preferred one first.
const ANSWERED: [&str; 3] =
    ["application/vnd.schemaregistry.v1+json", "application/vnd.schemaregistry+json", "application/json"];
/// What else may be sent.
const GENERIC: &str = "application/octet-stream";

/// Refuses what is not taken, and answers in what is asked for.
pub(super) async fn negotiate(request: Request, next: Next) -> Response {
    let Some(answered) = wanted(request.headers()) else {
        return Failed(Error::NotAcceptable).into_response();
    };
    let sends = matches!(*request.method(), Method::POST | Method::PUT);
    if sends && !taken(request.headers()) {
        return Failed(Error::UnsupportedMediaType).into_response();
    }
    let mut response = next.run(request).await;
    if response.headers().contains_key(header::CONTENT_TYPE) {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(answered));
    }
    response
}

fn taken(headers: &HeaderMap) -> bool {
    let Some(given) = headers.get(header::CONTENT_TYPE) else { return true };
    let given = given.to_str().unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    ANSWERED.iter().chain([&GENERIC]).any(|t| t.eq_ignore_ascii_case(essence))
}

/// The content type that fits the request's `Accept` best.
fn wanted(headers: &HeaderMap) -> Option<&'static str> {
    let mut given = headers.get_all(header::ACCEPT).iter().peekable();
    if given.peek().is_none() {
        return Some(ANSWERED[0]);
    }
    let mut best = None;
    for range in given.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let range = parts.next().unwrap_or_default().to_ascii_lowercase();
        let quality = parts.find_map(|p| p.strip_prefix("q=")?.parse::<f32>().ok()).unwrap_or(1.0);
        // `*` alone is what Java's HttpURLConnection sends; JAX-RS asks of a subtype only below a type.
        let any = range == "*" || range.starts_with("*/") || range == "application/*";
        let fits = |t: &&&str| any || range == ***t;
        if let Some(found) = ANSWERED.iter().find(fits)
            && quality > 0.0
            && best.is_none_or(|(_, q)| quality > q)
        {
            best = Some((*found, quality));
        }
    }
    best.map(|(found, _)| found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_of_the_type_that_is_asked_for() {
        for (accept, wanted_type) in [
            ("*/*", Some(ANSWERED[0])),
            ("text/html, application/json", Some("application/json")),
            ("application/json;q=0.5, application/vnd.schemaregistry+json", Some(ANSWERED[1])),
            ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", Some(ANSWERED[0])),
            ("*", Some(ANSWERED[0])),
            ("*/json", Some(ANSWERED[0])),
            ("text/html", None),
            ("application/json;q=0", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(wanted(&headers), wanted_type, "{accept}");
        }
        assert_eq!(wanted(&HeaderMap::new()), Some(ANSWERED[0]));
    }
}
