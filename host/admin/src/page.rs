//! The files of the page, part of the binary: a node needs nothing beside it to be looked at.

/// One file.
pub(crate) struct Asset {
    /// Its media type.
    pub(crate) kind: &'static str,
    /// What is in it.
    pub(crate) text: &'static str,
}

/// What the page may do: load its own files and ask for the graph (<https://www.w3.org/TR/CSP3/>).
pub(crate) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Where each file is served.
#[cfg(test)]
pub(crate) const PATHS: [&str; 6] = [
    "/dashboard",
    "/dashboard/page.css",
    "/dashboard/page.js",
    "/dashboard/rates.js",
    "/dashboard/layout.js",
    "/dashboard/drawing.js",
];

/// The file at a path.
pub(crate) fn asset(path: &str) -> Option<Asset> {
    let (kind, text) = match path {
        "/dashboard" => (HTML, include_str!("../page/index.html")),
        "/dashboard/page.css" => (STYLE, include_str!("../page/page.css")),
        "/dashboard/page.js" => (SCRIPT, include_str!("../page/page.js")),
        "/dashboard/rates.js" => (SCRIPT, include_str!("../page/rates.js")),
        "/dashboard/layout.js" => (SCRIPT, include_str!("../page/layout.js")),
        "/dashboard/drawing.js" => (SCRIPT, include_str!("../page/drawing.js")),
        _ => return None,
    };
    Some(Asset { kind, text })
}
