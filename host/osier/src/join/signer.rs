//! The controllers' signer: the cluster's authority.

use osier_control::{Requested, Signer};
use osier_identity::{Authority, Subject};
use std::sync::Arc;
use std::time::Duration;

/// Signs with the authority of this data directory.
pub(crate) struct AuthoritySigner(pub(crate) Arc<Authority>);

impl Signer for AuthoritySigner {
    fn requested(&self, request_pem: &str) -> Result<Requested, String> {
        let subject = osier_identity::requested(request_pem).map_err(|error| error.to_string())?;
        Ok(Requested {
            common_name: subject.common_name,
            organizations: subject.organizations,
            names: subject.names,
            spiffe: subject.spiffe,
        })
    }

    fn certify(
        &self,
        request_pem: &str,
        subject: &Requested,
        life: Duration,
    ) -> Result<String, String> {
        let subject = Subject {
            common_name: subject.common_name.clone(),
            organizations: subject.organizations.clone(),
            names: subject.names.clone(),
            spiffe: subject.spiffe.clone(),
        };
        let certified = self.0.certify(request_pem, &subject, life);
        certified.map_err(|error| error.to_string())
    }
}
