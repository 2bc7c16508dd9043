//! `tls.frontend` of a Gateway: how clients of its HTTPS listeners prove themselves
//! (<https://gateway-api.sigs.k8s.io/geps/gep-91/>).

use std::sync::Arc;

use osier_api::Object;
use serde_json::Value;

use super::references::References;
use super::{Context, authority};
use osier_traffic::{Fields, Named, TlsMode, TlsSpec};

/// What a Gateway says of the clients of its ports.
#[derive(Default)]
pub(super) struct Frontend {
    default: Option<Proof>,
    ports: Vec<(u16, Option<Proof>)>,
}

/// How clients prove themselves.
pub(super) struct Proof {
    /// Where that is said.
    pub(super) field: String,
    /// Those who cannot are taken as well.
    insecure: bool,
    /// What their certificates are checked against; `None` if nothing that is named can be read.
    authorities: Option<Arc<[u8]>>,
}

impl Frontend {
    /// Reads `frontend` of a Gateway's `tls`.
    pub(super) fn read(tls: &mut Fields<'_>, context: Context<'_>) -> Self {
        let Some(mut frontend) = tls.object("frontend") else {
            return Self::default();
        };
        let default = frontend.object("default");
        let default = default.and_then(|mut tls| Proof::read(&mut tls, context));
        let mut ports = Vec::new();
        for mut one in frontend.objects("perPort") {
            let port = one.number("port");
            let proof = one
                .object("tls")
                .and_then(|mut tls| Proof::read(&mut tls, context));
            ports.extend(port.map(|port| (port, proof)));
        }
        Self { default, ports }
    }

    /// What counts for a port.
    pub(super) fn of(&self, port: u16) -> Option<&Proof> {
        let own = self.ports.iter().find(|(number, _)| *number == port);
        own.map_or(self.default.as_ref(), |(_, proof)| proof.as_ref())
    }

    /// Whether some clients are taken without a proof that was to be asked for.
    pub(super) fn is_insecure(&self) -> bool {
        let ports = self.ports.iter().filter_map(|(_, proof)| proof.as_ref());
        self.default.iter().chain(ports).any(|proof| proof.insecure)
    }
}

impl Proof {
    fn read(tls: &mut Fields<'_>, context: Context<'_>) -> Option<Self> {
        let mut validation = tls.object("validation")?;
        let from = (context.resource, context.namespace);
        let pem = authority::all(&mut validation, from, context.references);
        Some(Self {
            insecure: validation.text("mode") == Some("AllowInsecureFallback"),
            authorities: pem.map(|pem| pem.into_bytes().into()),
            field: validation.at(""),
        })
    }

    /// Whether no client can prove itself, although each must.
    pub(super) fn is_impossible(&self) -> bool {
        !self.insecure && self.authorities.is_none()
    }

    /// What it makes of a listener's TLS. A certificate that proves nothing is worse than none: where both are taken none is asked for.
    pub(super) fn apply(&self, tls: &mut TlsSpec) {
        if !self.insecure {
            tls.mode = TlsMode::Mutual;
            tls.given = Some(Named {
                secret: self.field.as_str().into(),
                value: self.authorities.clone(),
            });
        }
    }
}

/// The objects that `tls.frontend` of a Gateway depends on.
pub(super) fn needed(object: &Object, references: &References<'_>) -> Vec<Option<Arc<Object>>> {
    let Some(frontend) = object.get(&["spec", "tls", "frontend"]) else {
        return Vec::new();
    };
    let ports = frontend["perPort"].as_array().into_iter().flatten();
    let all = ports.map(|port| &port["tls"]).chain([&frontend["default"]]);
    let refs = all.map(|tls: &Value| &tls["validation"]["caCertificateRefs"]);
    refs.flat_map(|refs| authority::needed(refs, object.namespace(), references))
        .collect()
}
