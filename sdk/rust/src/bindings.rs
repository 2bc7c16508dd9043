//! What wit-bindgen makes of `wit/policy`: one module per world, all sharing the types of `host`.
#![allow(
    missing_docs,
    unsafe_code,
    unreachable_pub,
    clippy::all,
    reason = "generated code; its documentation is in the WIT files"
)]

pub mod host {
    wit_bindgen::generate!({ path: "../../wit/policy", world: "host", generate_all });
}

pub mod configured {
    wit_bindgen::generate!({
        path: "../../wit/policy",
        world: "configured",
        pub_export_macro: true,
        export_macro_name: "export_configured",
        default_bindings_module: "osier_plugin::bindings::configured",
    });
}

pub mod authorizer {
    wit_bindgen::generate!({
        path: "../../wit/policy",
        world: "authorizer",
        pub_export_macro: true,
        export_macro_name: "export_authorizer",
        default_bindings_module: "osier_plugin::bindings::authorizer",
        with: { "osier:policy/types@0.1.0": crate::bindings::host::osier::policy::types },
    });
}

pub mod lister {
    wit_bindgen::generate!({
        path: "../../wit/policy",
        world: "lister",
        pub_export_macro: true,
        export_macro_name: "export_lister",
        default_bindings_module: "osier_plugin::bindings::lister",
        with: { "osier:policy/types@0.1.0": crate::bindings::host::osier::policy::types },
    });
}

pub mod key_checker {
    wit_bindgen::generate!({
        path: "../../wit/policy",
        world: "key-checker",
        pub_export_macro: true,
        export_macro_name: "export_key_checker",
        default_bindings_module: "osier_plugin::bindings::key_checker",
        with: { "osier:policy/types@0.1.0": crate::bindings::host::osier::policy::types },
    });
}

pub mod authenticator {
    wit_bindgen::generate!({
        path: "../../wit/policy",
        world: "authenticator",
        pub_export_macro: true,
        export_macro_name: "export_authenticator",
        default_bindings_module: "osier_plugin::bindings::authenticator",
        with: { "osier:policy/types@0.1.0": crate::bindings::host::osier::policy::types },
    });
}

pub mod surveyor {
    wit_bindgen::generate!({
        path: "../../wit/policy",
        world: "surveyor",
        pub_export_macro: true,
        export_macro_name: "export_surveyor",
        default_bindings_module: "osier_plugin::bindings::surveyor",
        with: { "osier:policy/types@0.1.0": crate::bindings::host::osier::policy::types },
    });
}

pub mod gatekeeper {
    wit_bindgen::generate!({
        path: "../../wit/policy",
        world: "gatekeeper",
        pub_export_macro: true,
        export_macro_name: "export_gatekeeper",
        default_bindings_module: "osier_plugin::bindings::gatekeeper",
        with: { "osier:policy/types@0.1.0": crate::bindings::host::osier::policy::types },
    });
}

pub mod quota_keeper {
    wit_bindgen::generate!({
        path: "../../wit/policy",
        world: "quota-keeper",
        pub_export_macro: true,
        export_macro_name: "export_quota_keeper",
        default_bindings_module: "osier_plugin::bindings::quota_keeper",
        with: { "osier:policy/types@0.1.0": crate::bindings::host::osier::policy::types },
    });
}

pub mod settler {
    wit_bindgen::generate!({
        path: "../../wit/policy",
        world: "settler",
        pub_export_macro: true,
        export_macro_name: "export_settler",
        default_bindings_module: "osier_plugin::bindings::settler",
        with: { "osier:policy/types@0.1.0": crate::bindings::host::osier::policy::types },
    });
}

pub mod meter {
    wit_bindgen::generate!({
        path: "../../wit/policy",
        world: "meter",
        pub_export_macro: true,
        export_macro_name: "export_meter",
        default_bindings_module: "osier_plugin::bindings::meter",
        with: { "osier:policy/types@0.1.0": crate::bindings::host::osier::policy::types },
    });
}

pub mod logger {
    wit_bindgen::generate!({
        path: "../../wit/policy",
        world: "logger",
        pub_export_macro: true,
        export_macro_name: "export_logger",
        default_bindings_module: "osier_plugin::bindings::logger",
        with: { "osier:policy/types@0.1.0": crate::bindings::host::osier::policy::types },
    });
}

