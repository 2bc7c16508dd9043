//! Actions that generate attributes: Mixer's attribute generators. They are asked before everything else on their side of a call, with what the
//! host itself knows of it, and what a policy makes of their output is known to all policies that are asked afterwards.

use std::sync::Arc;
use std::time::Instant;

use serde_json::{Map, Value as Json};

use super::known::Known;
use super::{CompiledPolicy, Compiler, Missing, Mode, Told};
use crate::fault::{Fault, Unavailable};
use crate::output::Output;
use crate::plugin::{Binding, Plugin, Unanswered, unknown};
use crate::template::Answer;
use crate::verdict::{Approval, Decision, Denial, Outcome};
use osier_cel::parse;
use osier_expressions::Expression;
use osier_expressions::Type;
use osier_expressions::{Attributes, Generated, Vocabulary};

/// Attributes that one action may generate.
const MOST: usize = 64;
/// What the fields of the output are called by.
const OUTPUT: &str = "output";

/// One action that generates attributes.
#[derive(Debug)]
pub(crate) enum Generator {
    /// Ask a plugin, and make attributes of what it tells.
    Ask(Box<Asking>),
    /// The plugin could not be loaded: every call goes by the failure policy.
    Unavailable {
        plugin: Arc<str>,
        missing: Unavailable,
    },
}

#[derive(Debug)]
pub(crate) struct Asking {
    binding: Binding,
    told: Told,
    attributes: Vec<Made>,
    /// Their names, for people.
    names: String,
}

/// One attribute.
#[derive(Debug)]
struct Made {
    place: u16,
    name: Arc<str>,
    value: Expression,
}

