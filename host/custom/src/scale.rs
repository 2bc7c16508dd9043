//! The scale subresource: where a kind keeps how many there shall be, and how many there are.

use osier_api::Object;
use serde_json::{Value, json};

use crate::path::Path;

/// The three places of one version.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scale {
    wanted: Vec<String>,
    found: Vec<String>,
    selector: Vec<String>,
}

impl Scale {
    /// Reads `subresources.scale` of a version.
    pub(crate) fn of(version: &Value) -> Option<Self> {
        let scale = version["subresources"].get("scale")?;
        let fields = |name: &str| {
            let path = Path::parse(scale[name].as_str().unwrap_or("")).ok()?;
            Some(path.fields()?.into_iter().map(str::to_owned).collect())
        };
        Some(Self {
            wanted: fields("specReplicasPath")?,
            found: fields("statusReplicasPath")?,
            selector: fields("labelSelectorPath").unwrap_or_default(),
        })
    }

    /// The wanted count, the count that there is, and the selector as a text.
    pub(crate) fn read(&self, object: &Object) -> (i64, i64, String) {
        let number = |path: &[String]| at(object, path).and_then(Value::as_i64).unwrap_or(0);
        let selector = at(object, &self.selector).and_then(Value::as_str);
        let selector = selector.unwrap_or("").to_owned();
        (number(&self.wanted), number(&self.found), selector)
    }

    /// Puts the wanted count into an object.
    pub(crate) fn write(&self, object: &mut Object, replicas: Value) {
        let path: Vec<&str> = self.wanted.iter().map(String::as_str).collect();
        object.set(&path, replicas);
    }

    /// The part of an object that says only the wanted count.
    pub(crate) fn only(&self, replicas: &Value) -> Value {
        let names = self.wanted.iter().rev();
        names.fold(
            replicas.clone(),
            |inner, name| json!({name.as_str(): inner}),
        )
    }
}

fn at<'a>(object: &'a Object, path: &[String]) -> Option<&'a Value> {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    object.get(&path)
}
