//! A module of proxy-wasm for the tests, which runs unmodified in Envoy too. It does what the SDK's examples do (`http_headers`, `http_body`,
//! `http_config`, `http_auth_random`), and one thing for each other part of the ABI. The header `x-do` of a request says what.

#![expect(missing_docs, reason = "the macro writes a function without any")]

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, Bytes, ContextType, LogLevel, MetricType};
use std::time::Duration;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(Root::default()));
}}

/// The plugin: its configuration, and what it counts.
#[derive(Default)]
struct Root {
    config: String,
    calls: u32,
    ticks: u32,
    queue: u32,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        let config = self.get_plugin_configuration().unwrap_or_default();
        self.config = String::from_utf8_lossy(&config).into_owned();
        if self.config.contains("refuse") {
            return false;
        }
        self.calls = hostcalls::define_metric(MetricType::Counter, "fixture_calls").unwrap_or(0);
        self.queue = self.register_shared_queue("fixture");
        if self.config.contains("tick") {
            self.set_tick_period(Duration::from_millis(10));
        }
        true
    }

    fn on_tick(&mut self) {
        self.ticks += 1;
        let _ = self.set_shared_data("ticks", Some(self.ticks.to_string().as_bytes()), None);
    }

    fn on_queue_ready(&mut self, queue: u32) {
        while let Ok(Some(message)) = self.dequeue_shared_queue(queue) {
            let _ = self.set_shared_data("queued", Some(&message), None);
        }
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Filter {
            config: self.config.clone(),
            calls: self.calls,
            queue: self.queue,
            ..Filter::default()
        }))
    }
}

/// One exchange.
#[derive(Default)]
struct Filter {
    config: String,
    calls: u32,
    queue: u32,
    wanted: String,
    chunks: u32,
}

fn text(bytes: Option<Bytes>) -> String {
    String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
}

impl Filter {
    /// Answers with what a property holds.
    fn tell(&self, body: &str) -> Action {
        self.send_http_response(200, vec![("x-told", "yes")], Some(body.as_bytes()));
        Action::Pause
    }

    fn property(&self, path: &str) -> String {
        match self.get_property(path.split('/').collect()) {
            None => "none".to_owned(),
            Some(bytes) => match std::str::from_utf8(&bytes) {
                Ok(text) if !text.contains('\0') => text.to_owned(),
                _ => format!("{bytes:?}"),
            },
        }
    }

    /// Compare-and-swap, as a counter that many VMs share needs it.
    fn count(&self) -> u32 {
        loop {
            let (value, cas) = self.get_shared_data("count");
            let next = text(value).parse().unwrap_or(0) + 1;
            if self
                .set_shared_data("count", Some(next.to_string().as_bytes()), cas)
                .is_ok()
            {
                return next;
            }
        }
    }

    fn call(&self, path: &str) -> Action {
        let upstream = self
            .get_http_request_header("x-upstream")
            .unwrap_or_default();
        let headers = vec![
            (":method", "POST"),
            (":path", path),
            (":authority", "auth"),
            ("x-asked-by", "fixture"),
        ];
        let sent = self.dispatch_http_call(
            &upstream,
            headers,
            Some(b"question"),
            vec![],
            Duration::from_secs(5),
        );
        match sent {
            Ok(_) => Action::Pause,
            Err(status) => self.tell(&format!("not sent: {status:?}")),
        }
    }
}

