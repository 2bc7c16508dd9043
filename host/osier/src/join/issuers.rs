//! The way to issuers that are services of the mesh: through the one door of this process's node, as the control plane.

use http::{HeaderMap, Request, Response, Uri};
use osier_api::Object;
use osier_issuers::Inside;
use osier_process::Boxed;
use osier_process::body::{self, Body};
use osier_proxy::{Proxy, Source};
use osier_snapshot::Workload;
use serde_json::json;
use std::sync::Arc;

/// The namespace as which names are understood.
const NAMESPACE: &str = "osier-system";
/// Who calls: no pod can have this name.
const CALLER: &str = "osier:issuers";

/// The mesh as the one who fetches keys sees it.
pub(crate) struct MeshIssuers {
    /// The door.
    pub(crate) proxy: Arc<Proxy>,
    /// The trust domain of the caller.
    pub(crate) domain: String,
}

impl MeshIssuers {
    fn caller(&self) -> Option<Arc<Workload>> {
        let stand_in = json!({
            "metadata": {"name": CALLER, "namespace": NAMESPACE, "uid": CALLER},
            "spec": {"serviceAccountName": "issuers"},
        });
        let object = Object::from_value(stand_in).ok()?;
        Some(osier_snapshot::workload(&object, &self.domain))
    }
}

impl Inside for MeshIssuers {
    fn send(&self, uri: &Uri, headers: &HeaderMap) -> Option<Boxed<'static, Response<Body>>> {
        let snapshot = self.proxy.snapshot();
        let _known = snapshot.service(uri.host()?, Some(NAMESPACE))?;
        let source = Source::Pod(self.caller()?);
        let mut request = Request::new(body::empty());
        *request.uri_mut() = uri.clone();
        *request.headers_mut() = headers.clone();
        let proxy = Arc::clone(&self.proxy);
        Some(Box::pin(async move { proxy.handle(source, request).await }))
    }
}
