//! The page: one self-contained HTML document, drawn from what the backends said.

use crate::backend::{Answer, Failure, SUMMARY, TITLE};
use crate::stars;
use serde_json::Value;

/// All that the page shows.
pub struct Page {
    /// The signed-in person.
    pub user: Option<String>,
    /// The name asked for by `?u=` cannot be used.
    pub refused_name: bool,
    /// What the details service said.
    pub details: Answer,
    /// What the reviews service said.
    pub reviews: Answer,
    /// The pod that draws this page.
    pub pod: String,
    /// This request's id, as the mesh gave it.
    pub request_id: String,
}

/// Draws the whole document.
pub fn render(page: &Page) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{TITLE} · Bookinfo</title>\n\
         <link rel=\"icon\" href=\"/static/cover.svg\" type=\"image/svg+xml\">\n<style>{css}</style>\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#reviews\">Skip to the reviews</a>\n{header}<main>\n{book}{reviews}</main>\n{footer}</body>\n</html>\n",
        css = include_str!("page.css"),
        header = header(page),
        book = book(page),
        reviews = reviews(&page.reviews),
        footer = footer(page),
    )
}

/// The book's cover, also served as `/static/cover.svg`.
pub const COVER: &str = include_str!("cover.svg");

fn header(page: &Page) -> String {
    let session = match &page.user {
        Some(user) => format!(
            "<p class=\"who\">Signed in as <strong>{}</strong></p><a class=\"button\" href=\"/productpage?u=\">Sign out</a>",
            escape(user)
        ),
        None => "<label for=\"u\">Read as</label><input id=\"u\" name=\"u\" placeholder=\"name\" autocomplete=\"username\" maxlength=\"32\" \
                 pattern=\"[A-Za-z0-9._\\-]+\" required><button class=\"button\">Sign in</button>"
            .to_owned(),
    };
    let notice = if page.refused_name {
        "<p class=\"notice\" role=\"status\">That name cannot be used: letters, digits, dot, dash and underscore, at most 32 of them.</p>\n"
    } else {
        ""
    };
    format!(
        "<header class=\"bar\"><a class=\"brand\" href=\"/productpage\">Bookinfo</a>\
         <form class=\"session\" action=\"/productpage\" method=\"get\">{session}</form></header>\n{notice}"
    )
}

fn book(page: &Page) -> String {
    let author = match &page.details {
        Ok(details) => format!("<p class=\"author\">{}</p>", text(&details["author"])),
        Err(_) => String::new(),
    };
    format!(
        "<section class=\"book\" aria-labelledby=\"title\">\n<div class=\"cover\">{COVER}</div>\n<div class=\"about\">\n\
         <h1 id=\"title\">{TITLE}</h1>\n{author}<p class=\"summary\">{SUMMARY}</p>\n{}</div>\n</section>\n",
        details(&page.details)
    )
}

const DETAILS: [(&str, &str); 5] = [
    ("Published", "year"),
    ("Publisher", "publisher"),
    ("Binding", "type"),
    ("Pages", "pages"),
    ("Language", "language"),
];

fn details(answer: &Answer) -> String {
    let details = match answer {
        Ok(details) => details,
        Err(failure) => return missing("Details are unavailable right now", "details", failure),
    };
    let rows: String = DETAILS
        .iter()
        .map(|(label, field)| {
            format!(
                "<tr><th scope=\"row\">{label}</th><td>{}</td></tr>",
                text(&details[*field])
            )
        })
        .collect();
    format!("<table class=\"details\"><caption>Details</caption><tbody>{rows}</tbody></table>\n")
}

fn reviews(answer: &Answer) -> String {
    let inside = match answer {
        Err(failure) => missing("Reviews are unavailable right now", "reviews", failure),
        Ok(answer) => {
            let list = answer["reviews"].as_array().map_or(&[][..], Vec::as_slice);
            let cards: String = list.iter().map(review).collect();
            let version = text(&answer["version"]);
            format!("<ul class=\"cards\" data-version=\"{version}\">\n{cards}</ul>\n")
        }
    };
    format!(
        "<section class=\"reviews\" aria-labelledby=\"reviews\">\n<h2 id=\"reviews\">What readers say</h2>\n{inside}</section>\n"
    )
}