impl Generator {
    /// Reads one action; `path` is its path.
    pub(super) fn compile(
        compiler: &Compiler<'_>,
        path: &str,
        action: &Json,
    ) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let Some(fields) = action.as_object() else {
            return Err(vec![Fault::new(path, "must be an object")]);
        };
        unknown(
            &mut faults,
            path,
            fields,
            &["plugin", "template", "fields", "attributes"],
        );
        let text = |name: &str| fields.get(name).and_then(Json::as_str).unwrap_or_default();
        let (plugin, template) = (text("plugin"), text("template"));
        for (name, given) in [("plugin", plugin), ("template", template)] {
            if given.is_empty() {
                faults.push(Fault::new(format!("{path}.{name}"), "is required"));
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let bound = match (compiler.plugin_of)(plugin) {
            Ok(found) => bind(compiler, path, (found, template), fields)?,
            Err(Missing::Fault(detail)) => {
                return Err(vec![Fault::new(format!("{path}.plugin"), detail)]);
            }
            Err(Missing::Unavailable(missing)) => {
                let plugin = plugin.into();
                return Ok(Self::Unavailable { plugin, missing });
            }
        };
        let named = fields.get("attributes").unwrap_or(&Json::Null);
        Asking::new(compiler.vocabulary, path, bound, named)
            .map(|asking| Self::Ask(Box::new(asking)))
    }

    /// The plugin, if it is there.
    pub(super) fn plugin(&self) -> Option<&Arc<Plugin>> {
        match self {
            Self::Ask(asking) => Some(asking.binding.plugin()),
            Self::Unavailable { .. } => None,
        }
    }
}

fn bind(
    compiler: &Compiler<'_>,
    path: &str,
    (plugin, template): (Arc<Plugin>, &str),
    fields: &Map<String, Json>,
) -> Result<Binding, Vec<Fault>> {
    let none = Json::Object(Map::new());
    let given = fields.get("fields").filter(|given| !given.is_null());
    let known = (compiler.vocabulary, compiler.families);
    let binding = Binding::new(plugin, template, given.unwrap_or(&none), path, known)?;
    if binding.generates() {
        return Ok(binding);
    }
    let detail =
        format!("does not go with template {template}, which generates none; remove the field");
    Err(vec![Fault::new(format!("{path}.attributes"), detail)])
}

impl Asking {
    fn new(
        vocabulary: &Vocabulary,
        path: &str,
        binding: Binding,
        named: &Json,
    ) -> Result<Self, Vec<Fault>> {
        let path = format!("{path}.attributes");
        let named = match named.as_object() {
            Some(named) if (1..=MOST).contains(&named.len()) => named,
            _ => {
                let detail = format!(
                    "must name 1 to {MOST} attributes, each with an expression over output.FIELD"
                );
                return Err(vec![Fault::new(path, detail)]);
            }
        };
        let (spoken, told) = speaking(vocabulary, &path, binding.output())?;
        let (mut attributes, mut faults) = (Vec::new(), Vec::new());
        for (name, source) in named {
            let at = format!("{path}[{name}]");
            match attribute(vocabulary, &spoken, (name, source)) {
                Ok(made) => attributes.push(made),
                Err(detail) => faults.push(Fault::new(at, detail)),
            }
        }
        let names: Vec<&str> = attributes.iter().map(|made: &Made| &*made.name).collect();
        let names = names.join(", ");
        match faults.is_empty() {
            true => Ok(Self {
                binding,
                told,
                attributes,
                names,
            }),
            false => Err(faults),
        }
    }
}

/// The vocabulary of an action's expressions: what is known of calls, and `output.FIELD`.
fn speaking(
    vocabulary: &Vocabulary,
    path: &str,
    output: &[(String, Type)],
) -> Result<(Vocabulary, Told), Vec<Fault>> {
    let mut spoken = vocabulary.clone();
    if vocabulary.has_root(OUTPUT) {
        let detail = "attributes named output.* hide what the plugin tells; rename them in their AttributeManifest";
        return Err(vec![Fault::new(path, detail)]);
    }
    let told = Told {
        first: spoken.next(),
        fields: output.iter().map(|(field, _)| field.clone()).collect(),
    };
    for (field, ty) in output {
        let name = format!("{OUTPUT}.{}", field.replace('-', "_"));
        if !spoken.extend(&name, ty.clone(), "told by the plugin") {
            let detail = format!("`{name}` would stand for two fields of the template");
            return Err(vec![Fault::new(path, detail)]);
        }
    }
    Ok((spoken, told))
}

/// One attribute: declared by a manifest, of the type that its expression has.
fn attribute(
    vocabulary: &Vocabulary,
    spoken: &Vocabulary,
    (name, source): (&str, &Json),
) -> Result<Made, String> {
    let Some(declared) = vocabulary.get(name) else {
        return Err(format!(
            "is not declared: apply an AttributeManifest with `{name}`{}",
            vocabulary.hint(name)
        ));
    };
    let place = declared.place().and_then(|place| u16::try_from(place).ok());
    let Some(place) = place else {
        return Err("is of the standard vocabulary, which only the host states; declare another one in an AttributeManifest".into());
    };
    let source = match source {
        Json::String(source) => source.clone(),
        Json::Number(_) | Json::Bool(_) => source.to_string(),
        _ => return Err("must be an expression".into()),
    };
    let value = parse(&source)
        .and_then(|node| Expression::compile(&source, &node, spoken))
        .map_err(|error| error.to_string())?;
    if !value.ty().agrees(&declared.ty) {
        return Err(format!(
            "the expression is {}, but the attribute is declared {}",
            value.ty(),
            declared.ty
        ));
    }
    Ok(Made {
        place,
        name: name.into(),
        value,
    })
}

/// A template that generates attributes, in an action that names none.
pub(super) fn unnamed(path: &str, template: &str) -> Fault {
    let detail = format!(
        "template {template} generates attributes: name them, such as {{caller.team: output.source_labels[\"team\"]}}"
    );
    Fault::new(format!("{path}.attributes"), detail)
}

/// Refuses fields of the policy that mean nothing beside generators, rather than ignoring them.
pub(super) fn suit(
    root: &Map<String, Json>,
    generators: &[Generator],
    others: bool,
    faults: &mut Vec<Fault>,
) {
    if generators.is_empty() {
        return;
    }
    if others {
        let detail = "actions with attributes need a policy of their own, because they are asked before all others";
        faults.push(Fault::new("spec.actions", detail));
    }
    for field in ["requestHeaders", "responseHeaders", "rollout"] {
        let set = |value: &&Json| {
            !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty())
        };
        if root.get(field).filter(set).is_some() {
            let detail = "does not go with actions that generate attributes; write another policy";
            faults.push(Fault::new(format!("spec.{field}"), detail));
        }
    }
}

