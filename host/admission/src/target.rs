//! [`WebhookTarget`]: where a webhook is and whose certificates are believed there, as its `clientConfig` says, and what may be wrong
//! with one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use osier_api::Fault;
use osier_validation::At;
use serde_json::Value;

/// A webhook's place.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WebhookTarget {
    /// How it is reached.
    pub place: WebhookPlace,
    /// The authorities that are believed, in PEM; those of the machine without them.
    pub authorities: Option<String>,
}

/// How a webhook is reached; always over TLS.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum WebhookPlace {
    /// At a host of its own.
    Url {
        /// `host` or `host:port`.
        authority: String,
        /// The path, with its slash.
        path: String,
    },
    /// Behind a service of the cluster.
    Service {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// The service's port.
        port: u16,
        /// The path, with its slash.
        path: String,
    },
}

impl WebhookTarget {
    /// Reads a `clientConfig` that was found valid.
    pub fn read(config: &Value) -> Option<Self> {
        let bundle = config["caBundle"].as_str().filter(|text| !text.is_empty());
        let rooted = |path: &str| match path {
            "" => "/".to_owned(),
            path => path.to_owned(),
        };
        let place = match config["url"].as_str() {
            Some(url) => {
                let rest = url.strip_prefix("https://")?;
                let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                WebhookPlace::Url {
                    authority: authority.to_owned(),
                    path: rooted(path),
                }
            }
            None => {
                let service = &config["service"];
                let port = service["port"].as_u64().unwrap_or(443);
                WebhookPlace::Service {
                    namespace: service["namespace"].as_str()?.to_owned(),
                    name: service["name"].as_str()?.to_owned(),
                    port: u16::try_from(port).ok()?,
                    path: rooted(service["path"].as_str().unwrap_or_default()),
                }
            }
        };
        Some(Self {
            place,
            authorities: match bundle {
                Some(bundle) => Some(certificates(bundle)?),
                None => None,
            },
        })
    }
}

impl std::fmt::Display for WebhookTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.place {
            WebhookPlace::Url { authority, path } => write!(f, "https://{authority}{path}"),
            WebhookPlace::Service {
                namespace,
                name,
                port,
                path,
            } => write!(f, "https://{name}.{namespace}.svc:{port}{path}"),
        }
    }
}

const FORM: &str = "desired format: https://host[:port]/path";

/// Every fault of a `clientConfig` at a path.
pub fn client_config(config: &Value, path: &str) -> Vec<Fault> {
    let at = At {
        path: path.to_owned(),
        value: config,
    };
    let (url, service) = (at.at("url"), at.at("service"));
    let mut faults = Vec::new();
    match (url.is_present(), service.is_present()) {
        (true, false) => faults.extend(check_url(&url)),
        (false, true) => faults.extend(check_service(&service)),
        _ => faults.push(at.required("exactly one of url or service is required")),
    }
    let bundle = at.at("caBundle");
    if bundle.is_set() && certificates(bundle.text()).is_none() {
        let words = "unable to load root certificates: it must be certificates in PEM, written in base64 once more";
        faults.push(Fault::invalid(&bundle.path, "<data>", words));
    }
    faults
}

/// The certificates in a `caBundle`, in PEM.
fn certificates(bundle: &str) -> Option<String> {
    let pem = String::from_utf8(STANDARD.decode(bundle).ok()?).ok()?;
    let mut all = pem.split("-----BEGIN CERTIFICATE-----").skip(1).peekable();
    all.peek()?;
    let whole = all.all(|part| {
        let body = part.split_once("-----END CERTIFICATE-----");
        let body = body.map(|(body, _)| body.split_whitespace().collect::<String>());
        body.is_some_and(|body| !body.is_empty() && STANDARD.decode(body).is_ok())
    });
    whole.then_some(pem)
}

