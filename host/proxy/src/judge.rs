//! How the end of a call speaks for or against its endpoint (outlier detection), and what is told of it.

use http::{HeaderMap, StatusCode};
use osier_snapshot::{Cluster, Judgement, Sign};

use osier_upstream::Failure;

/// How a call ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ended<'a> {
    /// With an answer, or with these trailers of one.
    Answered(StatusCode, &'a HeaderMap),
    /// With a connection, where no more was asked for.
    Connected,
    /// Without one.
    Failed(&'a Failure),
}

/// Tells the endpoint at `place` how a call to it ended. Few clusters judge, so the clock is read only for those.
pub(crate) fn judge(cluster: &Cluster, place: usize, ended: Ended<'_>, now: impl FnOnce() -> u64) {
    let Some(policy) = &cluster.balancing.outlier else {
        return;
    };
    let Some(sign) = sign(ended) else {
        return;
    };
    let all = (policy, cluster.health.as_slice());
    let judgement = cluster.ejections.judge(all, (place, sign), now());
    let Some(endpoint) = cluster.endpoints.get(place) else {
        return;
    };
    let workload = &endpoint.workload;
    let (name, namespace) = (&*workload.name, &*workload.namespace);
    match judgement {
        Judgement::Unchanged => {}
        Judgement::Ejected { by, time } => tracing::warn!(
            cluster = &*cluster.name,
            endpoint = name,
            namespace,
            port = endpoint.port,
            detector = by.name(),
            seconds = time.as_secs_f64(),
            "an endpoint that fails gets no calls for a while (outlierDetection)"
        ),
        Judgement::Spared(by) => tracing::debug!(
            cluster = &*cluster.name,
            endpoint = name,
            namespace,
            detector = by.name(),
            "an endpoint fails, but no more may be left out (maxEjectionPercent)"
        ),
    }
}

/// `None` says nothing about the endpoint: it was never called.
fn sign(ended: Ended<'_>) -> Option<Sign> {
    match ended {
        Ended::Failed(Failure::Overloaded(_)) => None,
        Ended::Failed(_) => Some(Sign::NoAnswer),
        Ended::Connected => Some(Sign::Good),
        Ended::Answered(status, headers) => {
            let status = grpc(headers).unwrap_or(status.as_u16());
            Some(if status >= 500 {
                Sign::ServerError(status)
            } else {
                Sign::Good
            })
        }
    }
}

/// A gRPC answer without a message has its status in its head; the HTTP status that stands for it
/// (<https://cloud.google.com/apis/design/errors#generating_errors>).
fn grpc(headers: &HeaderMap) -> Option<u16> {
    let status = headers.get("grpc-status")?.to_str().ok()?;
    Some(match status.parse::<u8>().ok()? {
        2 | 13 | 15 => 500,
        4 => 504,
        12 => 501,
        14 => 503,
        _ => 200,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_are_what_the_endpoint_is_to_blame_for() {
        let none = HeaderMap::new();
        let answered = |status| sign(Ended::Answered(status, &none));
        assert_eq!(answered(StatusCode::NOT_FOUND), Some(Sign::Good));
        assert_eq!(
            answered(StatusCode::BAD_GATEWAY),
            Some(Sign::ServerError(502))
        );
        let failed = |failure: Failure| sign(Ended::Failed(&failure));
        assert_eq!(failed(Failure::Reset("x".into())), Some(Sign::NoAnswer));
        assert_eq!(failed(Failure::Overloaded("x".into())), None);
    }

    #[test]
    fn a_grpc_status_counts_as_its_http_status() {
        let with = |status: &'static str| {
            let headers = HeaderMap::from_iter([(
                http::HeaderName::from_static("grpc-status"),
                http::HeaderValue::from_static(status),
            )]);
            sign(Ended::Answered(StatusCode::OK, &headers))
        };
        assert_eq!(with("14"), Some(Sign::ServerError(503)));
        assert_eq!(with("5"), Some(Sign::Good));
        assert_eq!(with("?"), Some(Sign::Good));
    }
}
