//! Cross-origin sharing: which pages of other origins may call, answered as Envoy's cors filter answers. Pure.
//!
//! A browser asks first (a preflight: `OPTIONS` with `Origin` and `Access-Control-Request-Method`), and the answer never reaches a
//! pod. The answers of the calls themselves are marked with what a page may read
//! (<https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/cors_filter>).

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::matcher::StringMatch;

/// Which origins may call, and what their pages may send and read.
#[derive(Clone, Debug, Default)]
pub struct CorsPolicy {
    /// Allowed origins; the exact text `*` allows every one.
    pub origins: Vec<StringMatch>,
    /// Whether a call may carry credentials.
    pub credentials: bool,
    /// `Access-Control-Allow-Methods` of a preflight's answer.
    pub methods: Option<HeaderValue>,
    /// `Access-Control-Allow-Headers` of a preflight's answer.
    pub headers: Option<HeaderValue>,
    /// `Access-Control-Expose-Headers` of a call's answer.
    pub expose: Option<HeaderValue>,
    /// `Access-Control-Max-Age` of a preflight's answer.
    pub max_age: Option<HeaderValue>,
    /// Whether the preflight of an origin that is not allowed is answered here, without any permission, instead of going on.
    pub ignore_unmatched: bool,
}

/// What a policy says to one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cors {
    /// Nothing: the request goes on, its answer is not marked.
    Unmarked,
    /// The request goes on; its answer is marked for this origin.
    Allowed(HeaderValue),
    /// The request ends here, with 200 and these headers.
    Preflight(HeaderMap),
}

impl CorsPolicy {
    /// What the policy says to this request.
    pub fn decide(&self, head: &Parts) -> Cors {
        let Some(origin) = head.headers.get(ORIGIN).filter(|origin| !origin.is_empty()) else {
            return Cors::Unmarked;
        };
        let asked = head.headers.get(ACCESS_CONTROL_REQUEST_METHOD);
        let preflight =
            head.method == Method::OPTIONS && asked.is_some_and(|method| !method.is_empty());
        match (self.allows(origin), preflight) {
            (true, true) => Cors::Preflight(self.permission(origin)),
            (true, false) => Cors::Allowed(origin.clone()),
            (false, true) if self.ignore_unmatched => Cors::Preflight(HeaderMap::new()),
            (false, _) => Cors::Unmarked,
        }
    }

    /// Marks the answer of an allowed call.
    pub fn mark(&self, origin: HeaderValue, headers: &mut HeaderMap) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        self.allow_credentials(headers);
        put(headers, ACCESS_CONTROL_EXPOSE_HEADERS, self.expose.as_ref());
    }

    fn allows(&self, origin: &HeaderValue) -> bool {
        let Ok(origin) = origin.to_str() else {
            return false;
        };
        self.origins
            .iter()
            .any(|allowed| allowed.matches("*") || allowed.matches(origin))
    }

    fn permission(&self, origin: &HeaderValue) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        self.allow_credentials(&mut headers);
        put(
            &mut headers,
            ACCESS_CONTROL_ALLOW_METHODS,
            self.methods.as_ref(),
        );
        put(
            &mut headers,
            ACCESS_CONTROL_ALLOW_HEADERS,
            self.headers.as_ref(),
        );
        put(&mut headers, ACCESS_CONTROL_MAX_AGE, self.max_age.as_ref());
        headers
    }

    fn allow_credentials(&self, headers: &mut HeaderMap) {
        if self.credentials {
            headers.insert(
                ACCESS_CONTROL_ALLOW_CREDENTIALS,
                HeaderValue::from_static("true"),
            );
        }
    }
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: Option<&HeaderValue>) {
    if let Some(value) = value {
        headers.insert(name, value.clone());
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn policy() -> CorsPolicy {
        CorsPolicy {
            origins: vec![StringMatch::Prefix("https://shop.".into())],
            credentials: true,
            methods: Some(HeaderValue::from_static("GET,PUT")),
            expose: Some(HeaderValue::from_static("x-total")),
            max_age: Some(HeaderValue::from_static("600")),
            ..CorsPolicy::default()
        }
    }

    fn head(method: Method, headers: &[(&str, &str)]) -> Parts {
        let request = http::Request::builder().method(method).uri("http://a/");
        let with = |request: http::request::Builder, (name, value): &(&str, &str)| {
            request.header(*name, *value)
        };
        let request = headers.iter().fold(request, with);
        request.body(()).unwrap().into_parts().0
    }

    const ASKS: (&str, &str) = ("access-control-request-method", "PUT");

    #[test]
    fn a_preflight_is_answered_with_what_is_allowed() {
        let asked = head(Method::OPTIONS, &[("origin", "https://shop.example"), ASKS]);
        let Cors::Preflight(headers) = policy().decide(&asked) else {
            unreachable!("it goes on");
        };
        assert_eq!(
            headers["access-control-allow-origin"],
            "https://shop.example"
        );
        assert_eq!(headers["access-control-allow-methods"], "GET,PUT");
        assert_eq!(headers["access-control-max-age"], "600");
        assert_eq!(headers["access-control-allow-credentials"], "true");
        assert!(!headers.contains_key("access-control-expose-headers"));
    }

    #[test]
    fn an_allowed_call_goes_on_and_its_answer_is_marked() {
        for headers in [
            &[("origin", "https://shop.example")][..],
            &[("origin", "https://shop.example"), ASKS],
        ] {
            let Cors::Allowed(origin) = policy().decide(&head(Method::GET, headers)) else {
                unreachable!("it is not allowed");
            };
            let mut answer = HeaderMap::new();
            answer.insert(
                "access-control-allow-origin",
                HeaderValue::from_static("https://pod"),
            );
            policy().mark(origin, &mut answer);
            assert_eq!(
                answer["access-control-allow-origin"],
                "https://shop.example"
            );
            assert_eq!(answer["access-control-expose-headers"], "x-total");
        }
    }

    #[test]
    fn others_go_on_unmarked_or_are_answered_without_permission() {
        let mut policy = policy();
        let stranger = head(Method::OPTIONS, &[("origin", "https://evil.example"), ASKS]);
        assert_eq!(policy.decide(&stranger), Cors::Unmarked);
        policy.ignore_unmatched = true;
        assert_eq!(policy.decide(&stranger), Cors::Preflight(HeaderMap::new()));
        let options = head(Method::OPTIONS, &[("origin", "https://evil.example")]);
        assert_eq!(policy.decide(&options), Cors::Unmarked);
        assert_eq!(policy.decide(&head(Method::GET, &[])), Cors::Unmarked);
    }

    #[test]
    fn a_star_allows_every_origin() {
        let policy = CorsPolicy {
            origins: vec![StringMatch::Exact("*".into())],
            ..CorsPolicy::default()
        };
        let anyone = head(Method::GET, &[("origin", "null")]);
        assert_eq!(
            policy.decide(&anyone),
            Cors::Allowed(HeaderValue::from_static("null"))
        );
    }
}
