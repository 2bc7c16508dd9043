//! Whose policies an Envoy asks: said in its configuration, because it knows nothing of namespaces.

use std::collections::HashMap;

use osier_policy::Direction;

/// The namespace of an Envoy that names none.
const DEFAULT: &str = "default";

/// Who is asked about.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Concern {
    pub(crate) namespace: String,
    pub(crate) service: Option<String>,
    pub(crate) direction: Direction,
}

impl Concern {
    /// `namespace`, `service` and `direction` of the context extensions of a route or virtual host.
    pub(crate) fn of_extensions(extensions: &HashMap<String, String>) -> Self {
        let text = |key: &str| extensions.get(key).filter(|text| !text.is_empty()).cloned();
        let outbound = text("direction").is_some_and(|word| word.eq_ignore_ascii_case("outbound"));
        Self {
            namespace: text("namespace").unwrap_or_else(|| DEFAULT.to_owned()),
            service: text("service"),
            direction: match outbound {
                true => Direction::Outbound,
                false => Direction::Inbound,
            },
        }
    }

    /// `NAMESPACE` or `NAMESPACE/SERVICE`: the domain of a rate limit, the name of a log.
    pub(crate) fn of_name(name: &str) -> Self {
        let (namespace, service) = match name.split_once('/') {
            Some((namespace, service)) => (namespace, Some(service.to_owned())),
            None => (name, None),
        };
        let namespace = if namespace.is_empty() {
            DEFAULT
        } else {
            namespace
        };
        Self {
            namespace: namespace.to_owned(),
            service,
            direction: Direction::Inbound,
        }
    }

    /// `NAMESPACE` or `NAMESPACE/SERVICE`.
    pub(crate) fn name(&self) -> String {
        match &self.service {
            Some(service) => format!("{}/{service}", self.namespace),
            None => self.namespace.clone(),
        }
    }

    /// Namespace and service, as a question takes them.
    pub(crate) fn place(&self) -> (&str, Option<&str>) {
        (&self.namespace, self.service.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envoy_says_whose_policies_it_asks() {
        let extensions = [
            ("namespace", "shop"),
            ("service", "reviews"),
            ("direction", "Outbound"),
        ];
        let extensions = extensions.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let concern = Concern::of_extensions(&extensions.into());
        assert_eq!(concern.place(), ("shop", Some("reviews")));
        assert_eq!(concern.direction, Direction::Outbound);
        assert_eq!(
            Concern::of_extensions(&HashMap::new()).place(),
            ("default", None)
        );
        assert_eq!(
            Concern::of_name("shop/reviews").place(),
            ("shop", Some("reviews"))
        );
        assert_eq!(Concern::of_name("shop").place(), ("shop", None));
        assert_eq!(Concern::of_name("").place(), ("default", None));
    }
}