pub mod tracer {
    wit_bindgen::generate!({
        path: "../../wit/policy",
        world: "tracer",
        pub_export_macro: true,
        export_macro_name: "export_tracer",
        default_bindings_module: "osier_plugin::bindings::tracer",
        with: { "osier:policy/types@0.1.0": crate::bindings::host::osier::policy::types },
    });
}

pub mod cartographer {
    wit_bindgen::generate!({
        path: "../../wit/policy",
        world: "cartographer",
        pub_export_macro: true,
        export_macro_name: "export_cartographer",
        default_bindings_module: "osier_plugin::bindings::cartographer",
        with: { "osier:policy/types@0.1.0": crate::bindings::host::osier::policy::types },
    });
}

pub mod call_counter {
    wit_bindgen::generate!({
        path: "../../wit/policy",
        world: "call-counter",
        pub_export_macro: true,
        export_macro_name: "export_call_counter",
        default_bindings_module: "osier_plugin::bindings::call_counter",
    });
}

pub mod filters {
    wit_bindgen::generate!({
        path: ["../../wit/policy", "../../wit/filter"],
        world: "osier:filter/host",
        with: { "osier:policy/types@0.1.0": crate::bindings::host::osier::policy::types },
        generate_all,
    });
}

pub mod request_filter {
    wit_bindgen::generate!({
        path: ["../../wit/policy", "../../wit/filter"],
        world: "osier:filter/request-filter",
        pub_export_macro: true,
        export_macro_name: "export_request_filter",
        default_bindings_module: "osier_plugin::bindings::request_filter",
        with: { "osier:policy/types@0.1.0": crate::bindings::host::osier::policy::types, "osier:filter/types@0.1.0": crate::bindings::filters::osier::filter::types },
    });
}

pub mod response_filter {
    wit_bindgen::generate!({
        path: ["../../wit/policy", "../../wit/filter"],
        world: "osier:filter/response-filter",
        pub_export_macro: true,
        export_macro_name: "export_response_filter",
        default_bindings_module: "osier_plugin::bindings::response_filter",
        with: { "osier:policy/types@0.1.0": crate::bindings::host::osier::policy::types, "osier:filter/types@0.1.0": crate::bindings::filters::osier::filter::types },
    });
}

pub mod trailer_filter {
    wit_bindgen::generate!({
        path: ["../../wit/policy", "../../wit/filter"],
        world: "osier:filter/trailer-filter",
        pub_export_macro: true,
        export_macro_name: "export_trailer_filter",
        default_bindings_module: "osier_plugin::bindings::trailer_filter",
        with: { "osier:policy/types@0.1.0": crate::bindings::host::osier::policy::types, "osier:filter/types@0.1.0": crate::bindings::filters::osier::filter::types },
    });
}

pub mod extensions {
    wit_bindgen::generate!({
        path: ["../../wit/policy", "../../wit/extension"],
        world: "osier:extension/host",
        generate_all,
    });
}

pub mod router {
    wit_bindgen::generate!({
        path: ["../../wit/policy", "../../wit/extension"],
        world: "osier:extension/router",
        pub_export_macro: true,
        export_macro_name: "export_router",
        default_bindings_module: "osier_plugin::bindings::router",
        with: { "osier:policy/types@0.1.0": crate::bindings::host::osier::policy::types, "osier:extension/types@0.1.0": crate::bindings::extensions::osier::extension::types },
    });
}

pub mod balancer {
    wit_bindgen::generate!({
        path: ["../../wit/policy", "../../wit/extension"],
        world: "osier:extension/balancer",
        pub_export_macro: true,
        export_macro_name: "export_balancer",
        default_bindings_module: "osier_plugin::bindings::balancer",
        with: { "osier:policy/types@0.1.0": crate::bindings::host::osier::policy::types, "osier:extension/types@0.1.0": crate::bindings::extensions::osier::extension::types },
    });
}

pub mod admitter {
    wit_bindgen::generate!({
        path: ["../../wit/policy", "../../wit/extension"],
        world: "osier:extension/admitter",
        pub_export_macro: true,
        export_macro_name: "export_admitter",
        default_bindings_module: "osier_plugin::bindings::admitter",
        with: {  },
    });
}

pub mod scheduler {
    wit_bindgen::generate!({
        path: ["../../wit/policy", "../../wit/extension"],
        world: "osier:extension/scheduler",
        pub_export_macro: true,
        export_macro_name: "export_scheduler",
        default_bindings_module: "osier_plugin::bindings::scheduler",
        with: {  },
    });
}
