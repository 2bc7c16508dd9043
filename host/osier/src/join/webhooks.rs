//! How the API server's questions come to the programs outside that people register.

use bytes::Bytes;
use osier_apiserver::{WebhookCall, Webhooks};
use osier_client::{Question, Questions};
use osier_process::{Boxed, Tasks};

/// The API's door to webhooks.
pub(crate) struct Outside(Questions);

impl Outside {
    /// Connections end with the tasks.
    pub(crate) fn new(tasks: Tasks) -> Self {
        Self(Questions::new(tasks))
    }
}

impl Webhooks for Outside {
    fn call(&self, call: WebhookCall) -> Boxed<'_, Result<Bytes, String>> {
        let question = Question {
            addresses: call.addresses,
            server_name: call.server_name,
            host: call.host,
            path: call.path,
            authorities: call.authorities,
            body: call.body,
            timeout: call.timeout,
        };
        Box::pin(self.0.ask(question))
    }
}
