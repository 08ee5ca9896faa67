//! HTTP: Elasticsearch's paths, answers and errors.

mod bulk;
mod cat;
mod document;
mod indices;
mod message;
mod route;
mod search;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use tokio::sync::Semaphore;

use crate::Search;
use crate::error::EsError;
use message::{Answer, Call};

/// Searches and writes that run at once; further requests wait.
const MAX_RUNNING: usize = 64;

/// What bounds the requests at work.
struct Limits {
    running: Semaphore,
    /// KiB of bodies.
    bodies: Semaphore,
    budget: u32,
    max_body: usize,
}

/// The routes of the role, at the root of its port. Needs a tokio runtime.
pub fn router(search: Arc<Search>) -> axum::Router {
    let budget = u32::try_from(search.config.body_budget >> 10).unwrap_or(u32::MAX).max(1);
    let limits = Arc::new(Limits {
        running: Semaphore::new(MAX_RUNNING),
        bodies: Semaphore::new(budget as usize),
        budget,
        max_body: search.config.max_body,
    });
    axum::Router::new().fallback(move |request: Request| {
        let (search, limits) = (search.clone(), limits.clone());
        async move { serve(search, limits, request).await }
    })
}

async fn serve(search: Arc<Search>, limits: Arc<Limits>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let head = parts.method == axum::http::Method::HEAD;
    let length =
        parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if length.unwrap_or(0) > limits.max_body as u64 {
        let reason = format!("the request body is longer than {} bytes", limits.max_body);
        return respond(Answer::error(&EsError::new(413, "content_too_long_exception", reason), ""), head);
    }
    if let Some(encoding) = parts.headers.get(header::CONTENT_ENCODING).filter(|value| *value != "identity") {
        let reason = format!("Content-Encoding [{}] is not supported", encoding.to_str().unwrap_or("?"));
        return respond(Answer::error(&EsError::new(415, "illegal_argument_exception", reason), ""), head);
    }
    // A body of unknown length is counted as a middling one.
    let kib = u32::try_from(length.unwrap_or(64 << 10) >> 10).unwrap_or(u32::MAX).clamp(1, limits.budget);
    let (Ok(_running), Ok(_room)) = (limits.running.acquire().await, limits.bodies.acquire_many(kib).await)
    else {
        return respond(Answer::error(&EsError::internal("the server is closing"), ""), head);
    };
    let body = match axum::body::to_bytes(body, limits.max_body).await {
        Ok(body) => body,
        Err(error) => {
            let reason = format!("the request body cannot be read: {error}");
            return respond(
                Answer::error(&EsError::new(413, "content_too_long_exception", reason), ""),
                head,
            );
        }
    };
    let call = match Call::new(&parts.method, &parts.uri, body) {
        Ok(call) => call,
        Err(error) => return respond(Answer::error(&error, ""), head),
    };
    let answered = tokio::task::spawn_blocking(move || route::answer(&search, &call)).await;
    let answer = answered.unwrap_or_else(|error| {
        tracing::error!(%error, "a request panicked");
        Answer::error(&EsError::internal("the request could not be carried out; see the server's log"), "")
    });
    respond(answer, head)
}

fn respond(answer: Answer, head: bool) -> Response {
    let length = answer.body.len();
    let mut response = Response::new(if head { Body::empty() } else { Body::from(answer.body) });
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    // Official clients talk to no server without it.
    headers.insert("x-elastic-product", HeaderValue::from_static("Elasticsearch"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    if head {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    response
}
