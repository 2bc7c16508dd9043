//! Serde views for controllers: only the fields they need, unknown ones ignored, zero values left out when written.
//!
//! Objects are stored and patched as JSON; a view is for reading, or for building a part that is then put into an
//! object. Never write back a whole spec through a view: it would lose what the view does not know.

mod mesh;
mod node;
mod pod;
mod policy;
mod service;

pub use mesh::*;
pub use node::*;
pub use pod::*;
pub use policy::*;
pub use service::*;

use serde::{Deserialize, Serialize};

/// Declares views: camelCase in JSON, every field optional when read, zero values left out when written.
macro_rules! views {
    ($($(#[$about:meta])* pub struct $name:ident { $($(#[$meaning:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$about])*
        #[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        pub struct $name {
            $($(#[$meaning])* #[serde(skip_serializing_if = "crate::typed::zero")] pub $field: $type,)*
        }
    )*};
}
pub(crate) use views;

pub(crate) fn zero<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A number, or a name that stands for one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum IntOrString {
    /// A number.
    Int(i32),
    /// A name, or a percentage.
    String(String),
}

impl IntOrString {
    /// The number, or the percentage of `total` rounded up; what is neither is nothing.
    pub fn rounded_up(&self, total: usize) -> usize {
        self.hundredths(total).div_ceil(100)
    }

    /// As [`IntOrString::rounded_up`], rounded down.
    pub fn rounded_down(&self, total: usize) -> usize {
        self.hundredths(total) / 100
    }

    fn hundredths(&self, total: usize) -> usize {
        match self {
            Self::Int(number) => usize::try_from(*number).unwrap_or(0).saturating_mul(100),
            Self::String(text) => {
                let percent = text.strip_suffix('%').and_then(|text| text.parse().ok());
                total.saturating_mul(percent.unwrap_or(0))
            }
        }
    }
}

impl Default for IntOrString {
    fn default() -> Self {
        Self::Int(0)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn reads_what_it_knows_and_writes_no_zeros() {
        let json = json!({"nodeName": "n", "futureField": 1, "containers": [{"name": "c", "ports": [{"containerPort": 80}]}]});
        let spec: PodSpec = serde_json::from_value(json).unwrap();
        assert_eq!(spec.containers[0].ports[0].container_port, 80);
        let written = json!({"nodeName": "n", "containers": [{"name": "c", "ports": [{"containerPort": 80}]}]});
        assert_eq!(serde_json::to_value(spec).unwrap(), written);
    }

    #[test]
    fn a_container_status_shows_its_zeros() {
        let written = serde_json::to_value(ContainerStatus::default()).unwrap();
        assert_eq!(
            (&written["ready"], &written["restartCount"]),
            (&json!(false), &json!(0))
        );
    }

    #[test]
    fn shares_of_a_whole() {
        let quarter = IntOrString::String("25%".to_owned());
        assert_eq!((quarter.rounded_up(3), quarter.rounded_down(3)), (1, 0));
        assert_eq!((quarter.rounded_up(8), quarter.rounded_down(8)), (2, 2));
        assert_eq!(IntOrString::Int(5).rounded_down(3), 5);
        assert_eq!(IntOrString::String("http".to_owned()).rounded_up(10), 0);
    }

    #[test]
    fn reads_routes() {
        let json = json!({"hosts": ["a"], "http": [{"match": [{"uri": {"prefix": "/x"}, "headers": {"end-user": {"exact": "j"}, "any": {}}}],
            "route": [{"destination": {"host": "reviews", "port": {"number": 80}}, "weight": 5}], "timeout": "5s"}]});
        let spec: VirtualServiceSpec = serde_json::from_value(json).unwrap();
        let route = &spec.http[0];
        assert_eq!(
            route.r#match[0].uri.as_ref().unwrap().prefix.as_deref(),
            Some("/x")
        );
        assert_eq!(route.r#match[0].headers["any"], StringMatch::default());
        assert_eq!(route.route[0].destination.port.as_ref().unwrap().number, 80);
    }
}
