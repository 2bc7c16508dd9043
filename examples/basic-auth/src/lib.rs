//! HTTP basic authentication (RFC 7617) as a module of proxy-wasm. Nothing here knows Osier: it runs in Envoy as well.
//!
//! Its configuration is a list of credentials as the header has them, one a line: `Basic c2hvcDpzZWNyZXQ=`.

#![expect(
    missing_docs,
    reason = "the macro writes a function without documentation"
)]

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};
use std::rc::Rc;

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(Root::default()));
}}

/// Credentials that are let in.
type Known = Rc<[String]>;

#[derive(Default)]
struct Root {
    known: Known,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        let text = self.get_plugin_configuration().unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        // A text of a JSON document, as Istio hands it over, is as good.
        let lines = text.trim_matches('"').split(['\n', ',']);
        self.known = lines
            .map(|line| line.trim().to_owned())
            .filter(|line| !line.is_empty())
            .collect();
        self.known.iter().all(|line| line.starts_with("Basic "))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Filter {
            known: Rc::clone(&self.known),
        }))
    }
}

struct Filter {
    known: Known,
}

impl Context for Filter {}

impl HttpContext for Filter {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let given = self.get_http_request_header("authorization");
        if given.is_some_and(|given| self.known.contains(&given)) {
            // The service behind need not know the password.
            self.set_http_request_header("authorization", None);
            return Action::Continue;
        }
        let headers = vec![("www-authenticate", "Basic realm=\"shop\"")];
        self.send_http_response(401, headers, Some(b"Who are you?\n"));
        Action::Pause
    }
}
