//! A call written down: attributes as a JSON or YAML object, given back as the borrowed view that the data plane builds. What fixtures and
//! recordings are made of.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value as Json};

use osier_policy::{
    Api, Attributes, Authentication, Checked, Connection, Context, Destination, Extra, Fault, Peer,
    Request, Response, Texts, Type, Vocabulary, nanoseconds,
};

/// Attributes that are made of others: name and what to write instead.
const DERIVED: [(&str, &str); 12] = [
    ("source.uid", "source.name and source.namespace"),
    (
        "source.workload.uid",
        "source.workload.name and source.namespace",
    ),
    ("source.workload.namespace", "source.namespace"),
    (
        "destination.uid",
        "destination.name and destination.namespace",
    ),
    (
        "destination.workload.uid",
        "destination.workload.name and destination.namespace",
    ),
    ("destination.workload.namespace", "destination.namespace"),
    (
        "destination.service.uid",
        "destination.service.name and destination.service.namespace",
    ),
    ("request.url_path", "request.path"),
    ("request.query_params", "request.path"),
    ("request.referer", "request.headers"),
    ("request.useragent", "request.headers"),
    (
        "context.reporter.uid",
        "context.reporter.kind and the names of source or destination",
    ),
];

/// The attributes of one call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recorded {
    values: BTreeMap<String, Recording>,
}

#[derive(Clone, Debug, PartialEq)]
enum Recording {
    Text(String),
    Whole(i64),
    Real(f64),
    Flag(bool),
    Address(IpAddr),
    Moment(SystemTime),
    Span(Duration),
    Texts(BTreeMap<String, String>),
}

impl Recorded {
    /// Reads attributes from an object with dotted or nested names: `{"request.method": "GET"}` or `{"request": {"method": "GET"}}`. What is
    /// not named is absent; method, path, scheme and protocol are then `GET`, `/`, `http` and `http`.
    ///
    /// # Errors
    /// Every wrong name or value at once, with its path below `path`.
    pub fn read(
        attributes: &Json,
        path: &str,
        vocabulary: &Vocabulary,
    ) -> Result<Self, Vec<Fault>> {
        let mut reader = Reader {
            vocabulary,
            values: BTreeMap::new(),
            faults: Vec::new(),
            root: path,
        };
        match attributes {
            Json::Null => {}
            Json::Object(object) => reader.object("", object),
            _ => reader.fault("", "must be an object of attributes".to_owned()),
        }
        if reader.faults.is_empty() {
            Ok(Self {
                values: reader.values,
            })
        } else {
            Err(reader.faults)
        }
    }

    /// States a text that was not stated.
    pub fn or_text(&mut self, name: &str, text: &str) {
        let missing = || Recording::Text(text.to_owned());
        self.values.entry(name.to_owned()).or_insert_with(missing);
    }

    /// States a map of texts that was not stated.
    pub fn or_texts(&mut self, name: &str, texts: &BTreeMap<String, String>) {
        let missing = || Recording::Texts(texts.clone());
        self.values.entry(name.to_owned()).or_insert_with(missing);
    }

