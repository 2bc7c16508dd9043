//! The guide to expressions lists every attribute, as it is.
#![expect(clippy::unwrap_used, reason = "tests")]

use osier_policy::Vocabulary;
use std::path::Path;

#[test]
fn every_attribute_stands_in_the_guide() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide/expressions.md");
    let guide = std::fs::read_to_string(root).unwrap();
    for info in Vocabulary::default().iter() {
        let presence = if info.always { "" } else { "may be absent" };
        let row = format!(
            "| `{}` | {} | {presence} | {} |",
            info.name, info.ty, info.meaning
        );
        assert!(
            guide.contains(&row),
            "docs/guide/expressions.md lacks the line\n{row}"
        );
    }
}
