//! The macros that turn a type into a component. What they expand to exists only in Wasm builds, so that a plugin's own tests run natively.

use crate::Plugin;

/// Makes a plugin from the host's JSON.
pub fn make<P: Plugin>(json: &str) -> Result<P, String> {
    let config = serde_json::from_str(json).map_err(|error| format!("config: {error}"))?;
    P::configure(config)
}

/// Exports a plugin: its type, then the templates that it answers.
///
/// `osier_plugin::export!(Denier: checknothing, listentry);` Templates: `authorization`, `listentry`, `apikey`, `checknothing`, `quota`.
#[macro_export]
macro_rules! export {
    ($plugin:ty: $($template:ident),+ $(,)?) => {
        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, reason = "the exports of a component are foreign functions")]
        const _: () = {
            ::std::thread_local! {
                static PLUGIN: ::std::cell::OnceCell<$plugin> = const { ::std::cell::OnceCell::new() };
            }

            struct Exported;

            impl $crate::bindings::configured::exports::osier::policy::configuration::Guest for Exported {
                fn configure(json: String) -> Result<(), String> {
                    let plugin = $crate::export::make::<$plugin>(&json)?;
                    PLUGIN.with(|place| place.set(plugin).map_err(|_| "configured twice".to_owned()))
                }
            }
            $crate::bindings::configured::export_configured!(Exported with_types_in $crate::bindings::configured);

            fn ask<T>(question: impl FnOnce(&$plugin) -> T) -> T {
                PLUGIN.with(|place| match place.get() {
                    Some(plugin) => question(plugin),
                    None => ::std::process::abort(),
                })
            }
            $($crate::__osier_template!($template, $plugin);)+
        };
        // Elsewhere the same promises are checked, and nothing is exported.
        #[cfg(not(target_arch = "wasm32"))]
        const _: () = {
            const _: fn(&str) -> ::std::result::Result<$plugin, ::std::string::String> = $crate::export::make::<$plugin>;
            $($crate::__osier_promise!($template, $plugin);)+
        };
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __osier_template {
    (authorization, $plugin:ty) => {
        impl $crate::bindings::authorizer::exports::osier::policy::authorization::Guest for Exported {
            fn check(
                instance: $crate::types::AuthorizationInstance,
            ) -> $crate::bindings::host::osier::policy::types::Decision {
                ask(|plugin| <$plugin as $crate::Authorization>::check(plugin, &instance)).into()
            }
        }
        $crate::bindings::authorizer::export_authorizer!(Exported with_types_in $crate::bindings::authorizer);
    };
    (listentry, $plugin:ty) => {
        impl $crate::bindings::lister::exports::osier::policy::listentry::Guest for Exported {
            fn check(
                instance: $crate::bindings::lister::exports::osier::policy::listentry::Instance,
            ) -> $crate::bindings::host::osier::policy::types::Decision {
                ask(|plugin| <$plugin as $crate::ListEntry>::check(plugin, &instance.value)).into()
            }
        }
        $crate::bindings::lister::export_lister!(Exported with_types_in $crate::bindings::lister);
    };
    (apikey, $plugin:ty) => {
        impl $crate::bindings::key_checker::exports::osier::policy::apikey::Guest for Exported {
            fn check(
                instance: $crate::types::ApiKeyInstance,
            ) -> $crate::bindings::host::osier::policy::types::Decision {
                ask(|plugin| <$plugin as $crate::ApiKey>::check(plugin, &instance)).into()
            }
        }
        $crate::bindings::key_checker::export_key_checker!(Exported with_types_in $crate::bindings::key_checker);
    };
    (checknothing, $plugin:ty) => {
        impl $crate::bindings::gatekeeper::exports::osier::policy::checknothing::Guest for Exported {
            fn check() -> $crate::bindings::host::osier::policy::types::Decision {
                ask(<$plugin as $crate::CheckNothing>::check).into()
            }
        }
        $crate::bindings::gatekeeper::export_gatekeeper!(Exported with_types_in $crate::bindings::gatekeeper);
    };
    (quota, $plugin:ty) => {
        impl $crate::bindings::quota_keeper::exports::osier::policy::quota::Guest for Exported {
            fn allocate(
                instance: $crate::types::QuotaInstance,
            ) -> $crate::bindings::quota_keeper::exports::osier::policy::quota::Outcome {
                ask(|plugin| <$plugin as $crate::Quota>::allocate(plugin, &instance)).into()
            }
        }
        $crate::bindings::quota_keeper::export_quota_keeper!(Exported with_types_in $crate::bindings::quota_keeper);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __osier_promise {
    (authorization, $plugin:ty) => {
        const _: fn(&$plugin, &$crate::types::AuthorizationInstance) -> $crate::Decision =
            <$plugin as $crate::Authorization>::check;
    };
    (listentry, $plugin:ty) => {
        const _: fn(&$plugin, &str) -> $crate::Decision = <$plugin as $crate::ListEntry>::check;
    };
    (apikey, $plugin:ty) => {
        const _: fn(&$plugin, &$crate::types::ApiKeyInstance) -> $crate::Decision =
            <$plugin as $crate::ApiKey>::check;
    };
    (checknothing, $plugin:ty) => {
        const _: fn(&$plugin) -> $crate::Decision = <$plugin as $crate::CheckNothing>::check;
    };
    (quota, $plugin:ty) => {
        const _: fn(&$plugin, &$crate::types::QuotaInstance) -> $crate::Outcome =
            <$plugin as $crate::Quota>::allocate;
    };
}

/// Puts a JSON Schema of the configuration into the component (custom section `osier.config_schema`), so that the host refuses a wrong field
/// with its path before the plugin runs. The path is relative to the calling file.
#[macro_export]
macro_rules! config_schema {
    ($path:literal) => {
        #[cfg(target_arch = "wasm32")]
        #[allow(
            unsafe_code,
            reason = "a link section is the only way to a custom section"
        )]
        const _: () = {
            #[used]
            #[unsafe(link_section = "osier.config_schema")]
            static SCHEMA: [u8; include_bytes!($path).len()] = *include_bytes!($path);
        };
    };
}
