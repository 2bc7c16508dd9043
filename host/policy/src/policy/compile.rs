//! From `Policy.spec` to a [`CompiledPolicy`]: every fault at once, nothing left to fail at run time but what is stated.

use std::sync::Arc;

use osier_bounded::{Overflow, QueueTerms};
use serde_json::{Map, Value as Json};

use super::generator::Generator;
use super::outputs::Names;
use super::{
    Action, CompiledPolicy, HeaderRule, Missing, Mode, Rollout, generator, headers, hooks, targets,
};
use crate::fault::{FailurePolicy, Fault};
use crate::hook::Step;
use crate::key::ObjectKey;
use crate::plugin::{Binding, Plugin, Reporting, failure, unknown};
use osier_capabilities::Families;
use osier_expressions::Condition;
use osier_expressions::Vocabulary;

/// Actions of one policy.
const MAX_ACTIONS: usize = 16;
/// Records that one action may keep waiting.
const MAX_QUEUE: u64 = 100_000;
/// Templates that are told: no call is refused because their plugin is not there.
const TOLD: [&str; 6] = [
    "metric",
    "logentry",
    "tracespan",
    "edge",
    "reportnothing",
    "settlement",
];

/// What a policy does, by plugins: with a template, with a hook, to what is known of calls.
#[derive(Default)]
pub(super) struct Deeds {
    pub(super) actions: Vec<Action>,
    pub(super) steps: Vec<Step>,
    generators: Vec<Generator>,
}

/// Compiles one policy.
pub(crate) struct Compiler<'c> {
    pub(crate) vocabulary: &'c Vocabulary,
    pub(crate) families: &'c Families,
    /// The plugin of a name, or why there is none.
    pub(crate) plugin_of: &'c dyn Fn(&str) -> Result<Arc<Plugin>, Missing>,
}

