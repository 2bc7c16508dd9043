//! The macros that turn a type into a component. What they expand to exists only in Wasm builds, so that a plugin's own tests run natively.

use crate::Plugin;

/// Makes a plugin from the host's JSON.
pub fn make<P: Plugin>(json: &str) -> Result<P, String> {
    let config = serde_json::from_str(json).map_err(|error| format!("config: {error}"))?;
    P::configure(config)
}

/// Exports a plugin: its type, then the templates that it answers.
///
/// `osier_plugin::export!(Denier: checknothing, listentry);` Templates: `authorization`, `authentication`, `listentry`, `apikey`,
/// `checknothing`, `quota`; asked before all of them: `kubernetes`;
/// told afterwards: `settlement`, `metric`, `logentry`, `tracespan`, `edge`, `reportnothing`.
/// Hooks: `request_filter`, `response_filter`, `trailer_filter`, `route`, `balance`, `admit`, `schedule`.
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
    (authentication, $plugin:ty) => {
        impl $crate::bindings::authenticator::exports::osier::policy::authentication::Guest for Exported {
            fn check(
                instance: $crate::bindings::authenticator::exports::osier::policy::authentication::Instance,
            ) -> $crate::bindings::authenticator::exports::osier::policy::authentication::Decision {
                ask(|plugin| <$plugin as $crate::Authentication>::check(plugin, &instance.credential)).into()
            }
        }
        $crate::bindings::authenticator::export_authenticator!(Exported with_types_in $crate::bindings::authenticator);
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
    (kubernetes, $plugin:ty) => {
        impl $crate::bindings::surveyor::exports::osier::policy::kubernetes::Guest for Exported {
            fn generate(
                instance: $crate::types::KubernetesInstance,
            ) -> ::std::result::Result<
                $crate::bindings::surveyor::exports::osier::policy::kubernetes::Generated,
                ::std::string::String,
            > {
                ask(|plugin| <$plugin as $crate::Kubernetes>::generate(plugin, &instance)).map(Into::into)
            }
        }
        $crate::bindings::surveyor::export_surveyor!(Exported with_types_in $crate::bindings::surveyor);
    };
    (settlement, $plugin:ty) => {
        impl $crate::bindings::settler::exports::osier::policy::settlement::Guest for Exported {
            fn settle(
                instances: ::std::vec::Vec<$crate::types::SettlementInstance>,
            ) -> ::std::result::Result<(), ::std::string::String> {
                ask(|plugin| <$plugin as $crate::Settlement>::settle(plugin, &instances))
            }
        }
        $crate::bindings::settler::export_settler!(Exported with_types_in $crate::bindings::settler);
    };
    (metric, $plugin:ty) => {
        impl $crate::bindings::meter::exports::osier::policy::metric::Guest for Exported {
            fn report(
                instances: ::std::vec::Vec<$crate::types::MetricInstance>,
            ) -> ::std::result::Result<(), ::std::string::String> {
                ask(|plugin| <$plugin as $crate::Metric>::report(plugin, &instances))
            }
        }
        $crate::bindings::meter::export_meter!(Exported with_types_in $crate::bindings::meter);
    };
    (logentry, $plugin:ty) => {
        impl $crate::bindings::logger::exports::osier::policy::logentry::Guest for Exported {
            fn report(
                instances: ::std::vec::Vec<$crate::types::LogEntryInstance>,
            ) -> ::std::result::Result<(), ::std::string::String> {
                ask(|plugin| <$plugin as $crate::LogEntry>::report(plugin, &instances))
            }
        }
        $crate::bindings::logger::export_logger!(Exported with_types_in $crate::bindings::logger);
    };
    (tracespan, $plugin:ty) => {
        impl $crate::bindings::tracer::exports::osier::policy::tracespan::Guest for Exported {
            fn report(
                instances: ::std::vec::Vec<$crate::types::TraceSpanInstance>,
            ) -> ::std::result::Result<(), ::std::string::String> {
                ask(|plugin| <$plugin as $crate::TraceSpan>::report(plugin, &instances))
            }
        }
        $crate::bindings::tracer::export_tracer!(Exported with_types_in $crate::bindings::tracer);
    };
    (edge, $plugin:ty) => {
        impl $crate::bindings::cartographer::exports::osier::policy::edge::Guest for Exported {
            fn report(
                instances: ::std::vec::Vec<$crate::types::EdgeInstance>,
            ) -> ::std::result::Result<(), ::std::string::String> {
                ask(|plugin| <$plugin as $crate::Edge>::report(plugin, &instances))
            }
        }
        $crate::bindings::cartographer::export_cartographer!(Exported with_types_in $crate::bindings::cartographer);
    };
    (reportnothing, $plugin:ty) => {
        impl $crate::bindings::call_counter::exports::osier::policy::reportnothing::Guest for Exported {
            fn report(calls: u32) -> ::std::result::Result<(), ::std::string::String> {
                ask(|plugin| <$plugin as $crate::ReportNothing>::report(plugin, calls))
            }
        }
        $crate::bindings::call_counter::export_call_counter!(Exported with_types_in $crate::bindings::call_counter);
    };
    (request_filter, $plugin:ty) => {
        impl $crate::bindings::request_filter::exports::osier::filter::request::Guest for Exported {
            fn on_request(
                exchange: $crate::filter::Exchange,
                headers: Vec<$crate::bindings::host::osier::policy::types::Header>,
            ) -> $crate::bindings::filters::osier::filter::types::HeadVerdict {
                let headers = $crate::filter::Headers(&headers);
                ask(|plugin| <$plugin as $crate::filter::RequestFilter>::on_request(plugin, &exchange, headers)).into()
            }
            fn on_request_body(
                exchange: $crate::filter::Exchange,
                headers: Vec<$crate::bindings::host::osier::policy::types::Header>,
                body: Vec<u8>,
            ) -> $crate::bindings::filters::osier::filter::types::BodyVerdict {
                let headers = $crate::filter::Headers(&headers);
                ask(|plugin| <$plugin as $crate::filter::RequestFilter>::on_request_body(plugin, &exchange, headers, body)).into()
            }
        }
        $crate::bindings::request_filter::export_request_filter!(Exported with_types_in $crate::bindings::request_filter);
    };
    (response_filter, $plugin:ty) => {
        impl $crate::bindings::response_filter::exports::osier::filter::response::Guest for Exported {
            fn on_response(
                exchange: $crate::filter::Exchange,
                status: u16,
                headers: Vec<$crate::bindings::host::osier::policy::types::Header>,
            ) -> $crate::bindings::filters::osier::filter::types::HeadVerdict {
                let headers = $crate::filter::Headers(&headers);
                ask(|plugin| <$plugin as $crate::filter::ResponseFilter>::on_response(plugin, &exchange, status, headers)).into()
            }
            fn on_response_body(
                exchange: $crate::filter::Exchange,
                status: u16,
                headers: Vec<$crate::bindings::host::osier::policy::types::Header>,
                body: Vec<u8>,
            ) -> $crate::bindings::filters::osier::filter::types::BodyVerdict {
                let headers = $crate::filter::Headers(&headers);
                ask(|plugin| <$plugin as $crate::filter::ResponseFilter>::on_response_body(plugin, &exchange, status, headers, body)).into()
            }
        }
        $crate::bindings::response_filter::export_response_filter!(Exported with_types_in $crate::bindings::response_filter);
    };
    (trailer_filter, $plugin:ty) => {
        impl $crate::bindings::trailer_filter::exports::osier::filter::trailers::Guest for Exported {
            fn on_request_trailers(
                exchange: $crate::filter::Exchange,
                trailers: Vec<$crate::bindings::host::osier::policy::types::Header>,
            ) -> Vec<$crate::bindings::host::osier::policy::types::HeaderOperation> {
                let trailers = $crate::filter::Headers(&trailers);
                ask(|plugin| <$plugin as $crate::filter::TrailerFilter>::on_request_trailers(plugin, &exchange, trailers))
                    .into_header_operations()
            }
            fn on_response_trailers(
                exchange: $crate::filter::Exchange,
                trailers: Vec<$crate::bindings::host::osier::policy::types::Header>,
            ) -> Vec<$crate::bindings::host::osier::policy::types::HeaderOperation> {
                let trailers = $crate::filter::Headers(&trailers);
                ask(|plugin| <$plugin as $crate::filter::TrailerFilter>::on_response_trailers(plugin, &exchange, trailers))
                    .into_header_operations()
            }
        }
        $crate::bindings::trailer_filter::export_trailer_filter!(Exported with_types_in $crate::bindings::trailer_filter);
    };
    (route, $plugin:ty) => {
        impl $crate::bindings::router::exports::osier::extension::route::Guest for Exported {
            fn choose(
                request: $crate::extension::Request,
                headers: Vec<$crate::bindings::host::osier::policy::types::Header>,
                candidates: Vec<$crate::extension::Candidate>,
            ) -> Option<$crate::bindings::router::exports::osier::extension::route::Choice> {
                let headers = $crate::filter::Headers(&headers);
                ask(|plugin| <$plugin as $crate::extension::Route>::choose(plugin, &request, headers, &candidates)).map(Into::into)
            }
        }
        $crate::bindings::router::export_router!(Exported with_types_in $crate::bindings::router);
    };
    (balance, $plugin:ty) => {
        impl $crate::bindings::balancer::exports::osier::extension::balance::Guest for Exported {
            fn pick(
                request: $crate::extension::Request,
                headers: Vec<$crate::bindings::host::osier::policy::types::Header>,
                endpoints: Vec<$crate::extension::Endpoint>,
            ) -> Option<u32> {
                let headers = $crate::filter::Headers(&headers);
                ask(|plugin| <$plugin as $crate::extension::Balance>::pick(plugin, &request, headers, &endpoints))
                    .and_then(|place| u32::try_from(place).ok())
            }
        }
        $crate::bindings::balancer::export_balancer!(Exported with_types_in $crate::bindings::balancer);
    };
    (admit, $plugin:ty) => {
        impl $crate::bindings::admitter::exports::osier::extension::admit::Guest for Exported {
            fn judge(
                review: $crate::extension::Review,
            ) -> $crate::bindings::admitter::exports::osier::extension::admit::Verdict {
                ask(|plugin| <$plugin as $crate::extension::Admit>::review(plugin, &review)).into()
            }
        }
        $crate::bindings::admitter::export_admitter!(Exported with_types_in $crate::bindings::admitter);
    };
    (schedule, $plugin:ty) => {
        impl $crate::bindings::scheduler::exports::osier::extension::schedule::Guest for Exported {
            fn score(
                pod: $crate::extension::Pod,
                candidates: Vec<$crate::extension::Node>,
            ) -> Vec<$crate::extension::Opinion> {
                ask(|plugin| <$plugin as $crate::extension::Schedule>::score(plugin, &pod, &candidates))
            }
        }
        $crate::bindings::scheduler::export_scheduler!(Exported with_types_in $crate::bindings::scheduler);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __osier_promise {
    (request_filter, $plugin:ty) => {
        const _: fn(
            &$plugin,
            &$crate::filter::Exchange,
            $crate::filter::Headers<'_>,
        ) -> $crate::filter::HeadVerdict = <$plugin as $crate::filter::RequestFilter>::on_request;
    };
    (response_filter, $plugin:ty) => {
        const _: fn(
            &$plugin,
            &$crate::filter::Exchange,
            u16,
            $crate::filter::Headers<'_>,
        ) -> $crate::filter::HeadVerdict = <$plugin as $crate::filter::ResponseFilter>::on_response;
    };
    (trailer_filter, $plugin:ty) => {
        const _: fn(
            &$plugin,
            &$crate::filter::Exchange,
            $crate::filter::Headers<'_>,
        ) -> $crate::filter::Changes =
            <$plugin as $crate::filter::TrailerFilter>::on_request_trailers;
    };
    (route, $plugin:ty) => {
        const _: fn(
            &$plugin,
            &$crate::extension::Request,
            $crate::filter::Headers<'_>,
            &[$crate::extension::Candidate],
        ) -> Option<$crate::extension::Choice> = <$plugin as $crate::extension::Route>::choose;
    };
    (balance, $plugin:ty) => {
        const _: fn(
            &$plugin,
            &$crate::extension::Request,
            $crate::filter::Headers<'_>,
            &[$crate::extension::Endpoint],
        ) -> Option<usize> = <$plugin as $crate::extension::Balance>::pick;
    };
    (admit, $plugin:ty) => {
        const _: fn(&$plugin, &$crate::extension::Review) -> $crate::extension::Verdict =
            <$plugin as $crate::extension::Admit>::review;
    };
    (schedule, $plugin:ty) => {
        const _: fn(
            &$plugin,
            &$crate::extension::Pod,
            &[$crate::extension::Node],
        ) -> Vec<$crate::extension::Opinion> = <$plugin as $crate::extension::Schedule>::score;
    };
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
    (authentication, $plugin:ty) => {
        const _: fn(&$plugin, &str) -> $crate::Authenticated =
            <$plugin as $crate::Authentication>::check;
    };
    (checknothing, $plugin:ty) => {
        const _: fn(&$plugin) -> $crate::Decision = <$plugin as $crate::CheckNothing>::check;
    };
    (quota, $plugin:ty) => {
        const _: fn(&$plugin, &$crate::types::QuotaInstance) -> $crate::Outcome =
            <$plugin as $crate::Quota>::allocate;
    };
    (kubernetes, $plugin:ty) => {
        const _: fn(
            &$plugin,
            &$crate::types::KubernetesInstance,
        ) -> ::std::result::Result<$crate::Facts, ::std::string::String> =
            <$plugin as $crate::Kubernetes>::generate;
    };
    (settlement, $plugin:ty) => {
        const _: fn(
            &$plugin,
            &[$crate::types::SettlementInstance],
        ) -> ::std::result::Result<(), ::std::string::String> =
            <$plugin as $crate::Settlement>::settle;
    };
    (metric, $plugin:ty) => {
        const _: fn(
            &$plugin,
            &[$crate::types::MetricInstance],
        ) -> ::std::result::Result<(), ::std::string::String> = <$plugin as $crate::Metric>::report;
    };
    (logentry, $plugin:ty) => {
        const _: fn(
            &$plugin,
            &[$crate::types::LogEntryInstance],
        ) -> ::std::result::Result<(), ::std::string::String> =
            <$plugin as $crate::LogEntry>::report;
    };
    (tracespan, $plugin:ty) => {
        const _: fn(
            &$plugin,
            &[$crate::types::TraceSpanInstance],
        ) -> ::std::result::Result<(), ::std::string::String> =
            <$plugin as $crate::TraceSpan>::report;
    };
    (edge, $plugin:ty) => {
        const _: fn(
            &$plugin,
            &[$crate::types::EdgeInstance],
        ) -> ::std::result::Result<(), ::std::string::String> = <$plugin as $crate::Edge>::report;
    };
    (reportnothing, $plugin:ty) => {
        const _: fn(&$plugin, u32) -> ::std::result::Result<(), ::std::string::String> =
            <$plugin as $crate::ReportNothing>::report;
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

/// Names interfaces of the host that the plugin can do without (custom section `osier.optional`): it is loaded without their grant, and their
/// functions answer `not-granted`. `osier_plugin::optional!(b"log metrics");`
#[macro_export]
macro_rules! optional {
    ($words:literal) => {
        #[cfg(target_arch = "wasm32")]
        #[allow(
            unsafe_code,
            reason = "a link section is the only way to a custom section"
        )]
        const _: () = {
            #[used]
            #[unsafe(link_section = "osier.optional")]
            static OPTIONAL: [u8; $words.len()] = *$words;
        };
    };
}