fn check_url(url: &At<'_>) -> Vec<Fault> {
    let text = url.text();
    let mut faults = Vec::new();
    let Some(rest) = text.strip_prefix("https://") else {
        let words = format!("'https' is the only allowed URL scheme; {FORM}");
        return vec![url.invalid(words)];
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let mut refuse = |words: &str| faults.push(url.invalid(format!("{words}; {FORM}")));
    if authority.is_empty() {
        refuse("host must be specified");
    }
    if authority.contains('@') {
        refuse("user information is not permitted in the URL");
    }
    if rest.contains('#') {
        refuse("fragments are not permitted in the URL");
    }
    if rest.contains('?') {
        refuse("query parameters are not permitted in the URL");
    }
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let port = host
        .rsplit_once(':')
        .filter(|(_, port)| !port.ends_with(']'));
    if port.is_some_and(|(_, port)| port.parse::<u16>().is_err()) {
        refuse("the port must be a number from 1 to 65535");
    }
    if text
        .chars()
        .any(|letter| letter.is_control() || letter == ' ')
    {
        refuse("the URL must not contain spaces");
    }
    faults
}

fn check_service(service: &At<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    for field in ["name", "namespace"] {
        let at = service.at(field);
        if !at.is_set() {
            faults.push(at.required(&format!("service {field} is required")));
        }
    }
    let (path, port) = (service.at("path"), service.at("port"));
    let text = path.text();
    if path.is_set() && !text.starts_with('/') {
        faults.push(path.invalid("must start with a '/'"));
    } else if text.len() > 1
        && text[1..]
            .trim_end_matches('/')
            .split('/')
            .any(str::is_empty)
    {
        faults.push(path.invalid("segments must not be empty"));
    }
    let fits = |port: i64| (1..=65_535).contains(&port);
    if port.int().is_some_and(|port| !fits(port)) {
        faults.push(port.invalid("port is not valid: must be between 1 and 65535, inclusive"));
    }
    faults
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_place_is_one_url_or_one_service() {
        let told = |config: Value| {
            let faults = client_config(&config, "c");
            faults.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let good = [
            json!({"url": "https://a.example.com:8443/path"}),
            json!({"url": "https://[::1]:8443"}),
            json!({"service": {"name": "a", "namespace": "b", "path": "/x/y", "port": 8443}}),
        ];
        for config in good {
            assert_eq!(told(config.clone()), Vec::<String>::new(), "{config}");
        }
        for (config, words) in [
            (
                json!({}),
                "c: Required value: exactly one of url or service is required",
            ),
            (
                json!({"url": "http://a"}),
                "'https' is the only allowed URL scheme",
            ),
            (json!({"url": "https://"}), "host must be specified"),
            (
                json!({"url": "https://u:p@a"}),
                "user information is not permitted",
            ),
            (
                json!({"url": "https://a/#b"}),
                "fragments are not permitted",
            ),
            (
                json!({"url": "https://a/?b"}),
                "query parameters are not permitted",
            ),
            (json!({"url": "https://a:b"}), "the port must be a number"),
            (
                json!({"service": {"namespace": "b"}}),
                "c.service.name: Required value",
            ),
            (
                json!({"service": {"name": "a", "namespace": "b", "path": "x"}}),
                "must start with a '/'",
            ),
            (
                json!({"service": {"name": "a", "namespace": "b", "path": "/x//y"}}),
                "segments must not be empty",
            ),
            (
                json!({"url": "https://a", "caBundle": "eA=="}),
                "unable to load root certificates",
            ),
        ] {
            let told = told(config);
            assert!(told.len() == 1 && told[0].contains(words), "{told:?}");
        }
    }

    #[test]
    fn a_target_says_where_it_is() {
        let shown = |config: Value| WebhookTarget::read(&config).map(|target| target.to_string());
        let url = shown(json!({"url": "https://a.example.com"}));
        assert_eq!(url.as_deref(), Some("https://a.example.com/"));
        let service = shown(json!({"service": {"name": "a", "namespace": "b", "path": "/x"}}));
        assert_eq!(service.as_deref(), Some("https://a.b.svc:443/x"));
    }
}
