//! Which kinds a server has: ours, and those that its users defined, by its aggregated discovery.

use http::header::ACCEPT;
use http::{HeaderValue, Request};
use osier_api::resources::{self, Names};
use osier_api::{Resource, Subresource};
use osier_process::body;
use serde_json::Value;

use crate::client::{Client, read};
use crate::error::ClientError;
use crate::request::{self, Query};

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

impl Client {
    /// Every kind that the server has in a named group and that is none of ours, in its preferred version.
    ///
    /// # Errors
    /// When the server does not answer, or not with a discovery document.
    pub async fn custom_kinds(&self) -> Result<Vec<&'static Resource>, ClientError> {
        let document = self.document("/apis".to_owned(), AGGREGATED).await?;
        let groups = array(&document["items"]);
        Ok(groups.flat_map(kinds_of_group).collect())
    }

    /// A collection as the server prints it: a `meta.k8s.io/v1` Table.
    ///
    /// # Errors
    /// As for a list.
    pub async fn table(
        &self,
        resource: &Resource,
        namespace: &str,
        query: &Query,
    ) -> Result<Value, ClientError> {
        let path = query.apply(&request::collection(resource, namespace), &[]);
        self.document(path, TABLE).await
    }

    async fn document(&self, path: String, accept: &'static str) -> Result<Value, ClientError> {
        let what = format!("GET {path}");
        let malformed = |reason: String| ClientError::Malformed {
            request: what.clone(),
            reason,
        };
        let request = Request::get(path)
            .header(ACCEPT, HeaderValue::from_static(accept))
            .body(body::empty())
            .map_err(|error| malformed(error.to_string()))?;
        let answer = self.answer(request).await?;
        let bytes = read(answer, &what).await?;
        serde_json::from_slice(&bytes).map_err(|error| malformed(error.to_string()))
    }
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn kinds_of_group(group: &Value) -> Vec<&'static Resource> {
    let name = group["metadata"]["name"].as_str().unwrap_or("");
    let mut found: Vec<&'static Resource> = Vec::new();
    for version in array(&group["versions"]) {
        for entry in array(&version["resources"]) {
            let names = names(name, version, entry);
            let ours = resources::all()
                .iter()
                .any(|one| one.group == name && one.plural == names.plural);
            // The best version comes first.
            let known = found.iter().any(|one| one.plural == names.plural);
            if !ours && !known && !names.plural.is_empty() {
                found.extend(resources::custom(&names));
            }
        }
    }
    found
}

fn names(group: &str, version: &Value, entry: &Value) -> Names {
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    let texts = |value: &Value| array(value).map(text).collect();
    let parts = array(&entry["subresources"]).filter_map(|part| part["subresource"].as_str());
    Names {
        group: group.to_owned(),
        version: text(&version["version"]),
        kind: text(&entry["responseKind"]["kind"]),
        plural: text(&entry["resource"]),
        singular: text(&entry["singularResource"]),
        short_names: texts(&entry["shortNames"]),
        categories: texts(&entry["categories"]),
        namespaced: entry["scope"] == "Namespaced",
        subresources: parts.filter_map(Subresource::from_segment).collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn kinds_of_users_are_found_and_ours_are_not_doubled() {
        let entry = |plural: &str, kind: &str| {
            json!({"resource": plural, "singularResource": kind.to_lowercase(), "scope": "Namespaced",
                "responseKind": {"kind": kind}, "shortNames": ["x"], "subresources": [{"subresource": "status"}]})
        };
        let group = json!({"metadata": {"name": "stable.example.com"}, "versions": [
            {"version": "v1", "resources": [entry("crontabs", "CronTab")]},
            {"version": "v1beta1", "resources": [entry("crontabs", "CronTab"), entry("others", "Other")]}]});
        let told: Vec<_> = kinds_of_group(&group)
            .iter()
            .map(|kind| (kind.plural, kind.versions))
            .collect();
        assert_eq!(
            told,
            [("crontabs", &["v1"][..]), ("others", &["v1beta1"][..])]
        );
        let ours = json!({"metadata": {"name": "apps"}, "versions": [
            {"version": "v1", "resources": [entry("deployments", "Deployment")]}]});
        assert!(kinds_of_group(&ours).is_empty());
    }
}
