//! What can be wrong with an object: all faults at once, each with its field.

pub use osier_spec::Fault;

/// Why a Plugin object cannot be loaded. Nothing that runs is touched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// Fields of the object are wrong.
    #[error("plugin {plugin}: {}", .faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Spec {
        /// The object.
        plugin: String,
        /// Every fault.
        faults: Vec<Fault>,
    },
    /// The bytes are not a component that can be used.
    #[error("plugin {plugin}: spec.image: {source}")]
    Component {
        /// The object.
        plugin: String,
        /// What the engine says.
        source: osier_engine::ComponentError,
    },
    /// The bytes are not those that the object pins.
    #[error(
        "plugin {plugin}: spec.digest: the image has digest {found}, not {wanted}; correct the digest or fetch the right image"
    )]
    Digest {
        /// The object.
        plugin: String,
        /// Of the bytes.
        found: String,
        /// Of the object.
        wanted: String,
    },
    /// The component answers no template.
    #[error(
        "plugin {plugin}: spec.image: the component exports no template and no hook; export an interface such as osier:policy/authorization@0.1.0 ({found})"
    )]
    NoTemplate {
        /// The object.
        plugin: String,
        /// What it does export and why that is none.
        found: String,
    },
    /// The component exports a hook that this host cannot call.
    #[error("plugin {plugin}: spec.image: {reason}")]
    Hook {
        /// The object.
        plugin: String,
        /// Which and why.
        reason: String,
    },
    /// The plugin refuses its configuration.
    #[error("plugin {plugin}: spec.config: {reason}")]
    Refused {
        /// The object.
        plugin: String,
        /// In the plugin's words.
        reason: String,
    },
    /// A first instance could not be made.
    #[error("plugin {plugin}: the first instance failed: {source}; see spec.limits")]
    Probe {
        /// The object.
        plugin: String,
        /// What the engine says.
        source: osier_engine::CallError,
    },
}

/// The status of a call that is refused because a plugin gave no answer.
pub(crate) const NO_ANSWER: u16 = 500;
/// The same because the plugin is not there, as while it is being loaded: it may be there when the call is made again.
pub(crate) const NOT_THERE: u16 = 503;

/// What to do with a call when a plugin gives no answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FailurePolicy {
    /// Refuse the call.
    #[default]
    Fail,
    /// Let it pass as if the plugin had not been asked.
    Ignore,
}

/// Why a plugin is not there, and what its object says about calls that it should have answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unavailable {
    /// Why, for logs and status.
    pub reason: String,
    /// `spec.failurePolicy` of the Plugin object; Fail if there is no object.
    pub failure: FailurePolicy,
}
