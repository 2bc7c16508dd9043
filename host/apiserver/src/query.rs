//! The parameters of a request, read from its query string.

use osier_api::selector::{FieldSelector, LabelSelector};
use osier_api::{Fault, Status};

/// The decoded pairs of a query string.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(text: &str) -> Self {
        Self(
            form_urlencoded::parse(text.as_bytes())
                .into_owned()
                .collect(),
        )
    }

    /// The first value of a parameter; an empty one counts as absent.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// Every value of a parameter.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let found = self.0.iter().filter(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).collect()
    }

    /// A boolean as Kubernetes reads it: present and neither `false` nor `0`.
    pub(crate) fn flag(&self, name: &str) -> bool {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.is_some_and(|(_, value)| !matches!(value.as_str(), "false" | "0"))
    }

    pub(crate) fn number<N: std::str::FromStr>(&self, name: &str) -> Result<Option<N>, Status> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        let refuse = |_| {
            Status::bad_request(format!(
                "the parameter {name}={text} is not a number in range"
            ))
        };
        text.parse().map(Some).map_err(refuse)
    }
}

/// What to do about fields that the schema does not know, and keys that come twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldValidation {
    /// Drop them.
    Ignore,
    /// Drop them and say so.
    Warn,
    /// Refuse the body.
    Strict,
}

/// The longest name of a field manager.
const MANAGER_LENGTH: usize = 128;

/// The name under which a write is recorded, if the request gives one.
pub(crate) fn field_manager(query: &Query) -> Result<Option<&str>, Status> {
    let Some(name) = query.get("fieldManager") else {
        return Ok(None);
    };
    let refuse = |words: &str| {
        let fault = Fault::invalid("fieldManager", name, words);
        Err(invalid_options(&fault))
    };
    if name.chars().count() > MANAGER_LENGTH {
        return refuse("may not be more than 128 bytes");
    }
    if name.chars().any(char::is_control) {
        return refuse("should only contain printable characters");
    }
    Ok(Some(name))
}

/// Whether an apply takes fields from their owners.
pub(crate) fn force(query: &Query) -> Result<Option<bool>, Status> {
    match query.get("force") {
        None => Ok(None),
        Some("true" | "1") => Ok(Some(true)),
        Some("false" | "0") => Ok(Some(false)),
        Some(other) => {
            let words = "must be true or false";
            Err(invalid_options(&Fault::invalid("force", other, words)))
        }
    }
}

/// 422 for the parameters of a patch.
pub(crate) fn invalid_options(fault: &Fault) -> Status {
    let words = format!("PatchOptions.meta.k8s.io \"\" is invalid: {fault}");
    Status::new(422, "Invalid", words)
}

/// The parameters of a write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WriteOptions {
    pub(crate) dry_run: bool,
    pub(crate) validation: FieldValidation,
}

impl WriteOptions {
    pub(crate) fn read(query: &Query) -> Result<Self, Status> {
        let validation = match query.get("fieldValidation") {
            None | Some("Warn") => FieldValidation::Warn,
            Some("Ignore") => FieldValidation::Ignore,
            Some("Strict") => FieldValidation::Strict,
            Some(other) => {
                return Err(Status::bad_request(format!(
                    "fieldValidation: Unsupported value: \"{other}\": supported values: \"Ignore\", \"Strict\", \"Warn\""
                )));
            }
        };
        Ok(Self {
            dry_run: dry_run(query)?,
            validation,
        })
    }
}

/// `dryRun=All` is the only dry run there is.
pub(crate) fn dry_run(query: &Query) -> Result<bool, Status> {
    match query.get("dryRun") {
        None => Ok(false),
        Some("All") => Ok(true),
        Some(other) => Err(Status::bad_request(format!(
            "dryRun: Unsupported value: \"{other}\": supported values: \"All\""
        ))),
    }
}

/// From which state a list or a watch is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    /// The newest.
    Unset,
    /// `resourceVersion=0`: any.
    Any,
    /// This one, or a later one.
    NotOlder(u64),
    /// Exactly this one.
    Exact(u64),
}

/// The parameters of a list or a watch.
#[derive(Debug)]
pub(crate) struct ListOptions {
    pub(crate) labels: LabelSelector,
    pub(crate) fields: FieldSelector,
    /// Whether any selector was given.
    pub(crate) selective: bool,
    pub(crate) limit: usize,
    pub(crate) token: Option<String>,
    pub(crate) since: Since,
    pub(crate) watch: bool,
    pub(crate) timeout: Option<u64>,
    pub(crate) bookmarks: bool,
    pub(crate) send_initial: bool,
}

impl ListOptions {
    pub(crate) fn read(query: &Query) -> Result<Self, Status> {
        let labels = query.get("labelSelector").unwrap_or_default();
        let fields = query.get("fieldSelector").unwrap_or_default();
        let options = Self {
            labels: LabelSelector::parse(labels).map_err(|error| {
                Status::bad_request(format!(
                    "unable to parse labelSelector \"{labels}\": {error}"
                ))
            })?,
            fields: FieldSelector::parse(fields).map_err(|error| {
                Status::bad_request(format!(
                    "unable to parse fieldSelector \"{fields}\": {error}"
                ))
            })?,
            selective: !labels.is_empty() || !fields.is_empty(),
            limit: query.number("limit")?.unwrap_or(0),
            token: query.get("continue").map(str::to_owned),
            since: since(query)?,
            watch: query.flag("watch"),
            timeout: query
                .number("timeoutSeconds")?
                .filter(|seconds| *seconds > 0),
            bookmarks: query.flag("allowWatchBookmarks"),
            send_initial: query.flag("sendInitialEvents"),
        };
        options.check(query)?;
        Ok(options)
    }

    fn check(&self, query: &Query) -> Result<(), Status> {
        let matching = query.get("resourceVersionMatch");
        if self.token.is_some() && !matches!(self.since, Since::Unset | Since::Any) {
            return Err(Status::bad_request(
                "specifying resource version is not allowed when using continue",
            ));
        }
        let refusal = if self.send_initial && !self.watch {
            "sendInitialEvents is forbidden for list"
        } else if self.send_initial && matching != Some("NotOlderThan") {
            "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        } else if self.watch && !self.send_initial && matching.is_some() {
            "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        } else {
            return Ok(());
        };
        Err(Status::bad_request(refusal))
    }
}

fn since(query: &Query) -> Result<Since, Status> {
    let matching = query.get("resourceVersionMatch");
    let Some(text) = query.get("resourceVersion") else {
        return match matching {
            Some(_) if !query.flag("sendInitialEvents") => Err(Status::bad_request(
                "resourceVersionMatch is forbidden unless resourceVersion is provided",
            )),
            _ => Ok(Since::Unset),
        };
    };
    let version: u64 = text.parse().map_err(|_| {
        Status::bad_request(format!(
            "resourceVersion: Invalid value: \"{text}\": it is not a number this server gave"
        ))
    })?;
    match (version, matching) {
        (0, Some("Exact")) => Err(Status::bad_request(
            "resourceVersionMatch \"Exact\" is forbidden for resourceVersion \"0\"",
        )),
        (0, _) => Ok(Since::Any),
        (version, Some("Exact")) => Ok(Since::Exact(version)),
        (version, None | Some("NotOlderThan")) => Ok(Since::NotOlder(version)),
        (_, Some(other)) => Err(Status::bad_request(format!(
            "resourceVersionMatch \"{other}\" is not known"
        ))),
    }
}
