//! Whether a failed try is worth another one. Pure.

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use osier_snapshot::RetryOn;

use osier_upstream::Failure;

/// How one try ended, as far as a retry policy looks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome<'a> {
    /// There was a response.
    Answered(StatusCode, &'a HeaderMap),
    /// There was none.
    Failed(&'a Failure),
}

/// Whether the policy asks for another try.
pub(crate) fn worth(on: &RetryOn, outcome: Outcome<'_>) -> bool {
    match outcome {
        Outcome::Answered(status, headers) => {
            status_is_worth(on, status.as_u16()) || headers_are_worth(on, headers)
        }
        Outcome::Failed(error) => {
            on.server_error
                || match error {
                    Failure::Unreachable(_) => on.connect_failure || on.gateway_error,
                    Failure::Overloaded(_) => on.refused || on.gateway_error,
                    Failure::Reset(_) | Failure::Protocol(_) => on.reset || on.gateway_error,
                    Failure::Timeout(_) => on.gateway_error,
                }
        }
    }
}

fn status_is_worth(on: &RetryOn, status: u16) -> bool {
    (on.server_error && (500..600).contains(&status))
        || (on.gateway_error && (502..=504).contains(&status))
        || (on.conflict && status == 409)
        || on.status.contains(&status)
}

fn headers_are_worth(on: &RetryOn, headers: &HeaderMap) -> bool {
    if !on.grpc.is_empty() {
        let code = headers
            .get("grpc-status")
            .and_then(|value| value.to_str().ok())
            .and_then(|text| text.parse().ok());
        if code.is_some_and(|code: u8| on.grpc.contains(&code)) {
            return true;
        }
    }
    on.headers.iter().any(|name| headers.contains_key(name))
}

/// The longest `Retry-After` that is waited for; a server that asks for more gets its way: its answer stands.
const LONGEST_REQUESTED: Duration = Duration::from_secs(5);

/// How many times the interval a wait grows at most.
const GROWTH: u32 = 10;

/// The wait before repetition number `number`, counted from 1: a random part of an interval that grows as Envoy's does,
/// `(2^n - 1) * base`. A try that was never started is repeated at once.
pub(crate) fn back_off(base: Duration, number: u32, started: bool, random: f64) -> Duration {
    if !started {
        return Duration::ZERO;
    }
    let steps = (1u32 << number.min(GROWTH)) - 1;
    base.saturating_mul(steps.min(GROWTH)).mul_f64(random)
}

/// The wait that an answer asks for in `Retry-After` (whole seconds, RFC 9110, 10.2.3), if it does.
pub(crate) fn requested(outcome: Outcome<'_>) -> Option<Duration> {
    let Outcome::Answered(_, headers) = outcome else {
        return None;
    };
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// Whether a requested wait is worth it.
pub(crate) fn is_short(wait: Duration) -> bool {
    wait <= LONGEST_REQUESTED
}

#[cfg(test)]
mod tests {
    use super::*;
    use osier_upstream::PodError;

    fn on(change: impl FnOnce(&mut RetryOn)) -> RetryOn {
        let mut on = RetryOn::default();
        change(&mut on);
        on
    }

    #[test]
    fn conditions_cover_what_their_words_say() {
        let none = HeaderMap::new();
        let answered = |on: &RetryOn, code: u16| {
            worth(
                on,
                Outcome::Answered(StatusCode::from_u16(code).unwrap_or_default(), &none),
            )
        };
        let server_error = on(|on| on.server_error = true);
        assert!(
            answered(&server_error, 500)
                && answered(&server_error, 599)
                && !answered(&server_error, 404)
        );
        let gateway = on(|on| on.gateway_error = true);
        assert!(answered(&gateway, 502) && answered(&gateway, 504) && !answered(&gateway, 500));
        assert!(answered(&on(|on| on.status.push(418)), 418));
        assert!(answered(&on(|on| on.conflict = true), 409));
        assert!(!answered(&RetryOn::default(), 503));
    }

    #[test]
    fn failures_differ_by_whether_they_were_started() {
        let failed = |on: &RetryOn, error: PodError| worth(on, Outcome::Failed(&error.into()));
        let default = osier_snapshot::Retries::default().on;
        assert!(failed(&default, PodError::NotHere));
        assert!(failed(&default, PodError::Overloaded));
        assert!(!failed(
            &default,
            PodError::Failed {
                reason: "trap".into()
            }
        ));
        assert!(!failed(&default, PodError::Timeout));
        assert!(failed(
            &on(|on| on.reset = true),
            PodError::Failed {
                reason: "trap".into()
            }
        ));
        assert!(failed(&on(|on| on.server_error = true), PodError::Timeout));
    }

    #[test]
    fn a_grpc_status_in_the_head_counts() {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-status", http::HeaderValue::from_static("14"));
        let on = on(|on| on.grpc.push(14));
        assert!(worth(&on, Outcome::Answered(StatusCode::OK, &headers)));
        headers.insert("grpc-status", http::HeaderValue::from_static("0"));
        assert!(!worth(&on, Outcome::Answered(StatusCode::OK, &headers)));
    }

    #[test]
    fn waits_grow_and_are_bounded() {
        let wait =
            |number, started| back_off(Duration::from_millis(25), number, started, 1.0).as_millis();
        assert_eq!(wait(1, false), 0);
        assert_eq!(
            [1, 2, 3, 4, 30].map(|number| wait(number, true)),
            [25, 75, 175, 250, 250]
        );
        assert_eq!(
            back_off(Duration::from_millis(25), 3, true, 0.0),
            Duration::ZERO
        );
    }

    #[test]
    fn a_server_may_ask_for_a_wait() {
        let asks = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, http::HeaderValue::from_static(text));
            requested(Outcome::Answered(StatusCode::SERVICE_UNAVAILABLE, &headers))
        };
        assert_eq!(asks("2"), Some(Duration::from_secs(2)));
        assert_eq!(asks("Wed, 21 Oct 2026 07:28:00 GMT"), None);
        assert!(is_short(Duration::from_secs(5)) && !is_short(Duration::from_secs(6)));
    }
}
