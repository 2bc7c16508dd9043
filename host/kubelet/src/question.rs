//! The questions and their paths, written by the API server and read by the node agent.

use jiff::Timestamp;
use osier_api::{Object, Status};

use crate::container::container;
use crate::{ExecOptions, LogOptions};

/// What a node agent is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// `/containerLogs/NAMESPACE/POD/UID/CONTAINER`: what a container wrote.
    Logs {
        /// The pod.
        pod: PodKey,
        /// One of its containers.
        container: String,
        /// Which part.
        options: LogOptions,
    },
    /// `/stats/summary`: what the node and its pods use.
    Summary,
    /// `/exec/NAMESPACE/POD/UID/CONTAINER`: something is run beside a container; the connection becomes its streams.
    Exec {
        /// The pod.
        pod: PodKey,
        /// One of its containers.
        container: String,
        /// What, and which streams.
        options: ExecOptions,
    },
    /// `/attach/NAMESPACE/POD/UID/CONTAINER`: the connection becomes the streams of a container.
    Attach {
        /// The pod.
        pod: PodKey,
        /// One of its containers.
        container: String,
        /// Which streams.
        options: ExecOptions,
    },
    /// `/portForward/NAMESPACE/POD/UID`: the connection becomes streams to the pod's ports.
    PortForward(PodKey),
    /// `/decisions/REQUEST-ID`: what the data plane decided about a request.
    Decisions(String),
}

/// One pod, and none that has its name later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodKey {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

impl Question {
    /// Reads what stands in a request; seconds ago count from `now`.
    ///
    /// # Errors
    /// What is not known, and what is wrong with a known one.
    pub fn read(path: &str, query: &str, now: Timestamp) -> Result<Self, Status> {
        let segments: Vec<String> = path.split('/').skip(1).map(unescaped).collect();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let pod = |namespace: &str, name: &str, uid: &str| PodKey {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            uid: uid.to_owned(),
        };
        match segments.as_slice() {
            ["containerLogs", namespace, name, uid, container] => Ok(Self::Logs {
                pod: pod(namespace, name, uid),
                container: (*container).to_owned(),
                options: LogOptions::read(query, now)?,
            }),
            ["exec", namespace, name, uid, container] => Ok(Self::Exec {
                pod: pod(namespace, name, uid),
                container: (*container).to_owned(),
                options: ExecOptions::read(query)?,
            }),
            ["attach", namespace, name, uid, container] => Ok(Self::Attach {
                pod: pod(namespace, name, uid),
                container: (*container).to_owned(),
                options: ExecOptions::read(query)?,
            }),
            ["portForward", namespace, name, uid] => {
                Ok(Self::PortForward(pod(namespace, name, uid)))
            }
            ["stats", "summary"] => Ok(Self::Summary),
            ["decisions", id] => Ok(Self::Decisions((*id).to_owned())),
            _ => {
                let words = format!("the node agent serves no {path:?}");
                Err(Status::new(404, "NotFound", words))
            }
        }
    }
}

/// Asks for a log, as the query of `kubectl logs` says it; seconds ago count from `now`.
///
/// # Errors
/// What is wrong with the query.
pub fn logs(pod: &Object, query: &str, now: Timestamp) -> Result<String, Status> {
    let options = LogOptions::read(query, now)?;
    about_container("containerLogs", (pod, query), &options.query())
}

/// Asks for a command to be run, as the query of `kubectl exec` says it.
///
/// # Errors
/// What is wrong with the query.
pub fn exec(pod: &Object, query: &str) -> Result<String, Status> {
    let options = ExecOptions::read(query)?;
    if options.command.is_empty() {
        return Err(Status::bad_request("you must specify at least one command"));
    }
    about_container("exec", (pod, query), &options.query())
}

/// Asks for the streams of a container, as the query of `kubectl attach` says it.
///
/// # Errors
/// What is wrong with the query.
pub fn attach(pod: &Object, query: &str) -> Result<String, Status> {
    let options = ExecOptions::read(query)?;
    about_container("attach", (pod, query), &options.query())
}

/// A question about the container that a query names.
fn about_container(
    what: &str,
    (pod, query): (&Object, &str),
    options: &str,
) -> Result<String, Status> {
    let named = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "container");
    let named = named.as_ref().map(|(_, value)| &**value);
    let container = container(pod, named.filter(|name| !name.is_empty()))?;
    let (namespace, name, uid) = (pod.namespace(), pod.name(), pod.uid());
    let segments = [what, namespace, name, uid, &container];
    Ok(format!("{}?{options}", path(&segments)))
}

/// Asks for streams to ports.
pub fn port_forward(pod: &Object) -> String {
    path(&["portForward", pod.namespace(), pod.name(), pod.uid()])
}

/// Asks for what is used.
pub fn summary() -> String {
    path(&["stats", "summary"])
}

/// Asks for decisions.
pub fn decisions(request_id: &str) -> String {
    path(&["decisions", request_id])
}

fn path(segments: &[&str]) -> String {
    let escaped = segments.iter().map(|segment| escaped(segment));
    escaped.map(|segment| format!("/{segment}")).collect()
}

fn escaped(segment: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(byte);
    let written = segment.bytes().map(|byte| match plain(&byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    });
    written.collect()
}

/// Percent-decoding of one path segment; what is not valid UTF-8 matches no name.
pub fn unescaped(segment: &str) -> String {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn read(asked: &str) -> Result<Question, Status> {
        let (path, query) = asked.split_once('?').unwrap_or((asked, ""));
        Question::read(path, query, Timestamp::UNIX_EPOCH)
    }

    proptest! {
        #[test]
        fn what_is_asked_is_read(id in ".{1,20}", name in "[a-z]{1,9}") {
            prop_assert_eq!(read(&decisions(&id)), Ok(Question::Decisions(id)));
            let named = json!({"metadata": {"namespace": "a", "name": "b", "uid": "c"},
                "spec": {"containers": [{"name": name}]}});
            let pod = Object::from_value(named).unwrap();
            let key = PodKey { namespace: "a".to_owned(), name: "b".to_owned(), uid: "c".to_owned() };
            prop_assert_eq!(read(&port_forward(&pod)), Ok(Question::PortForward(key.clone())));
            let asked = logs(&pod, "follow=true", Timestamp::UNIX_EPOCH).unwrap();
            let options = LogOptions { follow: true, ..LogOptions::default() };
            let expected = Question::Logs { pod: key.clone(), container: name.clone(), options };
            prop_assert_eq!(read(&asked), Ok(expected));
            let asked = exec(&pod, "command=cat&command=%2Fa%26b&stdin=true&stdout=true").unwrap();
            let command = vec!["cat".to_owned(), "/a&b".to_owned()];
            let options = ExecOptions { command, stdin: true, stdout: true, ..ExecOptions::default() };
            let expected = Question::Exec { pod: key.clone(), container: name.clone(), options };
            prop_assert_eq!(read(&asked), Ok(expected));
            let asked = attach(&pod, "container=&stderr=true").unwrap();
            let options = ExecOptions { stderr: true, ..ExecOptions::default() };
            prop_assert_eq!(read(&asked), Ok(Question::Attach { pod: key, container: name, options }));
            prop_assert_eq!(exec(&pod, "stdout=true").unwrap_err().code, 400);
        }

        #[test]
        fn any_path_is_read_or_refused(path in any::<String>(), query in any::<String>()) {
            let _either = Question::read(&path, &query, Timestamp::UNIX_EPOCH);
        }
    }
}