impl Compiler<'_> {
    pub(crate) fn compile(
        &self,
        key: &ObjectKey,
        spec: &Json,
    ) -> Result<CompiledPolicy, Vec<Fault>> {
        let mut faults = Vec::new();
        let Some(root) = spec.as_object() else {
            return Err(vec![Fault::new("spec", "must be an object")]);
        };
        let known = [
            "targetRefs",
            "selector",
            "direction",
            "match",
            "actions",
            "requestHeaders",
            "responseHeaders",
            "mode",
            "failurePolicy",
            "rollout",
        ];
        unknown(&mut faults, "spec", root, &known);
        let targets = targets::targets(root, &mut faults);
        let direction = targets::direction(root.get("direction"), &targets, &mut faults);
        let condition = self.condition(root.get("match"), &mut faults);
        let (headers, deeds) = self.deeds(root, &mut faults);
        let Deeds {
            actions,
            steps,
            generators,
        } = deeds;
        let rollout = Rollout::compile(self, root, (&actions, &steps), &mut faults);
        let mode = mode(root.get("mode"), &mut faults);
        let failure: Option<FailurePolicy> =
            failure(&mut faults, "spec.failurePolicy", root.get("failurePolicy"));
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(CompiledPolicy {
            key: key.clone(),
            label: key.label(),
            targets,
            direction,
            condition,
            actions,
            steps,
            generators,
            headers,
            mode,
            failure,
            rollout,
        })
    }

    /// What the policy does: to headers, by plugins with a template, by plugins with a hook.
    fn deeds(
        &self,
        root: &Map<String, Json>,
        faults: &mut Vec<Fault>,
    ) -> ([Vec<HeaderRule>; 2], Deeds) {
        let fields = ["requestHeaders", "responseHeaders"];
        let mut own = Vec::new();
        let mut names = Names::new(self.vocabulary);
        let deeds = match root.get("actions") {
            None | Some(Json::Null) if fields.iter().any(|field| headers::some(root, field)) => {
                Deeds::default()
            }
            actions => self.actions(actions, &mut names, &mut own),
        };
        // Headers may name what actions tell; their faults are told first.
        let headers = fields.map(|field| headers::read(root, field, &names, faults));
        faults.append(&mut own);
        let (actions, steps) = (&deeds.actions, &deeds.steps);
        hooks::suit(root, (actions, steps), faults);
        let others = !actions.is_empty() || !steps.is_empty();
        generator::suit(root, &deeds.generators, others, faults);
        if headers.iter().all(Vec::is_empty) {
            told_only(root, actions, steps, faults);
        }
        (headers, deeds)
    }

    fn condition(&self, source: Option<&Json>, faults: &mut Vec<Fault>) -> Option<Condition> {
        let source = match source {
            None | Some(Json::Null) => return None,
            Some(Json::String(source)) if source.trim().is_empty() => return None,
            Some(Json::String(source)) => source.clone(),
            Some(Json::Bool(constant)) => constant.to_string(),
            Some(_) => {
                faults.push(Fault::new("spec.match", "must be an expression"));
                return None;
            }
        };
        Condition::compile(&source, self.vocabulary)
            .map_err(|error| faults.push(Fault::new("spec.match", error.to_string())))
            .ok()
    }

    /// What an action tells is added to the vocabulary of those that follow.
    pub(super) fn actions(
        &self,
        actions: Option<&Json>,
        names: &mut Names<'_>,
        faults: &mut Vec<Fault>,
    ) -> Deeds {
        let mut deeds = Deeds::default();
        let actions = match actions.and_then(Json::as_array).map(Vec::as_slice) {
            Some(actions @ [_, ..]) => actions,
            _ => {
                faults.push(Fault::new(
                    "spec.actions",
                    "name at least one plugin and template or hook",
                ));
                return deeds;
            }
        };
        if actions.len() > MAX_ACTIONS {
            faults.push(Fault::new(
                "spec.actions",
                format!("has more than {MAX_ACTIONS} entries"),
            ));
        }
        for (place, action) in actions.iter().enumerate() {
            let path = format!("spec.actions[{place}]");
            if action.get("hook").is_some_and(|hook| !hook.is_null()) {
                match hooks::step((self.plugin_of, self.families), &path, action) {
                    Ok(step) => deeds.steps.push(step),
                    Err(own) => faults.extend(own),
                }
                continue;
            }
            if action
                .get("attributes")
                .is_some_and(|names| !names.is_null())
            {
                match Generator::compile(self, &path, action) {
                    Ok(generator) => deeds.generators.push(generator),
                    Err(own) => faults.extend(own),
                }
                continue;
            }
            match self.action(&path, action, names) {
                Ok(own) => deeds.actions.extend(own),
                Err(own) => {
                    faults.extend(own);
                    continue;
                }
            }
            match self.settling(&path, action) {
                Ok(own) => deeds.actions.extend(own),
                Err(own) => faults.extend(own),
            }
        }
        deeds
    }

    /// None for a report to a plugin that is not there: no call is refused for it.
    fn action(
        &self,
        path: &str,
        action: &Json,
        names: &mut Names<'_>,
    ) -> Result<Option<Action>, Vec<Fault>> {
        let mut faults = Vec::new();
        let Some(fields) = action.as_object() else {
            return Err(vec![Fault::new(path, "must be an object")]);
        };
        unknown(
            &mut faults,
            path,
            fields,
            &[
                "name",
                "plugin",
                "template",
                "hook",
                "fields",
                "amount",
                "bestEffort",
                "settle",
                "queue",
            ],
        );
        let mut text = |name: &str| match fields.get(name).and_then(Json::as_str) {
            Some(text) if !text.is_empty() => text,
            _ => {
                faults.push(Fault::new(format!("{path}.{name}"), "is required"));
                ""
            }
        };
        let (plugin, template) = (text("plugin"), text("template"));
        if !faults.is_empty() {
            return Err(faults);
        }
        let given = given(fields, path)?;
        let terms = queue_terms(fields.get("queue"), path)?;
        if let Some(missing) = names.lacks(&given) {
            return Ok(Some(missing));
        }
        let vocabulary = names.vocabulary();
        let mut action = self.bind((plugin, template), (&given, terms), path, vocabulary)?;
        if let (Some(Action::Ask(binding, _)), true) = (&mut action, settles(fields)) {
            binding.settle();
        }
        if let Some(name) = fields.get("name").filter(|name| !name.is_null()) {
            let fault = |detail| vec![Fault::new(format!("{path}.name"), detail)];
            names.add(name, action.as_mut()).map_err(fault)?;
        }
        Ok(action)
    }

    /// The report that settles what a quota reserves.
    fn settling(&self, path: &str, action: &Json) -> Result<Option<Action>, Vec<Fault>> {
        let Some(used) = action.get("settle").filter(|used| !used.is_null()) else {
            return Ok(None);
        };
        let text = |name: &str| {
            let value = action.get(name).and_then(Json::as_str);
            value.unwrap_or_default()
        };
        let settle = format!("{path}.settle");
        if short(text("template")) != "quota" {
            let detail = "goes with template quota, which reserves what this settles";
            return Err(vec![Fault::new(settle, detail)]);
        }
        let mut fields = action.get("fields").and_then(Json::as_object).map(expand);
        let fields = fields.get_or_insert_default();
        fields.retain(|name, _| ["dimensions", "deduplication-id"].contains(&name.as_str()));
        fields.insert("used".to_owned(), used.clone());
        let given = Json::Object(std::mem::take(fields));
        let asked = (text("plugin"), "settlement");
        let bound = self.bind(asked, (&given, None), path, self.vocabulary);
        // Faults of the other fields were told for the quota.
        bound.map_err(|faults| {
            let told = faults
                .into_iter()
                .map(|fault| Fault::new(&settle, fault.detail));
            told.collect()
        })
    }

    fn bind(
        &self,
        (plugin, template): (&str, &str),
        (given, terms): (&Json, Option<QueueTerms>),
        path: &str,
        vocabulary: &Vocabulary,
    ) -> Result<Option<Action>, Vec<Fault>> {
        match (self.plugin_of)(plugin) {
            Ok(plugin) if Reporting::is_meant(&plugin, template) => Reporting::new(
                plugin,
                template,
                (given, terms.unwrap_or_default()),
                path,
                // When a call has ended nothing is known of what actions told.
                (self.vocabulary, self.families),
            )
            .map(|reporting| Some(Action::Tell(Arc::new(reporting)))),
            Ok(_) if terms.is_some() => Err(vec![Fault::new(
                format!("{path}.queue"),
                format!("template {template} answers at once; only reports wait in a queue"),
            )]),
            Ok(plugin) => {
                let known = (vocabulary, self.families);
                let binding = Binding::new(plugin, template, given, path, known)?;
                match binding.generates() {
                    true => Err(vec![generator::unnamed(path, template)]),
                    false => Ok(Some(Action::Ask(Box::new(binding), None))),
                }
            }
            Err(Missing::Fault(detail)) => Err(vec![Fault::new(format!("{path}.plugin"), detail)]),
            Err(Missing::Unavailable(_)) if TOLD.contains(&short(template)) => Ok(None),
            Err(Missing::Unavailable(missing)) => Ok(Some(Action::Unavailable {
                plugin: plugin.into(),
                missing,
            })),
        }
    }
}

