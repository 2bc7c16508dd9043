//! What nodes tell of images that they have run: what their components import beyond what everybody may have. Every control plane reads
//! it off the Nodes, so that it is known after a restart too, and for as long as the node is there.

use osier_api::Object;
use osier_api::resources::NODES;
use osier_client::{Client, Informer, Scope};
use osier_podspec::needs;
use osier_process::Tasks;
use std::sync::Arc;

/// The Nodes, with nothing but what they tell of images.
pub(crate) struct Told(Arc<Informer>);

impl Told {
    pub(crate) fn follow(client: &Client, tasks: &Tasks) -> Self {
        let scope = Scope {
            trim: Some(keep),
            ..Scope::default()
        };
        Self(Informer::start(client.clone(), &NODES, scope, tasks))
    }

    /// What an image imports beyond what everybody may have, if a node has told so.
    pub(crate) fn imports(&self, image: &str) -> Option<Arc<[String]>> {
        let image = osier_images::canonical(image)?;
        let nodes = self.0.list();
        let found = nodes.iter().find_map(|node| needs::of(node).remove(&image));
        found.map(Into::into)
    }
}

/// Reduces a Node to its name and what it tells.
fn keep(node: &mut Object) {
    let told = node.annotation(needs::ANNOTATION).map(str::to_owned);
    for part in ["spec", "status"] {
        node.remove(&[part]);
    }
    for part in ["labels", "annotations", "managedFields"] {
        node.remove(&["metadata", part]);
    }
    if let Some(told) = told {
        node.set(&["metadata", "annotations", needs::ANNOTATION], told.into());
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn of_a_node_it_keeps_what_it_tells_and_nothing_else() {
        let told = json!({"shop/web:1": ["wasi:keyvalue/store@0.2.0-draft"]}).to_string();
        let mut node = Object::from_value(json!({"metadata": {"name": "a", "labels": {"zone": "x"},
            "annotations": {needs::ANNOTATION: told, "other": "x"}}, "status": {"capacity": {"cpu": "1"}}}))
        .unwrap();
        keep(&mut node);
        let kept = json!({"metadata": {"name": "a", "annotations": {needs::ANNOTATION: told}}});
        assert_eq!(node, Object::from_value(kept).unwrap());
        assert_eq!(needs::of(&node).len(), 1);
    }
}
