//! The UI: files that `build.rs` embedded from `ui/dist`.

use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

/// One file.
struct Asset {
    /// Its path in `ui/dist`, with `/`.
    path: &'static str,
    bytes: &'static [u8],
    /// The same, compressed when the UI was built.
    br: Option<&'static [u8]>,
    gz: Option<&'static [u8]>,
}

static ASSETS: &[Asset] = &include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// Nothing from elsewhere, nothing inline.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; manifest-src 'self'";

const NOT_BUILT: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>bd</title>\
    <h1>The console's pages are not in this binary</h1><p>They are built from the folder <code>ui</code>: run \
    <code>make ui</code> (or <code>npm ci &amp;&amp; npm run build</code> in it), then build bd again.</p>\
    <p>The JSON API is here: <a href=\"/api/topics\">/api/topics</a>, <a href=\"/api/dashboards\">/api/dashboards</a>.</p></html>";

/// The handler of all other paths: a file, or the page for paths that the UI knows.
pub(crate) async fn serve(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let mut response = match method {
        Method::GET | Method::HEAD => answer(ASSETS, uri.path(), &headers),
        _ => (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")]).into_response(),
    };
    for (name, value) in [
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn answer(assets: &[Asset], path: &str, headers: &HeaderMap) -> Response {
    let path = path.trim_start_matches('/');
    let of = |path: &str| assets.iter().find(|a| a.path == path);
    let is_file = path.rsplit('/').next().is_some_and(|last| last.contains('.'));
    // Paths of the UI have no dot in their last part; topics may have one.
    let page = || if is_file && path.starts_with("assets/") { None } else { of("index.html") };
    let Some(asset) = of(path).or_else(page) else {
        return match assets.is_empty() && !path.starts_with("assets/") {
            true => (StatusCode::OK, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], NOT_BUILT)
                .into_response(),
            false => (StatusCode::NOT_FOUND, "not there\n").into_response(),
        };
    };
    let accepts = |coding: &str| {
        let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|v| v.to_str().ok()).unwrap_or_default();
        accepted.split(',').any(|c| c.split(';').next().is_some_and(|c| c.trim() == coding))
    };
    let (coding, bytes) = match (asset.br, asset.gz) {
        (Some(br), _) if accepts("br") => (Some("br"), br),
        (_, Some(gz)) if accepts("gzip") => (Some("gzip"), gz),
        _ => (None, asset.bytes),
    };
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind(asset.path)));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    // The names of files under assets/ hold a hash of what is in them.
    let kept = asset.path.starts_with("assets/");
    let cache = if kept { "public, max-age=31536000, immutable" } else { "no-cache" };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    if let Some(coding) = coding {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    response
}

fn kind(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json" | "map") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("woff2") => "font/woff2",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: &[Asset] = &[
        Asset { path: "index.html", bytes: b"<html>", br: None, gz: None },
        Asset { path: "assets/a-1.js", bytes: b"let a;", br: Some(b"br"), gz: Some(b"gz") },
    ];

    fn header_of(response: &Response, name: &str) -> String {
        response.headers().get(name).map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default()
    }

    #[test]
    fn hashed_files_are_kept_for_ever_and_the_page_is_not() {
        let none = HeaderMap::new();
        let file = answer(FILES, "/assets/a-1.js", &none);
        assert!(header_of(&file, "cache-control").contains("immutable"));
        assert_eq!(header_of(&file, "content-type"), "text/javascript; charset=utf-8");
        for path in ["/", "/topics", "/topics/tv.tv.users", "/dashboards/viewing"] {
            let page = answer(FILES, path, &none);
            assert_eq!(page.status(), 200);
            assert_eq!(header_of(&page, "cache-control"), "no-cache", "{path}");
        }
        assert_eq!(answer(FILES, "/assets/gone-2.js", &none).status(), 404);
        assert_eq!(answer(FILES, "/assets/../index.html", &none).status(), 404);
    }

    #[test]
    fn the_best_coding_that_the_browser_takes_is_sent() {
        for (accepted, expected) in
            [("gzip, deflate, br;q=1.0", "br"), ("gzip", "gzip"), ("identity", ""), ("brx", "")]
        {
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, accepted.parse().unwrap())]);
            assert_eq!(header_of(&answer(FILES, "/assets/a-1.js", &headers), "content-encoding"), expected);
        }
    }

    #[test]
    fn without_a_built_ui_the_page_says_how_to_build_it() {
        let page = answer(&[], "/", &HeaderMap::new());
        assert_eq!(
            (page.status(), header_of(&page, "content-type").as_str()),
            (StatusCode::OK, "text/html; charset=utf-8")
        );
        assert!(NOT_BUILT.contains("make ui"));
    }
}
