//! What workloads may import.

use crate::ComponentError;

/// What workloads may import: WASI 0.2 and 0.3, none of which leads out of the sandbox except by the container's own door.
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
        remedy: remedy(import).to_owned(),
    })
}

fn offered(import: &str) -> bool {
    let Some((package, rest)) = import.split_once('/') else {
        return false;
    };
    let modern = rest.contains("@0.3.") && package != "wasi:sockets";
    OFFERED.contains(&package) && (modern || rest.contains("@0.2."))
}

fn remedy(import: &str) -> &'static str {
    match import.starts_with("wasi:sockets/") {
        true => {
            "a workload has the sockets of WASI 0.2: open them by the standard library of wasm32-wasip2"
        }
        false => "a workload may import interfaces of WASI 0.2 and 0.3; build it for wasm32-wasip2",
    }
}

#[cfg(test)]
mod tests {
    use super::offered;

    #[test]
    fn only_wasi_is_offered() {
        assert!(offered("wasi:http/outgoing-handler@0.2.12"));
        assert!(offered("wasi:http/client@0.3.0"));
        for import in [
            "wasi:sockets/types@0.3.0",
            "wasi:http/handler@0.4.0",
            "wasi:keyvalue/store@0.2.0-draft",
            "env",
            "acme:x/y@0.2.0",
            "wasi:nn/tensor@0.2.0",
        ] {
            assert!(!offered(import), "{import}");
        }
    }
}
