//! What an answer means for the call.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, header};

use super::{CompiledPolicy, Permission};
use crate::plugin::Plugin;
use crate::template::Answer;
use crate::verdict::Denial;

impl CompiledPolicy {
    /// What the permission brings along, or the denial.
    pub(super) fn verdict(
        &self,
        plugin: &Plugin,
        answer: Answer,
    ) -> Result<Permission, Box<Denial>> {
        match answer {
            Answer::Allow {
                request,
                response,
                output,
                ..
            } => Ok(([request, response], output)),
            Answer::Granted {
                amount: 1..,
                response,
                ..
            } => Ok(([Vec::new(), response], None)),
            // The compiler binds generators elsewhere: what they tell is no permission.
            Answer::Generated { .. } => Err(self.failed(
                plugin.label().clone(),
                "attributes were told where a decision was asked for".into(),
            )),
            Answer::Granted { .. } => {
                Err(self.refused(plugin, "nothing was granted".into(), None, Vec::new()))
            }
            Answer::Refused {
                reason,
                retry_after,
                headers,
            } => Err(self.refused(plugin, reason, retry_after, headers)),
            Answer::Deny {
                status,
                reason,
                headers,
                body,
                ..
            } => Err(Box::new(Denial {
                status,
                headers,
                body: Bytes::from(body),
                policy: self.label.clone(),
                plugin: plugin.label().clone(),
                reason,
                failed: false,
                decisions: Vec::new(),
            })),
        }
    }

    /// Quota's refusal: 429, and when to come back.
    fn refused(
        &self,
        plugin: &Plugin,
        reason: String,
        retry_after: Option<Duration>,
        mut headers: Vec<(HeaderName, HeaderValue)>,
    ) -> Box<Denial> {
        if let Some(time) = retry_after {
            // Whole seconds, rounded up: coming back early would only be refused again.
            let seconds = time.as_millis().div_ceil(1000).max(1);
            let seconds = HeaderValue::from(u64::try_from(seconds).unwrap_or(u64::MAX));
            headers.push((header::RETRY_AFTER, seconds));
        }
        Box::new(Denial {
            status: 429,
            headers,
            body: Bytes::from_static(b"Too many requests.\n"),
            policy: self.label.clone(),
            plugin: plugin.label().clone(),
            reason,
            failed: false,
            decisions: Vec::new(),
        })
    }
}
