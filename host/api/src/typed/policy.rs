//! Plugins and policies.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Condition, views};

views! {
    /// `spec` of a Plugin.
    pub struct PluginSpec {
        /// `oci://`, `file://`, `builtin://`, or a name imported into the node.
        image: String,
        /// Pin of the component's digest.
        digest: Option<String>,
        /// Signatures that must be there.
        verify: Option<Value>,
        /// Given to the component when it is configured.
        config: Value,
        /// What it may use of the host.
        grants: PluginGrants,
        /// What it may consume.
        limits: PluginLimits,
        /// `Fail` or `Ignore`.
        failure_policy: String,
    }

    /// What a plugin may use of the host; nothing is granted unless named.
    pub struct PluginGrants {
        /// URLs it may call.
        http: Vec<String>,
        /// Buckets of host state.
        keyvalue: Vec<String>,
        /// Streams of the node's log that it may write to.
        logs: Vec<String>,
        /// Metrics that it may define.
        metrics: Vec<String>,
        /// Variables.
        env: BTreeMap<String, String>,
        /// Wall clock and timers.
        clock: bool,
        /// Random numbers.
        random: bool,
    }

    /// What a plugin may consume.
    pub struct PluginLimits {
        /// Memory of one instance.
        memory: String,
        /// Time for one call.
        deadline: String,
        /// Warm instances.
        instances: i32,
    }

    /// `status` of a Plugin.
    pub struct PluginStatus {
        /// The digest in force.
        digest: String,
        /// Interfaces that the component exports.
        interfaces: Vec<String>,
        /// Schema of its configuration.
        schema: Option<Value>,
        /// One entry per node.
        nodes: Vec<PluginNodeStatus>,
        /// `Ready`.
        conditions: Vec<Condition>,
        /// The spec's generation that this status speaks of.
        observed_generation: i64,
    }

    /// A plugin on one node.
    pub struct PluginNodeStatus {
        /// The node.
        node: String,
        /// `Loading`, `Ready`, `Failed`.
        state: String,
        /// The digest that runs there.
        digest: String,
        /// Since when.
        since: Option<String>,
        /// Why it failed.
        error: String,
        /// Calls so far.
        calls: i64,
        /// Traps so far.
        traps: i64,
        /// Calls that ran into the deadline.
        deadline_overruns: i64,
        /// Records of ended calls that found no room in their queue.
        dropped_reports: i64,
        /// It overran its limits too often lately: its calls run aside.
        aside: bool,
        /// Processor time of its calls, estimated.
        cpu_millis: i64,
        /// The spec's generation that this entry speaks of.
        observed_generation: i64,
    }

    /// `spec` of a Policy.
    pub struct PolicySpec {
        /// Whom it concerns; none means the namespace.
        target_refs: Vec<PolicyTargetRef>,
        /// Workloads it concerns.
        selector: Option<Value>,
        /// `Inbound` or `Outbound`.
        direction: String,
        /// CEL over attributes; empty means always.
        r#match: String,
        /// What is asked, in order.
        actions: Vec<PolicyAction>,
        /// What the policy changes in requests that pass.
        request_headers: Vec<PolicyHeader>,
        /// What the policy changes in responses to them.
        response_headers: Vec<PolicyHeader>,
        /// `Enforce` or `Shadow`.
        mode: String,
        /// `Fail` or `Ignore`, in place of the plugin's own word.
        failure_policy: Option<String>,
        /// Canary of another plugin version.
        rollout: Option<PolicyRollout>,
    }

    /// Whom a policy concerns.
    pub struct PolicyTargetRef {
        /// Group of the kind.
        group: String,
        /// `Service`, `Gateway` or `Namespace`.
        kind: String,
        /// Name.
        name: String,
    }

    /// What is asked.
    pub struct PolicyAction {
        /// What the fields of its output are called by: `NAME.output.FIELD`.
        name: Option<String>,
        /// The Plugin, in the policy's namespace.
        plugin: String,
        /// The interface that is called.
        template: String,
        /// The hook that is called instead of a template.
        hook: String,
        /// Kinds that hook admit reviews.
        kinds: Vec<PolicyKind>,
        /// CEL per field of the template's record.
        fields: BTreeMap<String, String>,
        /// CEL per attribute that the action generates.
        attributes: Option<BTreeMap<String, String>>,
        /// CEL for the amount of a quota.
        amount: Option<String>,
        /// CEL for what the call really used of a quota, once it has ended.
        settle: Option<String>,
        /// CEL: whether a quota may grant less than the amount.
        best_effort: Option<String>,
        /// How reports wait for their delivery.
        queue: Option<PolicyQueue>,
    }

    /// One change to a header.
    pub struct PolicyHeader {
        /// The header.
        name: String,
        /// `Set`, `Append` or `Remove`.
        operation: String,
        /// CEL for the value.
        value: Option<String>,
    }

    /// How the reports of one action wait.
    pub struct PolicyQueue {
        /// Records that may wait.
        limit: Option<i64>,
        /// `DropNewest` or `DropOldest`.
        overflow: String,
    }

    /// A kind of objects.
    pub struct PolicyKind {
        /// Its group; empty for core kinds.
        group: String,
        /// The kind.
        kind: String,
    }

    /// Canary of another plugin version.
    pub struct PolicyRollout {
        /// The Plugin that gets a part of the calls.
        plugin: String,
        /// How large a part.
        percent: i32,
        /// When to go back.
        abort_on: Option<Value>,
    }
}
