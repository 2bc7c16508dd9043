//! Whether there is anything that a policy concerns. It is loaded either way, since objects may come in any order; but a target
//! with a typing error in its name checks no call, and somebody should hear of it.

use super::{CompiledPolicy, Target};
use osier_expressions::Texts;

/// The name that means all Gateways of a node, so that somebody may guard the edge before there is any.
const EVERY_GATEWAY: &str = "gateway";

/// Whether a selector takes these labels.
pub(super) type Selects<'a> = &'a dyn Fn(&[(String, String)]) -> bool;

/// Something that a policy concerns, which may be there or not.
pub enum Sought<'a> {
    /// A service, of the mesh or outside.
    Service {
        /// Its namespace.
        namespace: &'a str,
        /// Its name.
        name: &'a str,
    },
    /// A gateway of either API by its name, with its namespace and a slash before that or without.
    Gateway(&'a str),
    /// A namespace.
    Namespace(&'a str),
    /// A pod with labels that are selected.
    Workload {
        /// Its namespace; any if there is none.
        namespace: Option<&'a str>,
        /// Whether labels are selected.
        selects: Selects<'a>,
    },
}

impl CompiledPolicy {
    /// What is wrong with the targets of which none is there, each in words; nothing while one is. `there` answers for the
    /// mesh, whose policies are in the namespace `root`.
    pub fn unattached(&self, root: &str, there: &dyn Fn(Sought<'_>) -> bool) -> Vec<String> {
        let missing: Vec<_> = self
            .targets
            .iter()
            .filter_map(|target| self.missing(target, root, there))
            .collect();
        match missing.len() == self.targets.len() {
            true => missing,
            false => Vec::new(),
        }
    }

    fn missing(
        &self,
        target: &Target,
        root: &str,
        there: &dyn Fn(Sought<'_>) -> bool,
    ) -> Option<String> {
        let namespace = self.key.namespace.as_str();
        let (found, words) = match target {
            // It is asked by name, and says then that it is missed.
            Target::Everything | Target::Authorization(_) => return None,
            Target::Gateway(name) if name == EVERY_GATEWAY => return None,
            Target::Namespace(name) if name != namespace && namespace != root => {
                let words = format!(
                    "a policy concerns Namespace {name} only from there or from {root}, not from {namespace}"
                );
                return Some(words);
            }
            Target::Namespace(name) => (
                there(Sought::Namespace(name)),
                format!("there is no Namespace {name}"),
            ),
            Target::Service(name) => (
                there(Sought::Service { namespace, name }),
                format!("there is no Service {namespace}/{name}"),
            ),
            Target::Gateway(name) => (
                there(Sought::Gateway(name)),
                format!("there is no Gateway {name}"),
            ),
            Target::Workloads(selector) => {
                let selects = |labels: &[(String, String)]| {
                    let labels = Texts::Pairs(labels);
                    selector.matches(&|label| labels.find(label))
                };
                let namespace = (namespace != root).then_some(namespace);
                let place = namespace.map_or_else(String::new, |name| format!(" in {name}"));
                let workload = Sought::Workload {
                    namespace,
                    selects: &selects,
                };
                (
                    there(workload),
                    format!("spec.selector selects no pod{place}"),
                )
            }
        };
        (!found).then_some(words)
    }
}
