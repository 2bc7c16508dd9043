//! One action of one policy, bound to one template of one plugin: the plan, the cache, and the call.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use osier_bounded::{Cache, Leases, Validity};
use osier_engine::plugin::{FunctionHandle, Val};
use serde_json::Value as Json;

use super::Plugin;
use crate::fault::Fault;
use crate::template::{Answer, Plan, Template, Variety, compile, decode};
use osier_capabilities::{FailureKind, Families, VerdictMetrics};
use osier_expressions::{Attributes, Vocabulary};
use osier_expressions::{EvaluationError, Type};

/// Start of the template's name that takes from an allowance.
const QUOTA: &str = "osier:policy/quota@";

/// Why there is no answer; never a permission.
#[derive(Clone, Debug)]
pub(crate) struct Unanswered(pub(crate) String);

/// An answer, and how it came about.
pub(crate) struct Asked {
    pub(crate) answer: Arc<Answer>,
    /// It came from the check cache.
    pub(crate) cached: bool,
    pub(crate) began: Instant,
    pub(crate) took: Duration,
}

/// A plugin's template with the fields of an action.
pub(crate) struct Binding {
    id: u64,
    plugin: Arc<Plugin>,
    template: String,
    label: Arc<str>,
    function: FunctionHandle,
    plan: Option<Plan>,
    output: Vec<(String, Type)>,
    variety: Variety,
    cache: Cache<Answer>,
    /// What was granted beyond what was wanted; none of a quota that is settled: each call has its own reservation then.
    leases: Option<Leases<Arc<Answer>>>,
    pub(crate) verdicts: VerdictMetrics,
}

impl std::fmt::Debug for Binding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} as {}", self.plugin, self.template)
    }
}

