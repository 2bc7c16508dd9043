//! Matches of a GRPCRoute: a call is a request for `/SERVICE/METHOD`
//! (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>).

use super::matches::{everywhere, expression, headers};
use osier_routing::matcher::{Matcher, PathMatch, StringMatch};
use osier_traffic::Fields;

/// One part of a path, whatever it is.
const ANY: &str = "[^/]+";

/// Reads one match; `None` if a condition is unusable, because a rule without it would match more than was asked.
pub(super) fn matcher(fields: &mut Fields<'_>) -> Option<Matcher> {
    let mut usable = true;
    let path = fields.object("method").and_then(|mut method| {
        let path = path(&mut method);
        usable &= path.is_some();
        path?.map(|text| PathMatch {
            text,
            ignore_case: false,
        })
    });
    let headers = headers(fields, &mut usable);
    usable.then(|| Matcher {
        path,
        headers,
        source: everywhere(),
        ..Matcher::default()
    })
}

/// The condition on the path: `Some(None)` if every path fits, `None` if it cannot be used.
fn path(fields: &mut Fields<'_>) -> Option<Option<StringMatch>> {
    let service = fields.text("service").filter(|text| !text.is_empty());
    let method = fields.text("method").filter(|text| !text.is_empty());
    let by_expression = fields.text("type") == Some("RegularExpression");
    let path = match (service, method) {
        (None, None) => return Some(None),
        (Some(service), Some(method)) if !by_expression => {
            StringMatch::Exact(format!("/{service}/{method}").into())
        }
        (Some(service), None) if !by_expression => StringMatch::segments(&format!("/{service}")),
        (None, Some(method)) if !by_expression => {
            let method = regex::escape(method);
            expression(fields, &format!("/{ANY}/{method}"))?
        }
        (service, method) => {
            let part =
                |text: Option<&str>| text.map_or(ANY.to_owned(), |text| format!("(?:{text})"));
            expression(fields, &format!("/{}/{}", part(service), part(method)))?
        }
    };
    Some(Some(path))
}