impl HttpContext for Filter {
    fn on_http_request_headers(&mut self, _: usize, end_of_stream: bool) -> Action {
        let _ = hostcalls::increment_metric(self.calls, 1);
        self.wanted = self.get_http_request_header("x-do").unwrap_or_default();
        self.set_http_request_header("x-end", Some(if end_of_stream { "yes" } else { "no" }));
        match self.wanted.clone().as_str() {
            // The SDK's http_config: a header whose value is the configuration.
            "config" => self.add_http_request_header("x-config", &self.config),
            "headers" => {
                self.add_http_request_header("x-added", "one");
                self.add_http_request_header("x-added", "two");
                self.set_http_request_header("x-old", Some("replaced"));
                self.set_http_request_header("x-gone", None);
                self.set_http_request_header(":path", Some("/rewritten?by=filter"));
            }
            "map" => {
                let mut headers = self.get_http_request_headers();
                headers.retain(|(name, _)| name != "x-gone");
                headers.push(("x-map".to_owned(), headers.len().min(1).to_string()));
                self.set_http_request_headers(
                    headers
                        .iter()
                        .map(|(name, value)| (name.as_str(), value.as_str()))
                        .collect(),
                );
            }
            // The SDK's http_headers.
            "hello" => {
                self.send_http_response(
                    200,
                    vec![("hello", "world"), ("powered-by", "proxy-wasm")],
                    Some(b"Hello, World!\n"),
                );
                return Action::Pause;
            }
            "deny" => {
                self.send_http_response(
                    403,
                    vec![("x-why", "because")],
                    Some(b"Access forbidden.\n"),
                );
                return Action::Pause;
            }
            "property" => {
                let name = self.get_http_request_header("x-name").unwrap_or_default();
                return self.tell(&self.property(&name));
            }
            "set-property" => {
                self.set_property(vec!["mine"], Some(b"own"));
                return self.tell(&self.property("mine"));
            }
            "count" => return self.tell(&self.count().to_string()),
            "shared" => {
                let key = self.get_http_request_header("x-key").unwrap_or_default();
                return self.tell(&text(self.get_shared_data(&key).0));
            }
            "enqueue" => {
                let sent = self.enqueue_shared_queue(self.queue, Some(b"a message"));
                return self.tell(&format!("{sent:?}"));
            }
            "foreign" => {
                let called = hostcalls::call_foreign_function("no_such_function", None);
                return self.tell(&format!("{:?}", called.err()));
            }
            // The SDK's http_auth_random: another service decides.
            "call" => return self.call("/decide"),
            "call-deny" => return self.call("/deny"),
            "trap" => panic!("told so"),
            "loop" => loop {
                std::hint::spin_loop();
            },
            "memory" => {
                let mut kept = Vec::new();
                loop {
                    kept.push(vec![1_u8; 1 << 20]);
                }
            }
            _ => {}
        }
        Action::Continue
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        self.chunks += 1;
        match self.wanted.as_str() {
            "upper" => {
                let body = self.get_http_request_body(0, size).unwrap_or_default();
                self.set_http_request_body(0, size, &body.to_ascii_uppercase());
            }
            "whole" if !end_of_stream => return Action::Pause,
            "whole" => {
                let body = self.get_http_request_body(0, size).unwrap_or_default();
                let new = format!("[{}]", String::from_utf8_lossy(&body));
                self.set_http_request_body(0, size, new.as_bytes());
            }
            "deny-body" => {
                self.send_http_response(413, vec![], Some(b"no bodies here\n"));
                return Action::Pause;
            }
            _ => {}
        }
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        self.add_http_response_header("x-filtered", "yes");
        match self.wanted.as_str() {
            // The SDK's http_body: the new body has another length.
            "response-body" => self.set_http_response_header("content-length", None),
            "status" => self.set_http_response_header(":status", Some("299")),
            "deny-response" => {
                self.send_http_response(
                    502,
                    vec![("x-why", "response")],
                    Some(b"not that answer\n"),
                );
                return Action::Pause;
            }
            _ => {}
        }
        Action::Continue
    }

    fn on_http_response_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        if self.wanted != "response-body" {
            return Action::Continue;
        }
        if !end_of_stream {
            return Action::Pause;
        }
        let body = self.get_http_response_body(0, size).unwrap_or_default();
        let new = format!("Original message body ({} bytes) redacted.\n", body.len());
        self.set_http_response_body(0, size, new.as_bytes());
        Action::Continue
    }
}

impl Context for Filter {
    fn on_http_call_response(&mut self, _: u32, headers: usize, body: usize, _: usize) {
        let status = self
            .get_http_call_response_header(":status")
            .unwrap_or_default();
        let answer = text(self.get_http_call_response_body(0, body));
        if headers == 0 {
            self.send_http_response(503, vec![], Some(b"no answer\n"));
        } else if status == "200" {
            self.set_http_request_header("x-answer", Some(answer.trim()));
            self.resume_http_request();
        } else {
            self.send_http_response(
                403,
                vec![("x-status", status.as_str())],
                Some(b"Access forbidden.\n"),
            );
        }
    }

    fn on_done(&mut self) -> bool {
        let _ = self.set_shared_data("done", Some(self.wanted.as_bytes()), None);
        true
    }
}
