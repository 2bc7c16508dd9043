//! Calls of plugins, carried by nobody or by an echo.
#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;
use crate::callout::Callout;
use http::{HeaderMap, StatusCode};
use osier_process::Boxed;
use parking_lot::Mutex;

/// Answers with what was asked, or, of `/list`, with what is said next.
#[derive(Default)]
struct Echo {
    asked: Mutex<Vec<String>>,
    next: Mutex<Vec<&'static str>>,
}

impl Callout for Echo {
    fn send(
        &self,
        plugin: Caller<'_>,
        request: Request<Bytes>,
        _: CalloutBounds,
    ) -> Boxed<'static, Result<CalloutAnswer, CalloutError>> {
        let asked = format!(
            "{}/{} {} {}",
            plugin.namespace,
            plugin.name,
            request.method(),
            request.uri()
        );
        self.asked.lock().push(asked.clone());
        let answer = match request.uri().path() {
            "/never" => return Box::pin(std::future::pending()),
            "/lost" => Err(CalloutError::Failed("no endpoint".into())),
            "/list" => self
                .next
                .lock()
                .pop()
                .map(Bytes::from)
                .ok_or_else(|| CalloutError::Failed("gone".into())),
            _ => Ok(Bytes::from(asked)),
        };
        Box::pin(std::future::ready(answer.map(|body| CalloutAnswer {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body,
            trailers: HeaderMap::new(),
            own: request.uri().path() == "/nobody",
        })))
    }
}

fn granted(way: &Arc<Echo>) -> GrantedCalls {
    let callouts = Arc::new(Callouts::default());
    callouts.join(Arc::clone(way) as _);
    let caller = Caller {
        namespace: "default",
        name: "a",
    };
    GrantedCalls::new(
        caller,
        &["http://a.example".to_owned()],
        &callouts,
        &Tasks::new(),
    )
}

fn to(url: &str) -> Outgoing {
    Outgoing {
        method: "GET".into(),
        url: url.into(),
        ..Outgoing::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn only_granted_origins_are_called_and_every_failure_has_a_word() {
    let way = Arc::new(Echo::default());
    let calls = granted(&way);
    let answer = calls.send(to("http://a.example/x")).unwrap();
    assert_eq!(
        (answer.status, &answer.body[..]),
        (200, &b"default/a GET http://a.example/x"[..])
    );
    let hasty = Outgoing {
        timeout: Some(Duration::from_millis(1)),
        ..to("http://a.example/never")
    };
    let large = Outgoing {
        body: vec![0; MOST_BODY + 1],
        ..to("http://a.example/")
    };
    let odd = Outgoing {
        headers: vec![("a b".into(), String::new())],
        ..to("http://a.example/")
    };
    for (request, error) in [
        (to("http://b.example/"), OutsideError::NotGranted),
        (to("https://a.example/"), OutsideError::NotGranted),
        (to("/x"), OutsideError::Invalid),
        (odd, OutsideError::Invalid),
        (to("http://a.example/lost"), OutsideError::Unavailable),
        (to("http://a.example/nobody"), OutsideError::Unavailable),
        (large, OutsideError::TooLarge),
        (hasty, OutsideError::Timeout),
    ] {
        assert_eq!(calls.send(request), Err(error));
    }
    assert_eq!(way.asked.lock().len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_document_is_fetched_by_the_host_and_read_by_all() {
    let way = Arc::new(Echo::default());
    way.next.lock().extend(["second", "first"]);
    let calls = granted(&way);
    let hourly = Freshness {
        refresh: Duration::from_secs(3600),
        ttl: Duration::ZERO,
    };
    let read = |known| calls.document("http://a.example/list", hourly, known);
    let first = read(0).unwrap();
    assert_eq!(
        (first.revision, first.body.as_deref()),
        (1, Some(&b"first"[..]))
    );
    assert_eq!(read(1).unwrap().body, None);
    assert_eq!(way.asked.lock().len(), 1, "one task fetches for all");
    assert_eq!(
        calls.document("http://b.example/", hourly, 0),
        Err(OutsideError::NotGranted)
    );
}

#[test]
fn without_a_network_nothing_is_waited_for() {
    let calls = granted(&Arc::new(Echo::default()));
    assert_eq!(
        calls.send(to("http://a.example/")),
        Err(OutsideError::Unavailable)
    );
}