    /// Values of attributes outside the standard vocabulary, each at its place: what [`Attributes::extra`] borrows.
    pub fn extra(&self, vocabulary: &Vocabulary) -> Vec<Extra<'_>> {
        let mut extra = Vec::new();
        for info in vocabulary.iter() {
            let (Some(place), Some(value)) = (info.place(), self.values.get(&info.name)) else {
                continue;
            };
            extra.resize(extra.len().max(place + 1), Extra::Absent);
            extra[place] = value.extra();
        }
        extra
    }

    /// The view that policies are asked with.
    pub fn attributes(&self) -> Attributes<'_> {
        Attributes {
            source: self.peer([
                "source.name",
                "source.namespace",
                "source.principal",
                "source.owner",
                "source.workload.name",
                "source.ip",
                "source.labels",
            ]),
            destination: self.destination(),
            origin_ip: self.address("origin.ip"),
            request: self.request(),
            response: self.response(),
            connection: self.connection(),
            context: Context {
                protocol: self.text("context.protocol").unwrap_or("http"),
                http_version: None,
                reporter_kind: self.text("context.reporter.kind").unwrap_or("inbound"),
                reporter: self.reporter(),
                proxy_error_code: self.text("context.proxy_error_code"),
                time: self.moment("context.time"),
            },
            api: Api {
                service: self.text("api.service"),
                version: self.text("api.version"),
                operation: self.text("api.operation"),
                protocol: self.text("api.protocol"),
            },
            checked: Checked {
                error_code: self.whole("check.error_code"),
                error_message: self.text("check.error_message"),
                cache_hit: self.flag("check.cache_hit"),
                quota_cache_hit: self.flag("quota.cache_hit"),
            },
            ..Attributes::default()
        }
    }

    /// The pod that sees the call from the side of `context.reporter.kind`.
    fn reporter(&self) -> Option<[&str; 2]> {
        let names = match self.text("context.reporter.kind") {
            Some("outbound") => ["source.name", "source.namespace"],
            _ => ["destination.name", "destination.namespace"],
        };
        let [name, namespace] = names.map(|name| self.text(name));
        Some([name?, namespace?])
    }

    fn peer(&self, names: [&str; 7]) -> Peer<'_> {
        let [name, namespace, principal, owner, workload, ip, labels] = names;
        Peer {
            name: self.text(name),
            namespace: self.text(namespace),
            principal: self.text(principal),
            owner: self.text(owner),
            controller: None,
            workload: self.text(workload),
            ip: self.address(ip),
            labels: self.texts(labels).unwrap_or_default(),
        }
    }

    fn destination(&self) -> Destination<'_> {
        Destination {
            peer: self.peer([
                "destination.name",
                "destination.namespace",
                "destination.principal",
                "destination.owner",
                "destination.workload.name",
                "destination.ip",
                "destination.labels",
            ]),
            port: self.count("destination.port"),
            container_name: self.text("destination.container.name"),
            container_image: self.text("destination.container.image"),
            service_name: self.text("destination.service.name"),
            service_namespace: self.text("destination.service.namespace"),
            service_host: self.text("destination.service.host"),
        }
    }

    fn request(&self) -> Request<'_> {
        Request {
            id: self.text("request.id").unwrap_or("recorded"),
            path: self.text("request.path").unwrap_or("/"),
            host: self.text("request.host").unwrap_or_default(),
            method: self.text("request.method").unwrap_or("GET"),
            scheme: self.text("request.scheme").unwrap_or("http"),
            headers: self.texts("request.headers").unwrap_or_default(),
            size: self.count("request.size"),
            total_size: self.count("request.total_size"),
            time: self.moment("request.time"),
            reason: self.text("request.reason"),
            api_key: self.text("request.api_key"),
            auth: Authentication {
                principal: self.text("request.auth.principal"),
                audiences: self.text("request.auth.audiences"),
                presenter: self.text("request.auth.presenter"),
                claims: self.texts("request.auth.claims").unwrap_or_default(),
            },
        }
    }

    fn response(&self) -> Response<'_> {
        Response {
            headers: self.texts("response.headers"),
            size: self.count("response.size"),
            total_size: self.count("response.total_size"),
            code: self.count("response.code"),
            time: self.moment("response.time"),
            duration: self.span("response.duration"),
            grpc_status: self.text("response.grpc_status"),
            grpc_message: self.text("response.grpc_message"),
        }
    }

    fn connection(&self) -> Connection<'_> {
        let bytes = |last: &str, all: &str| {
            let (last, all) = (self.count(last), self.count(all));
            Some((last.or(all)?, all.or(last)?))
        };
        Connection {
            id: self.text("connection.id"),
            event: self.text("connection.event"),
            requested_server_name: self.text("connection.requested_server_name"),
            received: bytes(
                "connection.received.bytes",
                "connection.received.bytes_total",
            ),
            sent: bytes("connection.sent.bytes", "connection.sent.bytes_total"),
            duration: self.span("connection.duration"),
            mtls: self.flag("connection.mtls").unwrap_or_default(),
        }
    }

    /// A text, if it was stated.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.values.get(name)? {
            Recording::Text(text) => Some(text),
            _ => None,
        }
    }

    fn whole(&self, name: &str) -> Option<i64> {
        match self.values.get(name)? {
            Recording::Whole(value) => Some(*value),
            _ => None,
        }
    }

    fn count<T: TryFrom<i64>>(&self, name: &str) -> Option<T> {
        T::try_from(self.whole(name)?).ok()
    }

    fn flag(&self, name: &str) -> Option<bool> {
        match self.values.get(name)? {
            Recording::Flag(value) => Some(*value),
            _ => None,
        }
    }

    fn address(&self, name: &str) -> Option<IpAddr> {
        match self.values.get(name)? {
            Recording::Address(address) => Some(*address),
            _ => None,
        }
    }

    fn moment(&self, name: &str) -> Option<SystemTime> {
        match self.values.get(name)? {
            Recording::Moment(moment) => Some(*moment),
            _ => None,
        }
    }

    fn span(&self, name: &str) -> Option<Duration> {
        match self.values.get(name)? {
            Recording::Span(span) => Some(*span),
            _ => None,
        }
    }

    fn texts(&self, name: &str) -> Option<Texts<'_>> {
        match self.values.get(name)? {
            Recording::Texts(texts) => Some(Texts::Tree(texts)),
            _ => None,
        }
    }
}

