//! A policy plugin for tests: `loop`, `trap` and `hoard` do what they say, `deny` is refused, every other value passes.

use osier_plugin::{Decision, ListEntry, NoConfig, Plugin};

struct Hostile;

impl Plugin for Hostile {
    type Config = NoConfig;

    fn configure(_: NoConfig) -> Result<Self, String> {
        Ok(Self)
    }
}

impl ListEntry for Hostile {
    fn check(&self, value: &str) -> Decision {
        match value {
            "loop" => spin(),
            "trap" => std::process::abort(),
            "hoard" => hoard(),
            "deny" => Decision::deny(403).because("asked to deny"),
            _ => Decision::allow(),
        }
    }
}

fn spin() -> ! {
    let mut turns = 0u64;
    loop {
        turns = std::hint::black_box(turns + 1);
    }
}

fn hoard() -> ! {
    let mut kept = Vec::new();
    loop {
        kept.push(std::hint::black_box(vec![1u8; 1 << 20]));
    }
}

osier_plugin::export!(Hostile: listentry);
