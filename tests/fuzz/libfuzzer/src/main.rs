//! libFuzzer around the target that `OSIER_FUZZ_TARGET` names; `cargo xtask fuzz` builds and runs it.

#![no_main]

use std::sync::LazyLock;

static TARGET: LazyLock<osier_fuzz::Target> = LazyLock::new(|| {
    let name = std::env::var("OSIER_FUZZ_TARGET").unwrap_or_default();
    let names: Vec<&str> = osier_fuzz::TARGETS.iter().map(|(name, _)| *name).collect();
    osier_fuzz::target(&name)
        .unwrap_or_else(|| panic!("OSIER_FUZZ_TARGET is {name:?}, not one of {names:?}"))
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| TARGET(bytes));
