//! Paths as they are meant: within a context (`/contexts/{c}/subjects/{s}` is `/subjects/:.c:{s}`), and of the subject that an alias
//! stands for.

use super::Shared;
use super::answer::Failed;
use crate::error::Error;
use crate::registry::Registry;
use crate::subject::{self, WILDCARD};
use axum::extract::{Request, State};
use axum::http::Uri;
use axum::http::uri::PathAndQuery;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bd_schema::{percent_decoded as decoded, percent_encoded};

/// Rewrites a request's path before it is matched.
pub(super) async fn rewrite(State(registry): Shared, mut request: Request, next: Next) -> Response {
    match rewritten(request.uri(), &registry) {
        Ok(None) => {}
        Ok(Some(to)) => {
            let mut parts = request.uri().clone().into_parts();
            parts.path_and_query = Some(to);
            match Uri::from_parts(parts) {
                Ok(uri) => *request.uri_mut() = uri,
                Err(_) => return Failed(Error::NoSuchPath).into_response(),
            }
        }
        Err(error) => return Failed(error).into_response(),
    }
    next.run(request).await
}

fn rewritten(uri: &Uri, registry: &Registry) -> Result<Option<PathAndQuery>, Error> {
    let path = uri.path();
    let query = uri.query().unwrap_or_default();
    let mut segments: Vec<String> =
        path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
    let mut query = query.to_owned();
    if segments.len() > 1 && segments[0] == "contexts" {
        (segments, query) = within_context(segments, &query)?;
    }
    if let Some(at) = segments.iter().position(|part| part == "subjects").map(|at| at + 1)
        && let Some(alias) = segments.get(at).and_then(|part| registry.alias(&decoded(part)))
    {
        segments[at] = encoded(&alias);
    }
    if segments.starts_with(&["schemas".into(), "ids".into()])
        && let Some(alias) = parameter(&query, "subject").and_then(|name| registry.alias(&name))
    {
        query = with_parameter(&query, "subject", &alias);
    }
    let joined = format!("/{}", segments.join("/"));
    if joined == path && query == uri.query().unwrap_or_default() {
        return Ok(None);
    }
    let whole = if query.is_empty() { joined } else { format!("{joined}?{query}") };
    whole.parse().map(Some).map_err(|_| Error::NoSuchPath)
}

/// The path and query after `/contexts/{c}`, with the context where each of them takes it.
fn within_context(segments: Vec<String>, query: &str) -> Result<(Vec<String>, String), Error> {
    let context = decoded(&segments[1]);
    let prefix = subject::context_prefix(&context)
        .ok_or_else(|| Error::BadRequest(format!("Context name '{context}' cannot contain a colon")))?;
    let mut rest: Vec<String> = segments[2..].to_vec();
    let Some(first) = rest.first().cloned() else {
        return Ok((vec!["contexts".into(), encoded(&prefix)], query.to_owned()));
    };
    let of_settings = first == "config" || first == "mode";
    let at = rest.iter().position(|part| part == "subjects" || of_settings).map(|at| at + 1);
    match at.and_then(|at| rest.get_mut(at)) {
        Some(part) if !names_context(&decoded(part)) => *part = encoded(&(prefix.clone() + &decoded(part))),
        None if of_settings && !prefix.is_empty() => rest.push(encoded(&prefix)),
        _ => {}
    }
    let name = match (first.as_str(), rest.len()) {
        ("schemas", n) if n > 1 && rest[1] == "ids" => "subject",
        ("schemas" | "subjects", 1) => "subjectPrefix",
        _ => return Ok((rest, query.to_owned())),
    };
    let given = parameter(query, name).unwrap_or_default();
    let query = match names_context(&given) {
        true => query.to_owned(),
        false => with_parameter(query, name, &(prefix + &given)),
    };
    Ok((rest, query))
}

fn names_context(name: &str) -> bool {
    name.starts_with(":.") || name.starts_with(WILDCARD)
}

fn parameter(query: &str, name: &str) -> Option<String> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(n, _)| *n == name).map(|(_, value)| decoded(&value.replace('+', " ")))
}

fn with_parameter(query: &str, name: &str, value: &str) -> String {
    let others = query.split('&').filter(|pair| !pair.is_empty() && pair.split('=').next() != Some(name));
    let mut pairs: Vec<String> = others.map(str::to_owned).collect();
    pairs.push(format!("{name}={}", encoded(value)));
    pairs.join("&")
}

/// As a part of a path; the colons of a context stay.
fn encoded(text: &str) -> String {
    percent_encoded(text, ":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_within_a_context_names_it_where_the_path_takes_it() {
        for (path, wanted) in [
            ("/contexts/a/subjects/s/versions", "/subjects/:.a:s/versions"),
            ("/contexts/.a/subjects/x%2Fy", "/subjects/:.a:x%2Fy"),
            ("/contexts/:.a:/subjects", "/subjects?subjectPrefix=:.a:"),
            ("/contexts/:.:/subjects?subjectPrefix=x", "/subjects?subjectPrefix=x"),
            ("/contexts/a/schemas?deleted=true", "/schemas?deleted=true&subjectPrefix=:.a:"),
            ("/contexts/a/schemas/ids/1", "/schemas/ids/1?subject=:.a:"),
            ("/contexts/a/schemas/ids/1?subject=s", "/schemas/ids/1?subject=:.a:s"),
            ("/contexts/a/config", "/config/:.a:"),
            ("/contexts/a/config/s", "/config/:.a:s"),
            ("/contexts/a/mode", "/mode/:.a:"),
            ("/contexts/a/compatibility/subjects/s/versions", "/compatibility/subjects/:.a:s/versions"),
            ("/contexts/a/subjects/:.b:s/versions", "/subjects/:.b:s/versions"),
            ("/contexts/a", "/contexts/:.a:"),
        ] {
            let uri: Uri = path.parse().unwrap();
            let segments = uri.path().split('/').filter(|p| !p.is_empty()).map(str::to_owned).collect();
            let (segments, query) = within_context(segments, uri.query().unwrap_or_default()).unwrap();
            let joined = format!("/{}", segments.join("/"));
            let whole = if query.is_empty() { joined } else { format!("{joined}?{query}") };
            assert_eq!(whole, wanted, "{path}");
        }
        assert!(within_context(vec!["contexts".into(), "a:b".into()], "").is_err());
    }
}