impl CompiledPolicy {
    /// Asks every generator in turn, if the policy's `match` holds.
    pub(crate) fn generate<'a>(
        &'a self,
        attributes: &'a Attributes<'a>,
        generated: &mut Generated,
        approval: &mut Approval,
    ) -> Result<(), Box<Denial>> {
        match self.applies(attributes) {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(reason) => {
                let failure = self.failure.unwrap_or_default();
                let decision = self.decision(&"".into(), &"".into());
                return self.unanswered(decision, failure, reason, approval);
            }
        }
        for (place, generator) in self.generators.iter().enumerate() {
            let (mut decision, failure, made) = match generator {
                Generator::Unavailable { plugin, missing } => {
                    let mut decision = self.decision(plugin, &"".into());
                    decision.place = place;
                    self.absent(decision, missing, approval)?;
                    continue;
                }
                Generator::Ask(asking) if asking.binding.plugin().makes(attributes) => continue,
                Generator::Ask(asking) => {
                    let plugin = asking.binding.plugin();
                    let mut decision = self.decision(plugin.label(), asking.binding.template());
                    let made = self.told((asking, attributes), generated, &mut decision);
                    (decision, plugin.failure_policy(), made)
                }
            };
            decision.place = place;
            match made {
                Ok(()) => approval.decisions.push(decision),
                Err(reason) => {
                    let failure = self.failure.unwrap_or(failure);
                    self.unanswered(decision, failure, reason, approval)?;
                }
            }
        }
        Ok(())
    }

    /// Asks one plugin, and adds what comes of it. In shadow mode nothing is added.
    fn told<'a>(
        &'a self,
        (asking, attributes): (&'a Asking, &'a Attributes<'a>),
        generated: &mut Generated,
        decision: &mut Decision,
    ) -> Result<(), String> {
        let binding = &asking.binding;
        decision.began = Some(Instant::now());
        let answered = binding.ask(attributes).and_then(|asked| {
            (decision.cached, decision.began, decision.took) =
                (asked.cached, Some(asked.began), asked.took);
            match &*asked.answer {
                Answer::Generated { output, .. } => Ok(output.clone()),
                _ => Err(Unanswered("the plugin answered something else".into())),
            }
        });
        let made = answered
            .map_err(|Unanswered(reason)| reason)
            .and_then(|output| asking.made(output, attributes));
        match made {
            Ok(own) => {
                binding.verdicts.allowed.inc();
                decision.outcome = Outcome::Generated;
                decision.reason.clone_from(&asking.names);
                if self.mode == Mode::Enforce {
                    generated.merge(own);
                }
                Ok(())
            }
            Err(reason) => {
                binding.verdicts.failed.inc();
                Err(reason)
            }
        }
    }
}

impl Asking {
    /// The attributes of one answer: all, or none if one cannot be computed.
    fn made(&self, output: Arc<Output>, attributes: &Attributes<'_>) -> Result<Generated, String> {
        let mut known = Known::default();
        known.learn(output, Some(&self.told), false);
        known.with(attributes, |attributes| {
            let mut own = Generated::default();
            for Made { place, name, value } in &self.attributes {
                let value = value.evaluate(attributes);
                let added = value.and_then(|value| own.add((*place, name), &value));
                added.map_err(|error| format!("attribute {name} cannot be computed: {error}"))?;
            }
            Ok(own)
        })
    }
}
