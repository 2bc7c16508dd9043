//! What a probe or a hook does: a call, a connection, a question about health, a command, a pause.

use std::time::Duration;

use serde_json::Value;

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// An HTTP call to the container; well if the answer is neither an error nor late.
    HttpGet(Call),
    /// A connection to a port of the pod.
    TcpSocket(Port),
    /// `grpc.health.v1.Health/Check` of this service.
    Grpc {
        /// Where.
        port: Port,
        /// The name that is asked for; empty for the server as a whole.
        service: String,
    },
    /// What `kubectl exec` would run.
    Exec(Vec<String>),
    /// Nothing for a while.
    Sleep(Duration),
}

/// An HTTP call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Where.
    pub port: Port,
    /// Begins with a slash.
    pub path: String,
    /// In their order.
    pub headers: Vec<(String, String)>,
}

/// A port of a pod, or the name under which none is declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Port {
    /// Its number.
    Number(u16),
    /// Not a port of the container.
    Unknown(String),
}

impl Action {
    /// The action of a probe or hook of the container; none if it declares none.
    #[must_use]
    pub fn of(handler: &Value, container: &Value) -> Option<Self> {
        let given = |kind: &str| handler.get(kind).filter(|action| action.is_object());
        let port = |action: &Value| Port::of(&action["port"], container);
        if let Some(get) = given("httpGet") {
            return Some(Self::HttpGet(Call::of(get, port(get))));
        }
        if let Some(socket) = given("tcpSocket") {
            return Some(Self::TcpSocket(port(socket)));
        }
        if let Some(grpc) = given("grpc") {
            let service = grpc["service"].as_str().unwrap_or_default().to_owned();
            let port = port(grpc);
            return Some(Self::Grpc { port, service });
        }
        if let Some(exec) = given("exec") {
            let words = exec["command"].as_array().into_iter().flatten();
            let words = words.filter_map(Value::as_str).map(ToOwned::to_owned);
            return Some(Self::Exec(words.collect()));
        }
        let seconds = given("sleep")?["seconds"].as_u64().unwrap_or(0);
        Some(Self::Sleep(Duration::from_secs(seconds)))
    }
}

impl Call {
    fn of(get: &Value, port: Port) -> Self {
        let headers = get["httpHeaders"].as_array().into_iter().flatten();
        let header = |header: &Value| {
            let (name, value) = (header["name"].as_str()?, header["value"].as_str()?);
            Some((name.to_owned(), value.to_owned()))
        };
        let path = get["path"].as_str().filter(|path| path.starts_with('/'));
        Self {
            port,
            path: path.unwrap_or("/").to_owned(),
            headers: headers.filter_map(header).collect(),
        }
    }
}

impl Port {
    fn of(port: &Value, container: &Value) -> Self {
        let number = |value: &Value| u16::try_from(value.as_u64()?).ok();
        if let Some(number) = number(port) {
            return Self::Number(number);
        }
        let name = port.as_str().unwrap_or_default();
        let mut declared = container["ports"].as_array().into_iter().flatten();
        let declared = declared.find(|declared| declared["name"] == name);
        let found = declared.and_then(|declared| number(&declared["containerPort"]));
        found.map_or_else(|| Self::Unknown(name.to_owned()), Self::Number)
    }

    /// Its number.
    ///
    /// # Errors
    /// kubelet's words for a name that no port has.
    pub fn number(&self) -> Result<u16, String> {
        match self {
            Self::Number(number) => Ok(*number),
            Self::Unknown(name) => Err(format!("couldn't find port: {name}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_kind_is_read_and_ports_have_names() {
        let container = json!({"ports": [{"name": "web", "containerPort": 8080}]});
        let read = |handler: Value| Action::of(&handler, &container);
        let get = json!({"httpGet": {"port": "web", "path": "/live", "httpHeaders": [{"name": "a", "value": "b"}]}});
        let call = Call {
            port: Port::Number(8080),
            path: "/live".to_owned(),
            headers: vec![("a".to_owned(), "b".to_owned())],
        };
        assert_eq!(read(get), Some(Action::HttpGet(call)));
        let socket = read(json!({"tcpSocket": {"port": "other"}}));
        assert_eq!(
            socket,
            Some(Action::TcpSocket(Port::Unknown("other".to_owned())))
        );
        let grpc = Action::Grpc {
            port: Port::Number(9),
            service: "s".to_owned(),
        };
        assert_eq!(
            read(json!({"grpc": {"port": 9, "service": "s"}})),
            Some(grpc)
        );
        let words = vec!["test".to_owned(), "-f".to_owned()];
        assert_eq!(
            read(json!({"exec": {"command": ["test", "-f"]}})),
            Some(Action::Exec(words))
        );
        let pause = Action::Sleep(Duration::from_secs(3));
        assert_eq!(read(json!({"sleep": {"seconds": 3}})), Some(pause));
        assert_eq!(read(Value::Null), None);
    }
}
