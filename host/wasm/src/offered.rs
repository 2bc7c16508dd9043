//! What workloads may import.

use crate::ComponentError;

/// What workloads may import: WASI 0.2, none of which leads out of the sandbox except by the container's own door.
const OFFERED: [&str; 7] = [
    "wasi:cli",
    "wasi:clocks",
    "wasi:filesystem",
    "wasi:http",
    "wasi:io",
    "wasi:random",
    "wasi:sockets",
];

/// Whether a workload may import all of these, without interfaces that hold only types.
///
/// # Errors
/// The first that it may not, with what to do about it.
pub fn check_imports(imports: &[String]) -> Result<(), ComponentError> {
    let Some(import) = imports.iter().find(|import| !offered(import)) else {
        return Ok(());
    };
    Err(ComponentError::Import {
        import: import.clone(),
        remedy: "a workload may import WASI 0.2 interfaces; build it for wasm32-wasip2".to_owned(),
    })
}

fn offered(import: &str) -> bool {
    let Some((package, rest)) = import.split_once('/') else {
        return false;
    };
    OFFERED.contains(&package) && rest.contains("@0.2.")
}

#[cfg(test)]
mod tests {
    use super::offered;

    #[test]
    fn only_wasi_0_2_is_offered() {
        assert!(offered("wasi:http/outgoing-handler@0.2.12"));
        for import in [
            "wasi:http/handler@0.3.0",
            "wasi:keyvalue/store@0.2.0-draft",
            "env",
            "acme:x/y@0.2.0",
            "wasi:nn/tensor@0.2.0",
        ] {
            assert!(!offered(import), "{import}");
        }
    }
}
