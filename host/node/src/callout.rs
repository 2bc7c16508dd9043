//! Calls of plugins: each goes through the one door, as a workload of the plugin's name.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request};
use http_body_util::BodyExt as _;
use osier_api::Object;
use osier_policy::{Caller, Callout, CalloutAnswer, CalloutBounds, CalloutError};
use osier_process::Boxed;
use osier_process::body::{Body, full};
use osier_proxy::{Own, Proxy, Source};
use osier_snapshot::Workload;
use serde_json::json;

/// The network as plugins see it.
pub(crate) struct PluginEgress {
    pub(crate) proxy: Arc<Proxy>,
    pub(crate) trust_domain: String,
}

impl PluginEgress {
    /// Who calls: not a pod, so that no pod can have its name.
    fn caller(&self, plugin: Caller<'_>) -> Option<Arc<Workload>> {
        let name = osier_policy::caller_name(plugin.name);
        let stand_in = json!({
            "metadata": {"name": name, "namespace": plugin.namespace, "uid": name},
            "spec": {"serviceAccountName": name},
        });
        let object = Object::from_value(stand_in).ok()?;
        Some(osier_snapshot::workload(&object, &self.trust_domain))
    }
}

impl Callout for PluginEgress {
    fn send(
        &self,
        plugin: Caller<'_>,
        request: Request<Bytes>,
        bounds: CalloutBounds,
    ) -> Boxed<'static, Result<CalloutAnswer, CalloutError>> {
        let (proxy, caller) = (Arc::clone(&self.proxy), self.caller(plugin));
        Box::pin(async move {
            let caller = caller
                .ok_or_else(|| CalloutError::Failed("the plugin has no identity".to_owned()))?;
            let response = proxy.handle(Source::Pod(caller), request.map(full)).await;
            let (head, body) = response.into_parts();
            let own = head.extensions.get::<Own>().is_some();
            let (body, trailers) = whole(body, bounds.body).await?;
            Ok(CalloutAnswer {
                status: head.status,
                headers: head.headers,
                body,
                trailers,
                own,
            })
        })
    }
}

async fn whole(mut body: Body, limit: usize) -> Result<(Bytes, HeaderMap), CalloutError> {
    let (mut data, mut trailers) = (BytesMut::new(), HeaderMap::new());
    while let Some(frame) = body.frame().await {
        let frame = frame
            .map_err(|error| CalloutError::Failed(format!("the answer broke off: {error}")))?;
        match frame.into_data() {
            Ok(part) if data.len() + part.len() > limit => {
                return Err(CalloutError::TooLarge(limit));
            }
            Ok(part) => data.extend_from_slice(&part),
            Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
        }
    }
    Ok((data.freeze(), trailers))
}