impl Recording {
    fn extra(&self) -> Extra<'_> {
        match self {
            Self::Text(text) => Extra::Text(text),
            Self::Whole(number) => Extra::Int(*number),
            Self::Real(number) => Extra::Double(*number),
            Self::Flag(truth) => Extra::Bool(*truth),
            Self::Address(address) => Extra::Ip(*address),
            Self::Moment(moment) => Extra::Time(*moment),
            Self::Span(span) => Extra::Span(*span),
            Self::Texts(texts) => Extra::Texts(Texts::Tree(texts)),
        }
    }
}

struct Reader<'r> {
    vocabulary: &'r Vocabulary,
    values: BTreeMap<String, Recording>,
    faults: Vec<Fault>,
    root: &'r str,
}

impl Reader<'_> {
    fn fault(&mut self, name: &str, detail: String) {
        let field = match (self.root, name) {
            (root, "") => root.to_owned(),
            ("", name) => name.to_owned(),
            (root, name) => format!("{root}.{name}"),
        };
        self.faults.push(Fault::new(field, detail));
    }

    fn object(&mut self, path: &str, object: &Map<String, Json>) {
        for (name, value) in object {
            let name = if path.is_empty() {
                name.clone()
            } else {
                format!("{path}.{name}")
            };
            match (
                self.vocabulary.get(&name).map(|info| info.ty.clone()),
                value,
            ) {
                (Some(ty), value) => self.attribute(&name, &ty, value),
                (None, Json::Object(inner)) => self.object(&name, inner),
                (None, _) => {
                    let hint = self.vocabulary.hint(&name);
                    self.fault(&name, format!("is no attribute{hint}"));
                }
            }
        }
    }

    fn attribute(&mut self, name: &str, ty: &Type, value: &Json) {
        if let Some((_, instead)) = DERIVED.iter().find(|(derived, _)| *derived == name) {
            self.fault(name, format!("is made of {instead}; write that"));
            return;
        }
        let read = match ty {
            Type::Text => text(value).map(Recording::Text),
            Type::Int => value.as_i64().map(Recording::Whole),
            Type::Double => value.as_f64().map(Recording::Real),
            Type::Bool => value.as_bool().map(Recording::Flag),
            Type::Ip => value
                .as_str()
                .and_then(|text| text.parse().ok())
                .map(Recording::Address),
            Type::Time => value.as_str().and_then(moment).map(Recording::Moment),
            Type::Span => value.as_str().and_then(span).map(Recording::Span),
            Type::Map(_) => texts(value, name.ends_with(".headers")).map(Recording::Texts),
            _ => None,
        };
        match read {
            Some(value) => {
                self.values.insert(name.to_owned(), value);
            }
            None => self.fault(name, format!("must be {}", wanted(ty))),
        }
    }
}

