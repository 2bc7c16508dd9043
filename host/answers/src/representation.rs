//! Content negotiation: in which form the caller wants the answer.

use osier_api::Status;
use osier_discovery::Form;

/// The form of an answer about objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Representation {
    /// The objects as they are, in JSON.
    Json,
    /// The objects as they are, in YAML.
    Yaml,
    /// Rows for a person, of this version of `meta.k8s.io`.
    Table(&'static str),
    /// Only `metadata`, of this version of `meta.k8s.io`.
    Metadata(&'static str),
}

/// One media range of an `Accept` header.
struct Range<'a> {
    media: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
}

impl<'a> Range<'a> {
    fn parse(text: &'a str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        let parameters = parts.filter_map(|part| part.split_once('=')).collect();
        Self { media, parameters }
    }

    fn parameter(&self, name: &str) -> Option<&'a str> {
        self.parameters
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| *value)
    }

    fn json(&self) -> bool {
        matches!(self.media, "application/json" | "application/*" | "*/*")
    }
}

fn ranges(accept: &str) -> impl Iterator<Item = Range<'_>> {
    accept
        .split(',')
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .map(Range::parse)
}

impl Representation {
    /// The first form in the caller's order that this server has.
    ///
    /// # Errors
    /// 406 where it has none of them.
    pub fn negotiate(accept: &str) -> Result<Self, Status> {
        if accept.trim().is_empty() {
            return Ok(Self::Json);
        }
        ranges(accept)
            .find_map(|range| Self::of(&range))
            .ok_or_else(|| Status::not_acceptable(&["application/json", "application/yaml"]))
    }

    fn of(range: &Range<'_>) -> Option<Self> {
        let meta = range
            .parameter("g")
            .is_none_or(|group| group == "meta.k8s.io");
        let version = match range.parameter("v") {
            None | Some("v1") => "v1",
            Some("v1beta1") => "v1beta1",
            Some(_) => return None,
        };
        match range.parameter("as") {
            None if range.json() => Some(Self::Json),
            None if range.media == "application/yaml" => Some(Self::Yaml),
            Some("Table") if range.json() && meta => Some(Self::Table(version)),
            Some("PartialObjectMetadata" | "PartialObjectMetadataList") if range.json() && meta => {
                Some(Self::Metadata(version))
            }
            _ => None,
        }
    }
}

/// How a document of OpenAPI v2 is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// gnostic's protobuf, which kubectl asks for.
    Protobuf,
    /// JSON.
    Json,
}

/// The first way of writing OpenAPI v2 in the caller's order that this server has.
///
/// # Errors
/// 406 where it has none of them.
pub fn openapi_v2(accept: &str) -> Result<Written, Status> {
    if accept.trim().is_empty() {
        return Ok(Written::Json);
    }
    let written = |range: Range<'_>| match range.media {
        media if media.contains("proto-openapi.spec.v2") => Some(Written::Protobuf),
        _ if range.json() => Some(Written::Json),
        _ => None,
    };
    let refusal = || Status::not_acceptable(&["application/json", osier_discovery::OPENAPI_V2]);
    ranges(accept).find_map(written).ok_or_else(refusal)
}

/// The first form of discovery documents in the caller's order that this server has.
#[must_use]
pub fn discovery(accept: &str) -> Form {
    ranges(accept)
        .find_map(|range| form(&range))
        .unwrap_or(Form::Legacy)
}

fn form(range: &Range<'_>) -> Option<Form> {
    match (range.parameter("as"), range.parameter("v")) {
        (Some("APIGroupDiscoveryList"), Some("v2")) if range.json() => Some(Form::Aggregated("v2")),
        (Some("APIGroupDiscoveryList"), Some("v2beta1")) if range.json() => {
            Some(Form::Aggregated("v2beta1"))
        }
        (None, _) if range.json() => Some(Form::Legacy),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn what_kubectl_sends() {
        let get = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(
            Representation::negotiate(get).unwrap(),
            Representation::Table("v1")
        );
        let typed = "application/vnd.kubernetes.protobuf,application/json";
        assert_eq!(
            Representation::negotiate(typed).unwrap(),
            Representation::Json
        );
        let aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
        assert_eq!(discovery(aggregated), Form::Aggregated("v2"));
        assert_eq!(discovery("application/json, */*"), Form::Legacy);
    }

    #[test]
    fn openapi_v2_is_json_unless_asked_otherwise() {
        let kubectl = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
        assert_eq!(openapi_v2(kubectl).unwrap(), Written::Protobuf);
        for accept in ["", "*/*", "application/json, */*"] {
            assert_eq!(openapi_v2(accept).unwrap(), Written::Json, "{accept}");
        }
        assert!(openapi_v2("text/html").is_err());
    }

    #[test]
    fn an_unknown_form_is_refused_and_an_absent_one_is_json() {
        assert!(Representation::negotiate("text/html").is_err());
        assert_eq!(Representation::negotiate("").unwrap(), Representation::Json);
        assert_eq!(
            Representation::negotiate("*/*").unwrap(),
            Representation::Json
        );
        let metadata = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1beta1";
        assert_eq!(
            Representation::negotiate(metadata).unwrap(),
            Representation::Metadata("v1beta1")
        );
    }
}
