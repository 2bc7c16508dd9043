//! Protobuf bodies, which current `kubectl create ...` commands send for the kinds they have types for.
//!
//! The reader is driven by tables of fields (`messages`), so that another kind is another table. A field that the table
//! does not have is refused, never dropped: the caller would believe that it was stored.

mod messages;
mod wire;
mod workloads;

use osier_api::Status;
use serde_json::Value;

use messages::{DELETE_OPTIONS, Shape, kind};
use wire::{Malformed, Reader};

/// The type of such bodies.
pub const MEDIA: &str = "application/vnd.kubernetes.protobuf";

const MAGIC: &[u8] = b"k8s\0";

/// Reads a body: an envelope with the kind, and the object in it.
pub fn decode(bytes: &[u8]) -> Result<Value, Status> {
    let broken = |error: Malformed| {
        Status::bad_request(format!("the protobuf body cannot be read: {error}"))
    };
    let inside = bytes
        .strip_prefix(MAGIC)
        .ok_or_else(|| broken(Malformed::NoMagic))?;
    let envelope = envelope(inside).map_err(broken)?;
    let shape = match (envelope.api_version.as_str(), envelope.kind.as_str()) {
        (_, "DeleteOptions") => DELETE_OPTIONS,
        (version, name) => kind(version, name)
            .or_else(|| workloads::kind(version, name))
            .ok_or_else(|| unsupported(name))?,
    };
    let mut value = wire::message(shape, envelope.raw).map_err(broken)?;
    value["apiVersion"] = envelope.api_version.into();
    value["kind"] = envelope.kind.into();
    Ok(value)
}

fn unsupported(kind: &str) -> Status {
    let read = messages::names().join(", ");
    let words = format!(
        "a {kind} is not read from protobuf, only {read}, workloads and most kinds of Kubernetes; send it as application/json"
    );
    Status::new(415, "UnsupportedMediaType", words)
}

/// `runtime.Unknown`.
struct Envelope<'a> {
    api_version: String,
    kind: String,
    raw: &'a [u8],
}

fn envelope(bytes: &[u8]) -> Result<Envelope<'_>, Malformed> {
    const TYPE_META: Shape = &[messages::text(1, "apiVersion"), messages::text(2, "kind")];
    let (mut meta, mut raw) = (Value::Null, &bytes[..0]);
    let mut reader = Reader::new(bytes);
    while let Some((number, field)) = reader.next()? {
        match number {
            1 => meta = wire::message(TYPE_META, field.bytes()?)?,
            2 => raw = field.bytes()?,
            _ => {}
        }
    }
    let text = |name: &str| meta[name].as_str().unwrap_or_default().to_owned();
    Ok(Envelope {
        api_version: text("apiVersion"),
        kind: text("kind"),
        raw,
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use serde_json::json;

    use super::*;

    /// A length-delimited field.
    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![number << 3 | 2, content.len() as u8];
        bytes.extend_from_slice(content);
        bytes
    }

    fn body(kind: &str, raw: &[u8]) -> Vec<u8> {
        let meta = [field(1, b"v1"), field(2, kind.as_bytes())].concat();
        [MAGIC.to_vec(), field(1, &meta), field(2, raw)].concat()
    }

    #[test]
    fn a_config_map_as_kubectl_writes_it() {
        let label = [field(1, b"app"), field(2, b"x")].concat();
        let metadata = [
            field(1, b"cm"),
            field(2, b""),
            field(8, b""),
            field(11, &label),
        ]
        .concat();
        let entry = [field(1, b"key"), field(2, b"value")].concat();
        let raw = [field(1, &metadata), field(2, &entry)].concat();
        assert_eq!(
            decode(&body("ConfigMap", &raw)).unwrap(),
            json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"name": "cm", "labels": {"app": "x"}},
                "data": {"key": "value"},
            })
        );
    }

    #[test]
    fn numbers_ports_and_bytes() {
        let port = [
            vec![3 << 3, 0x90, 0x3f],
            field(4, &[1 << 3, 1, 3 << 3 | 2, 1, b'w']),
        ]
        .concat();
        let raw = field(2, &field(1, &port));
        let service = decode(&body("Service", &raw)).unwrap();
        assert_eq!(
            service["spec"]["ports"],
            json!([{"port": 8080, "targetPort": "w"}])
        );
        let entry = [field(1, b"k"), field(2, &[0xff])].concat();
        let secret = decode(&body("Secret", &field(2, &entry))).unwrap();
        assert_eq!(secret["data"], json!({"k": "/w=="}));
    }

    #[test]
    fn a_deployment_with_zeros_that_mean_something() {
        let quantity = [field(1, b"cpu"), field(2, &field(1, b"250m"))].concat();
        let container = [field(1, b"web"), field(8, &field(1, &quantity))].concat();
        let probe = field(1, &field(2, &field(2, &[1 << 3, 0, 2 << 3, 80])));
        let container = [container, field(11, &probe)].concat();
        let template = field(2, &[field(2, &container), vec![11 << 3, 0]].concat());
        let surge = field(2, &field(2, &[1 << 3, 0, 2 << 3, 0, 3 << 3 | 2, 0]));
        let spec = [
            vec![1 << 3, 0],
            field(3, &template),
            field(4, &surge),
            vec![5 << 3, 0],
        ];
        let meta = [field(1, b"apps/v1"), field(2, b"Deployment")].concat();
        let raw = field(2, &spec.concat());
        let body = [MAGIC.to_vec(), field(1, &meta), field(2, &raw)].concat();
        assert_eq!(
            decode(&body).unwrap()["spec"],
            json!({"replicas": 0, "strategy": {"rollingUpdate": {"maxSurge": 0}}, "template": {"spec": {"containers":
                [{"name": "web", "resources": {"limits": {"cpu": "250m"}}, "readinessProbe": {"httpGet": {"port": 80}}}]}}})
        );
    }

    #[test]
    fn what_is_not_in_the_tables_is_refused() {
        assert_eq!(
            decode(&body("Deployment", b"")).unwrap_err().code,
            415,
            "not in v1"
        );
        let refusal = decode(&body("ConfigMap", &field(9, b"x"))).unwrap_err();
        assert!(refusal.message.contains("field 9"), "{}", refusal.message);
        assert_eq!(decode(b"{}").unwrap_err().code, 400);
        assert_eq!(
            decode(&body("ConfigMap", &[0x12, 0x7f])).unwrap_err().code,
            400
        );
    }
}