thread_local! {
    /// The cache key being built; its memory is kept.
    static KEY: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Binding {
    /// Binds the fields of an action to a template; `path` is the path of the action.
    pub(crate) fn new(
        plugin: Arc<Plugin>,
        wanted: &str,
        fields: &Json,
        path: &str,
        (vocabulary, families): (&Vocabulary, &Families),
    ) -> Result<Self, Vec<Fault>> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let (template, function) = find(&plugin, wanted)
            .map_err(|detail| vec![Fault::new(format!("{path}.template"), detail)])?;
        let plan = compile(template, fields, &format!("{path}.fields"), vocabulary)?;
        Ok(Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            template: template.interface.clone(),
            label: template.short().into(),
            function,
            plan,
            output: template.output.clone(),
            variety: template.variety,
            cache: Cache::default(),
            leases: template.interface.starts_with(QUOTA).then(Leases::default),
            verdicts: families.verdicts(plugin.label(), template.short()),
            plugin,
        })
    }

    pub(crate) fn plugin(&self) -> &Arc<Plugin> {
        &self.plugin
    }

    /// What its permissions tell: names and types.
    pub(crate) fn output(&self) -> &[(String, Type)] {
        &self.output
    }

    /// The template's own name.
    pub(crate) fn template(&self) -> &Arc<str> {
        &self.label
    }

    /// True if it generates attributes; it decides nothing then.
    pub(crate) fn generates(&self) -> bool {
        self.variety == Variety::Generate
    }

    /// True if asking takes something away, so that one request must not ask twice.
    pub(crate) fn charges(&self) -> bool {
        self.template.starts_with(QUOTA)
    }

    /// From now on what it reserves is settled.
    pub(crate) fn settle(&mut self) {
        self.leases = None;
    }

    /// True if it finds out who is behind a call.
    pub(crate) fn authenticates(&self) -> bool {
        self.template.starts_with("osier:policy/authentication@")
    }

    /// Builds the record for one call.
    pub(crate) fn fill<'a>(
        &'a self,
        attributes: &'a Attributes<'a>,
        place: &mut Val,
    ) -> Result<(), EvaluationError> {
        self.plan
            .as_ref()
            .map_or(Ok(()), |plan| plan.fill(attributes, place))
    }

    /// Asks the plugin about one call.
    pub(crate) fn ask<'a>(&'a self, attributes: &'a Attributes<'a>) -> Result<Asked, Unanswered> {
        if let Some(leased) = self.leased(attributes)? {
            return Ok(leased);
        }
        if !self.cache.is_used() {
            return self.call(attributes, None);
        }
        KEY.with_borrow_mut(|key| {
            key.clear();
            if let Some(plan) = &self.plan {
                plan.encode(attributes, key)
                    .map_err(|error| self.unevaluated(&error, attributes))?;
            }
            let began = Instant::now();
            match self.cache.get(key, began) {
                Some(answer) => Ok(self.known(answer, began)),
                None => self.call(attributes, Some(key)),
            }
        })
    }

    /// An answer for which the plugin was not called.
    fn known(&self, answer: Arc<Answer>, began: Instant) -> Asked {
        self.plugin.metrics.hits.inc();
        Asked {
            answer,
            cached: true,
            began,
            took: Duration::ZERO,
        }
    }

    /// A grant out of what was leased before for the same dimensions, if there is enough.
    fn leased<'a>(&'a self, attributes: &'a Attributes<'a>) -> Result<Option<Asked>, Unanswered> {
        let leases = self.leases.as_ref().filter(|leases| leases.is_used());
        let Some((leases, plan)) = leases.zip(self.plan.as_ref()) else {
            return Ok(None);
        };
        KEY.with_borrow_mut(|key| {
            key.clear();
            let wanted = plan.wanted(attributes, key);
            let wanted = wanted.map_err(|error| self.unevaluated(&error, attributes))?;
            let began = Instant::now();
            let found = leases.take(key, wanted, began).filter(|_| wanted > 0);
            Ok(found.map(|answer| self.known(answer, began)))
        })
    }

    /// Keeps what was granted beyond what was wanted, if the plugin says for how long.
    fn lease<'a>(&'a self, answer: &Arc<Answer>, attributes: &'a Attributes<'a>) {
        let Answer::Granted {
            amount,
            lease: Some(time),
            ..
        } = **answer
        else {
            return;
        };
        let (Some(leases), Some(plan)) = (&self.leases, &self.plan) else {
            return;
        };
        let mut key = Vec::new();
        if let Ok(wanted @ 1..) = plan.wanted(attributes, &mut key) {
            let left = amount.saturating_sub(wanted);
            leases.keep(&key, (left, time), answer.clone(), Instant::now());
        }
    }

    fn unevaluated(&self, error: &EvaluationError, attributes: &Attributes<'_>) -> Unanswered {
        let culprit = self.plan.as_ref().map(|plan| plan.culprit(attributes));
        let field = match culprit.filter(|path| !path.is_empty()) {
            Some(path) => format!("field {path}"),
            None => "a field".to_owned(),
        };
        let what = format!(
            "{field} of template {} cannot be computed: {error}",
            self.label
        );
        self.plugin.failed(FailureKind::Expression, &what);
        Unanswered(what)
    }

    /// Calls into an instance. After any error the instance is dropped.
    fn call<'a>(
        &'a self,
        attributes: &'a Attributes<'a>,
        key: Option<&[u8]>,
    ) -> Result<Asked, Unanswered> {
        let plugin = &self.plugin;
        let mut instance = plugin.instance()?;
        let mut tree = instance.take_tree(self.id);
        if let Some(plan) = &self.plan {
            if tree.is_empty() {
                tree.push(Val::Bool(false));
            }
            if let Err(error) = plan.fill(attributes, &mut tree[0]) {
                // The guest has not seen the call; only the half-filled tree is of no more use.
                plugin.give(instance);
                return Err(self.unevaluated(&error, attributes));
            }
        }
        let began = Instant::now();
        let ((), mut instance) = plugin.observed(instance, |instance| {
            instance
                .guest
                .call(self.function, &tree, &mut instance.results)
        })?;
        let took = began.elapsed();
        let answer = decode(&mut instance.results[0]);
        let lost = instance.guest.lost();
        instance.keep_tree(self.id, tree);
        plugin.give(instance);
        let answer = answer.map_err(|what| {
            plugin.failed(FailureKind::Answer, &what);
            Unanswered(what)
        })?;
        let refused = matches!(answer, Answer::Deny { .. } | Answer::Refused { .. });
        if let Some(lost) = lost.filter(|_| refused) {
            return Err(plugin.forsaken(lost));
        }
        self.keep(&answer, attributes, key);
        let answer = Arc::new(answer);
        self.lease(&answer, attributes);
        Ok(Asked {
            answer,
            cached: false,
            began,
            took,
        })
    }

    /// Puts an answer with a validity into the cache.
    fn keep<'a>(&'a self, answer: &Answer, attributes: &'a Attributes<'a>, key: Option<&[u8]>) {
        let validity = match answer {
            Answer::Allow { validity, .. }
            | Answer::Deny { validity, .. }
            | Answer::Generated { validity, .. } => *validity,
            _ => Validity::default(),
        };
        if validity.time.is_none() {
            return;
        }
        let now = Instant::now();
        match (key, &self.plan) {
            (Some(key), _) => self.cache.put(key, answer, validity, now),
            (None, None) => self.cache.put(&[], answer, validity, now),
            (None, Some(plan)) => {
                let mut key = Vec::new();
                if plan.encode(attributes, &mut key).is_ok() {
                    self.cache.put(&key, answer, validity, now);
                }
            }
        }
    }
}

/// The template that an action names.
pub(super) fn find<'p>(
    plugin: &'p Plugin,
    wanted: &str,
) -> Result<(&'p Template, FunctionHandle), String> {
    let mut fitting: Vec<_> = plugin.templates.iter().collect();
    fitting.retain(|(template, _)| template.is_called(wanted));
    match fitting[..] {
        [(template, function)] => Ok((template, *function)),
        [] => Err(format!(
            "plugin {} does not answer template `{wanted}`; it answers {}",
            plugin.label(),
            plugin.template_names().join(", ")
        )),
        _ => Err(format!(
            "`{wanted}` may be any of {}; write one in full",
            fitting
                .iter()
                .map(|(template, _)| template.interface.as_str())
                .collect::<Vec<_>>()
                .join(", ")
        )),
    }
}
