//! Requests that change something must come from the console's own pages, or from no browser at all.

use axum::http::{HeaderMap, header};

/// Whether a request may change something: a browser names the page's origin, which must be this server's host.
pub(super) fn allowed(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(|v| v.to_str().unwrap_or_default());
    if text(header::HeaderName::from_static("sec-fetch-site"))
        .is_some_and(|s| s != "same-origin" && s != "none")
    {
        return false;
    }
    let Some(origin) = text(header::ORIGIN) else { return true };
    let host = origin.split_once("://").map(|(_, host)| host);
    host.is_some() && host == text(header::HOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_consoles_own_pages_may_change_something() {
        for (headers, expected) in [
            (&[("host", "a:8080")][..], true),
            (&[("host", "a:8080"), ("origin", "http://a:8080")], true),
            (&[("host", "a:8080"), ("origin", "http://a:8080"), ("sec-fetch-site", "same-origin")], true),
            (&[("host", "a:8080"), ("origin", "http://b:8080")], false),
            (&[("host", "a:8080"), ("origin", "http://a:80")], false),
            (&[("host", "a:8080"), ("origin", "null")], false),
            (&[("origin", "http://a:8080")], false),
            (&[("host", "a:8080"), ("sec-fetch-site", "cross-site")], false),
        ] {
            let map = headers.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect();
            assert_eq!(allowed(&map), expected, "{headers:?}");
        }
    }
}
