//! Actions with a hook: read, and held to what the hook can mean.

use std::sync::Arc;

use osier_engine::plugin::hooks::Hook;
use serde_json::{Map, Value as Json};

use super::{Action, Missing};
use crate::fault::Fault;
use crate::hook::{Asked, Kind, Step};
use crate::plugin::{Plugin, unknown};
use osier_capabilities::Families;

/// Where plugins are found, and where their verdicts are counted.
type Finder<'f> = (
    &'f dyn Fn(&str) -> Result<Arc<Plugin>, Missing>,
    &'f Families,
);

/// Kinds of one action.
const MAX_KINDS: usize = 64;
/// Never reviewed by a plugin: whoever locks himself out with a policy must be able to remove it.
const OWN_GROUP: &str = "policy.osier.dev";

/// Reads one action; `path` is its path.
pub(super) fn step(finder: Finder<'_>, path: &str, action: &Json) -> Result<Step, Vec<Fault>> {
    let mut faults = Vec::new();
    let Some(fields) = action.as_object() else {
        return Err(vec![Fault::new(path, "must be an object")]);
    };
    if fields
        .get("template")
        .is_some_and(|template| !template.is_null())
    {
        let detail = "template and hook exclude each other; remove one";
        return Err(vec![Fault::new(format!("{path}.template"), detail)]);
    }
    unknown(&mut faults, path, fields, &["plugin", "hook", "kinds"]);
    let text = |name: &str| fields.get(name).and_then(Json::as_str).unwrap_or_default();
    let names = Hook::ALL.map(Hook::name).join(", ");
    let hook = Hook::of(text("hook"));
    if hook.is_none() {
        faults.push(Fault::new(
            format!("{path}.hook"),
            format!("must be one of {names}"),
        ));
    }
    if text("plugin").is_empty() {
        faults.push(Fault::new(format!("{path}.plugin"), "is required"));
    }
    let kinds = kinds(fields.get("kinds"), path, &mut faults);
    match hook {
        Some(Hook::Admit) if kinds.is_empty() => {
            let detail = "name the kinds to review, such as [{group: apps, kind: Deployment}]";
            faults.push(Fault::new(format!("{path}.kinds"), detail));
        }
        Some(hook) if hook != Hook::Admit && !kinds.is_empty() => {
            let detail = "goes with hook admit only; remove the field";
            faults.push(Fault::new(format!("{path}.kinds"), detail));
        }
        _ => {}
    }
    let Some(hook) = hook.filter(|_| faults.is_empty()) else {
        return Err(faults);
    };
    let asked = asked(finder, path, text("plugin"), hook)?;
    Ok(Step { hook, kinds, asked })
}

fn asked(finder: Finder<'_>, path: &str, name: &str, hook: Hook) -> Result<Asked, Vec<Fault>> {
    match (finder.0)(name) {
        Ok(plugin) if !plugin.hooks().answers(hook) => {
            let (hooks, templates) = (plugin.hooks().names(), plugin.template_names());
            let answers = match (hooks.is_empty(), templates.is_empty()) {
                (false, _) => format!("it answers the hooks {}", hooks.join(", ")),
                (true, false) => format!("it answers templates: {}", templates.join(", ")),
                (true, true) => "it answers nothing".to_owned(),
            };
            let detail = format!(
                "plugin {name} does not answer hook {}; {answers}",
                hook.name()
            );
            Err(vec![Fault::new(format!("{path}.hook"), detail)])
        }
        Ok(plugin) => Ok(Asked::Plugin {
            verdicts: Box::new(finder.1.verdicts(plugin.label(), hook.name())),
            plugin,
        }),
        Err(Missing::Fault(detail)) => Err(vec![Fault::new(format!("{path}.plugin"), detail)]),
        Err(Missing::Unavailable(missing)) => Ok(Asked::Unavailable {
            plugin: name.into(),
            missing,
        }),
    }
}

fn kinds(given: Option<&Json>, path: &str, faults: &mut Vec<Fault>) -> Vec<Kind> {
    let given = match given {
        None | Some(Json::Null) => return Vec::new(),
        Some(Json::Array(kinds)) if kinds.len() <= MAX_KINDS => kinds,
        Some(_) => {
            let detail = format!("must be a list of at most {MAX_KINDS} {{group, kind}}");
            faults.push(Fault::new(format!("{path}.kinds"), detail));
            return Vec::new();
        }
    };
    let mut kinds = Vec::with_capacity(given.len());
    for (place, one) in given.iter().enumerate() {
        let at = format!("{path}.kinds[{place}]");
        let text = |name: &str| one.get(name).and_then(Json::as_str).unwrap_or_default();
        if text("kind").is_empty() {
            faults.push(Fault::new(format!("{at}.kind"), "is required"));
        }
        if text("group") == OWN_GROUP {
            let detail = "Plugins and Policies are never reviewed by plugins, so that nobody can lock himself out; remove the entry";
            faults.push(Fault::new(format!("{at}.group"), detail));
        }
        kinds.push(Kind {
            group: text("group").to_owned(),
            kind: text("kind").to_owned(),
        });
    }
    kinds
}

/// Refuses what the hooks of a policy's actions cannot mean.
pub(super) fn suit(
    root: &Map<String, Json>,
    (actions, steps): (&[Action], &[Step]),
    faults: &mut Vec<Fault>,
) {
    for hook in Hook::ALL {
        if steps.iter().any(|step| step.hook == hook) {
            suits(hook, root, (actions, steps), faults);
        }
    }
}

/// Refuses fields of the policy that mean nothing for a hook, rather than ignoring them.
fn suits(
    hook: Hook,
    root: &Map<String, Json>,
    (actions, steps): (&[Action], &[Step]),
    faults: &mut Vec<Fault>,
) {
    let alone = actions.is_empty() && steps.iter().all(|step| step.hook == hook);
    if !hook.is_about_calls() && !alone {
        faults.push(Fault::new(
            "spec.actions",
            format!("hook {} needs a policy of its own", hook.name()),
        ));
    }
    let mut refuse = |field: &str, detail: &str| {
        let set = |value: &&Json| {
            !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty())
        };
        if root.get(field).filter(set).is_some() {
            faults.push(Fault::new(
                format!("spec.{field}"),
                format!("does not go with hook {}: {detail}", hook.name()),
            ));
        }
    };
    if !hook.is_about_calls() {
        refuse("match", "attributes are facts about calls");
        for field in ["requestHeaders", "responseHeaders"] {
            refuse(field, "an object has no headers");
        }
        for field in ["targetRefs", "selector"] {
            refuse(
                field,
                "it is not about calls; the policy's namespace says where it applies",
            );
        }
    }
    let targets = root.get("targetRefs").and_then(Json::as_array);
    let asked = |target: &Json| target["kind"] == "AuthorizationPolicy";
    if targets.is_some_and(|all| all.iter().any(asked)) {
        refuse("targetRefs", "an AuthorizationPolicy asks templates alone");
    }
    if matches!(hook, Hook::Route | Hook::Balance) {
        refuse("selector", "name the called Service in targetRefs");
    }
}