fn wanted(ty: &Type) -> String {
    match ty {
        Type::Time => "a time such as 2026-01-31T12:00:00Z".into(),
        Type::Span => "a duration such as 5ms".into(),
        Type::Map(_) => "an object of texts".into(),
        other => format!("of type {other}"),
    }
}

fn text(value: &Json) -> Option<String> {
    match value {
        Json::String(text) => Some(text.clone()),
        // YAML reads `1` and `true` as something else; as an attribute they are what was written.
        Json::Number(_) | Json::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

fn moment(text: &str) -> Option<SystemTime> {
    Some(SystemTime::from(text.parse::<jiff::Timestamp>().ok()?))
}

fn span(text: &str) -> Option<Duration> {
    u64::try_from(nanoseconds(text)?)
        .ok()
        .map(Duration::from_nanos)
}

fn texts(value: &Json, headers: bool) -> Option<BTreeMap<String, String>> {
    let entry = |(name, value): (&String, &Json)| {
        let name = if headers {
            name.to_ascii_lowercase()
        } else {
            name.clone()
        };
        Some((name, text(value)?))
    };
    value.as_object()?.iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use osier_policy::Condition;
    use serde_json::json;

    fn holds(attributes: &Json, condition: &str) -> bool {
        let recorded = Recorded::read(attributes, "attributes", &Vocabulary::default()).unwrap();
        let condition = Condition::compile(condition, &Vocabulary::default()).unwrap();
        condition.evaluate(&recorded.attributes()).unwrap()
    }

    #[test]
    fn dotted_and_nested_names_say_the_same() {
        let nested = json!({"request": {"method": "POST", "headers": {"X-User": "alice"}}, "source": {"namespace": "shop", "ip": "10.0.0.1"}});
        let dotted = json!({"request.method": "POST", "request.headers": {"x-user": "alice"}, "source.namespace": "shop", "source.ip": "10.0.0.1"});
        let read = |stated| Recorded::read(stated, "", &Vocabulary::default());
        assert_eq!(read(&nested), read(&dotted));
        assert!(holds(
            &nested,
            "request.method == 'POST' && request.headers['x-user'] == 'alice' && source.namespace == 'shop'"
        ));
        assert!(holds(
            &json!({}),
            "request.method == 'GET' && request.path == '/'"
        ));
    }

    #[test]
    fn every_attribute_that_is_not_derived_can_be_recorded() {
        for info in Vocabulary::default().iter() {
            if DERIVED.iter().any(|(name, _)| *name == info.name) {
                continue;
            }
            let (value, condition) = match &info.ty {
                Type::Text => (json!("x"), format!("{} == 'x'", info.name)),
                Type::Int => (json!(7), format!("{} == 7", info.name)),
                Type::Bool => (json!(true), format!("{} == true", info.name)),
                Type::Ip => (
                    json!("10.0.0.1"),
                    format!("{} == ip('10.0.0.1')", info.name),
                ),
                Type::Time => (
                    json!("2026-01-31T12:00:00Z"),
                    format!("{} == timestamp('2026-01-31T12:00:00Z')", info.name),
                ),
                Type::Span => (json!("5ms"), format!("{} == duration('5ms')", info.name)),
                _ => (json!({"a": "b"}), format!("{}['a'] == 'b'", info.name)),
            };
            let name = info.name.clone();
            assert!(holds(&json!({name: value}), &condition), "{condition}");
        }
    }

    #[test]
    fn wrong_names_and_values_are_told_all_at_once() {
        let wrong = json!({"request": {"metod": "GET", "size": "big"}, "source.uid": "x"});
        let faults =
            Recorded::read(&wrong, "cases[0].attributes", &Vocabulary::default()).unwrap_err();
        let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(
            told[0].contains("cases[0].attributes.request.metod")
                && told[0].contains("request.method"),
            "{told:?}"
        );
        assert!(told[1].contains("of type int"), "{told:?}");
        assert!(
            told[2].contains("source.name and source.namespace"),
            "{told:?}"
        );
    }
}