fn mode(given: Option<&Json>, faults: &mut Vec<Fault>) -> Mode {
    match given.map(Json::as_str) {
        None | Some(Some("Enforce")) => Mode::Enforce,
        Some(Some("Shadow")) => Mode::Shadow,
        Some(_) => {
            faults.push(Fault::new("spec.mode", "must be Enforce or Shadow"));
            Mode::Enforce
        }
    }
}

/// Nobody waits for a report, so there is no answer to miss.
fn told_only(
    root: &Map<String, Json>,
    actions: &[Action],
    steps: &[Step],
    faults: &mut Vec<Fault>,
) {
    let set = (root.get("failurePolicy")).is_some_and(|policy| !policy.is_null());
    let told = |action: &Action| matches!(action, Action::Tell(_));
    if set && steps.is_empty() && !actions.is_empty() && actions.iter().all(told) {
        faults.push(Fault::new(
            "spec.failurePolicy",
            "means nothing for reports, which no call waits for; remove the field",
        ));
    }
}

/// True of a quota whose cost is told when a call has ended.
fn settles(action: &Map<String, Json>) -> bool {
    action.get("settle").is_some_and(|used| !used.is_null())
}

/// `quota` of `osier:policy/quota@0.1.0`.
fn short(template: &str) -> &str {
    let path = template.split('@').next().unwrap_or_default();
    path.rsplit('/').next().unwrap_or(path)
}

/// `queue` of an action whose template is told.
fn queue_terms(given: Option<&Json>, path: &str) -> Result<Option<QueueTerms>, Vec<Fault>> {
    let path = format!("{path}.queue");
    let queue = match given {
        None | Some(Json::Null) => return Ok(None),
        Some(Json::Object(queue)) => queue,
        Some(_) => return Err(vec![Fault::new(path, "must be an object")]),
    };
    let (mut faults, mut terms) = (Vec::new(), QueueTerms::default());
    unknown(&mut faults, &path, queue, &["limit", "overflow"]);
    match queue.get("limit").map(Json::as_u64) {
        None => {}
        Some(Some(limit @ 1..=MAX_QUEUE)) => terms.limit = limit as usize,
        Some(_) => faults.push(Fault::new(
            format!("{path}.limit"),
            format!("must be a number of records from 1 to {MAX_QUEUE}"),
        )),
    }
    match queue.get("overflow").map(Json::as_str) {
        None | Some(Some("DropNewest")) => {}
        Some(Some("DropOldest")) => terms.overflow = Overflow::DropOldest,
        Some(_) => faults.push(Fault::new(
            format!("{path}.overflow"),
            "must be DropNewest or DropOldest",
        )),
    }
    match faults.is_empty() {
        true => Ok(Some(terms)),
        false => Err(faults),
    }
}

/// The fields of an action, with `amount` and `bestEffort` at their places.
fn given(action: &Map<String, Json>, path: &str) -> Result<Json, Vec<Fault>> {
    let mut fields = match action.get("fields") {
        None | Some(Json::Null) => Map::new(),
        Some(Json::Object(fields)) => expand(fields),
        Some(_) => {
            return Err(vec![Fault::new(
                format!("{path}.fields"),
                "must be an object of expressions",
            )]);
        }
    };
    for (name, field) in [("amount", "amount"), ("bestEffort", "best-effort")] {
        if let Some(value) = action.get(name).filter(|value| !value.is_null()) {
            fields.insert(field.to_owned(), value.clone());
        }
    }
    Ok(Json::Object(fields))
}

/// `{"a.b": x}` as `{"a": {"b": x}}`.
fn expand(fields: &Map<String, Json>) -> Map<String, Json> {
    let mut nested = Map::new();
    for (name, value) in fields {
        let mut place = &mut nested;
        let mut parts = name.split('.').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                let value = match value {
                    Json::Object(inner) => Json::Object(expand(inner)),
                    other => other.clone(),
                };
                place.insert(part.to_owned(), value);
                break;
            }
            let inner = place
                .entry(part.to_owned())
                .or_insert_with(|| Json::Object(Map::new()));
            match inner {
                Json::Object(inner) => place = inner,
                _ => break,
            }
        }
    }
    nested
}