fn review(review: &Value) -> String {
    let rating = &review["rating"];
    let stars = match (rating["stars"].as_u64(), rating.get("error")) {
        (Some(stars), _) => stars::draw(stars, rating["color"].as_str().unwrap_or("black")),
        (None, Some(_)) => "<p class=\"faint\">Ratings are unavailable right now</p>".to_owned(),
        (None, None) => String::new(),
    };
    format!(
        "<li class=\"card\"><figure>{stars}<blockquote>{}</blockquote><figcaption>{}</figcaption></figure></li>\n",
        text(&review["text"]),
        text(&review["reviewer"])
    )
}

fn missing(title: &str, service: &str, failure: &Failure) -> String {
    format!(
        "<div class=\"missing\" role=\"status\"><p><strong>{title}</strong></p><p>{} Reload the page to try again.</p></div>\n",
        escape(&failure.explain(service))
    )
}

fn footer(page: &Page) -> String {
    let own = format!("productpage v1</dt><dd>{}", or_dash(&escape(&page.pod)));
    let mut rows = format!("<div><dt>{own}</dd></div>");
    for (service, answer) in [("details", &page.details), ("reviews", &page.reviews)] {
        let (version, pod) = match answer {
            Ok(body) => (text(&body["version"]), text(&body["podname"])),
            Err(failure) => (String::new(), format!("failed with {}", failure.status())),
        };
        rows.push_str(&format!(
            "<div><dt>{service} {version}</dt><dd>{}</dd></div>",
            or_dash(&pod)
        ));
    }
    format!(
        "<footer><h2>Who answered</h2><dl class=\"served\">{rows}</dl>\
         <p class=\"faint\">Every service here is a WebAssembly component in its own pod. Request <code>{}</code></p></footer>\n",
        or_dash(&escape(&page.request_id))
    )
}

fn or_dash(text: &str) -> String {
    if text.is_empty() {
        "–".to_owned()
    } else {
        text.to_owned()
    }
}

/// A JSON value as text that is safe inside an element or a quoted attribute.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => escape(text),
        Value::Null => String::new(),
        other => escape(&other.to_string()),
    }
}

fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn page() -> Page {
        Page {
            user: None,
            refused_name: false,
            details: Ok(
                json!({"author": "Kenneth Grahame", "year": 1908, "pages": 302, "version": "v1", "podname": "details-v1-a"}),
            ),
            reviews: Ok(
                json!({"version": "v2", "podname": "reviews-v2-b", "reviews": [
                    {"reviewer": "Mole", "text": "Good.", "rating": {"stars": 4, "color": "black"}},
                    {"reviewer": "Rat", "text": "Fine.", "rating": {"error": "ratings answered 503"}},
                ]}),
            ),
            pod: "productpage-v1-c".into(),
            request_id: "r-1".into(),
        }
    }

    #[test]
    fn shows_the_book_its_reviews_and_who_answered() {
        let html = render(&page());
        for expected in [
            "Kenneth Grahame",
            "1908",
            "4 of 5 stars",
            "Ratings are unavailable right now",
            "reviews v2",
            "reviews-v2-b",
            "details-v1-a",
            "productpage-v1-c",
            "r-1",
        ] {
            assert!(html.contains(expected), "the page lacks {expected}");
        }
        assert!(!html.contains("Reviews are unavailable"));
    }

    #[test]
    fn a_failed_backend_costs_only_its_part() {
        let mut page = page();
        page.reviews = Err(Failure::Status(403));
        let html = render(&page);
        assert!(
            html.contains("Reviews are unavailable right now")
                && html.contains("A policy refused the call to reviews (403)")
        );
        assert!(html.contains("Kenneth Grahame"));
        page.details = Err(Failure::Unreachable("connection refused".into()));
        assert!(render(&page).contains("Details are unavailable right now"));
    }

    #[test]
    fn nothing_from_outside_becomes_markup() {
        let mut page = page();
        page.reviews = Ok(
            json!({"version": "\"><script>", "reviews": [{"reviewer": "<b>", "text": "<script>alert(1)</script>"}]}),
        );
        page.request_id = "<img src=x>".into();
        page.user = Some("O'Mole & <i>".into());
        let html = render(&page);
        assert!(
            !html.contains("<script")
                && !html.contains("<img")
                && !html.contains("<b>")
                && !html.contains("<i>")
        );
    }
}
