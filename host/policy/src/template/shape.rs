//! Which exported interfaces are templates.

use osier_engine::plugin::hooks::is_hook;
use osier_engine::plugin::{Function, Interface, Record, Type};

use crate::output;

/// What is done with a template; Mixer's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variety {
    /// Asked before a call passes: one record or nothing, answered by a decision or an outcome.
    Check,
    /// Told after calls have ended: `func(list<record>)`, in batches.
    Report,
    /// As `Report`, but told only how many: `report: func(u32)`.
    Count,
    /// Asked before all others: one record or nothing, answered by a record with an `output`, which becomes attributes.
    Generate,
}

/// An interface that policies can name in an action.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    /// What is done with it.
    pub(crate) variety: Variety,
    /// Full name, `osier:policy/quota@0.1.0`.
    pub(crate) interface: String,
    /// Name of the function.
    pub(crate) function: String,
    /// The record it takes.
    pub(crate) record: Option<Type>,
    /// True if its function has a result.
    pub(crate) answers: bool,
    /// What a permission tells beside the permission, by name.
    pub(crate) output: Vec<(String, osier_expressions::Type)>,
}

impl Template {
    /// The interface's own name: `quota`.
    pub(crate) fn short(&self) -> &str {
        let path = self.interface.split('@').next().unwrap_or_default();
        path.rsplit('/').next().unwrap_or(path)
    }

    /// True if a policy that says `wanted` means this template: by short name, without version, or in full.
    pub(crate) fn is_called(&self, wanted: &str) -> bool {
        let unversioned = self.interface.split('@').next().unwrap_or_default();
        wanted == self.short() || wanted == unversioned || wanted == self.interface
    }

    /// True for the templates of `osier:policy`.
    pub(crate) fn is_standard(&self) -> bool {
        self.interface.starts_with("osier:policy/")
    }
}

/// The templates among the exports, and for each other interface with functions why it is none.
pub(crate) fn recognise(interfaces: &[Interface]) -> (Vec<Template>, Vec<String>) {
    let (mut templates, mut others) = (Vec::new(), Vec::new());
    for interface in interfaces {
        if interface.name.starts_with("osier:policy/configuration@")
            || !interface.name.contains('/')
            || is_hook(&interface.name)
        {
            continue;
        }
        match read(interface) {
            Ok(template) => templates.push(template),
            Err(reason) => others.push(format!("{}: {reason}", interface.name)),
        }
    }
    (templates, others)
}

fn read(interface: &Interface) -> Result<Template, String> {
    let asked: Vec<&Function> = interface
        .functions
        .iter()
        .filter(|function| answers(function.results.as_ref()))
        .collect();
    let function = match asked[..] {
        [function] => function,
        [] => return generator(interface).unwrap_or_else(|| told(interface)),
        _ => {
            return Err(format!(
                "{} of its functions answer a decision, not one",
                asked.len()
            ));
        }
    };
    template(interface, function, record(function)?, Variety::Check)
}

/// The one record that a function takes, or nothing.
fn record(function: &Function) -> Result<Option<Type>, String> {
    match function.params.as_slice() {
        [] => Ok(None),
        [(_, record @ Type::Record(_))] => Ok(Some(record.clone())),
        _ => Err(format!(
            "`{}` must take one record or nothing",
            function.name
        )),
    }
}

/// An interface whose one function answers with an `output` generates attributes.
fn generator(interface: &Interface) -> Option<Result<Template, String>> {
    let tells = |function: &&Function| {
        let result = function.results.as_ref();
        result.is_some_and(|result| generated(result).is_some())
    };
    let mut fitting = interface.functions.iter().filter(tells);
    let function = fitting.next()?;
    if fitting.next().is_some() {
        return Some(Err(
            "more than one of its functions answers with an output".into()
        ));
    }
    let made = |record| template(interface, function, record, Variety::Generate);
    Some(record(function).and_then(made))
}

/// The record of a generator's answer: one with a record `output`.
fn generated(result: &Type) -> Option<Record> {
    match result {
        Type::Record(record) => {
            let output = record.fields().find(|field| field.name == "output")?;
            matches!(output.ty, Type::Record(_)).then(|| record.clone())
        }
        Type::Result(result) if result.err() == Some(Type::String) => generated(&result.ok()?),
        _ => None,
    }
}

/// An interface without a question may take reports.
fn told(interface: &Interface) -> Result<Template, String> {
    let mut fitting = (interface.functions.iter()).filter_map(|function| {
        let silent = match &function.results {
            None => true,
            Some(Type::Result(result)) => {
                result.ok().is_none() && result.err() == Some(Type::String)
            }
            Some(_) => false,
        };
        match function.params.as_slice() {
            [(_, Type::List(list))] if silent => match list.ty() {
                record @ Type::Record(_) => Some((function, Some(record), Variety::Report)),
                _ => None,
            },
            [(_, Type::U32)] if silent && function.name == "report" => {
                Some((function, None, Variety::Count))
            }
            _ => None,
        }
    });
    match (fitting.next(), fitting.next()) {
        (Some((function, record, variety)), None) => template(interface, function, record, variety),
        (None, _) => {
            Err("none of its functions answers a decision or takes a list of records".into())
        }
        _ => Err("more than one of its functions takes a list of records".into()),
    }
}

fn template(
    interface: &Interface,
    function: &Function,
    record: Option<Type>,
    variety: Variety,
) -> Result<Template, String> {
    if let Some(what) = record.as_ref().and_then(unsuitable) {
        return Err(format!(
            "`{}` takes {what}, which is not plain data",
            function.name
        ));
    }
    Ok(Template {
        variety,
        interface: interface.name.clone(),
        function: function.name.clone(),
        record,
        answers: function.results.is_some(),
        output: function.results.as_ref().map(told_by).unwrap_or_default(),
    })
}

/// True for `decision`, quota's `outcome`, and `result<either, string>`.
fn answers(result: Option<&Type>) -> bool {
    match result {
        Some(Type::Variant(variant)) => {
            let case = |name: &str| variant.cases().find(|case| case.name == name);
            let refusal = case("deny").or_else(|| case("refused"));
            let permission = case("allow").or_else(|| case("granted"));
            let record = refusal.and_then(|case| case.ty);
            permission.is_some() && matches!(record, Some(Type::Record(_)))
        }
        Some(Type::Result(result)) => {
            result.err() == Some(Type::String) && answers(result.ok().as_ref())
        }
        _ => false,
    }
}

/// The fields of `output` in what a permission carries.
fn told_by(result: &Type) -> Vec<(String, osier_expressions::Type)> {
    match result {
        Type::Result(result) => result.ok().as_ref().map(told_by).unwrap_or_default(),
        Type::Variant(variant) => {
            let mut permissions = variant.cases().filter_map(|case| match case.ty {
                Some(Type::Record(record)) if case.name == "allow-with" => Some(record),
                _ => None,
            });
            permissions.next().as_ref().map(tells).unwrap_or_default()
        }
        Type::Record(record) => tells(record),
        _ => Vec::new(),
    }
}

/// The fields of a record's `output`.
fn tells(record: &Record) -> Vec<(String, osier_expressions::Type)> {
    let output = record.fields().find(|field| field.name == "output");
    match output.map(|field| field.ty) {
        Some(Type::Record(output)) => output::fields(&output),
        _ => Vec::new(),
    }
}

/// The first thing in a type that cannot be passed as plain data.
fn unsuitable(ty: &Type) -> Option<&'static str> {
    match ty {
        Type::Own(_) | Type::Borrow(_) => Some("a resource"),
        Type::Future(_) | Type::Stream(_) | Type::ErrorContext => Some("a stream or future"),
        Type::Record(record) => record.fields().find_map(|field| unsuitable(&field.ty)),
        Type::Option(option) => unsuitable(&option.ty()),
        Type::List(list) => unsuitable(&list.ty()),
        Type::Tuple(tuple) => tuple.types().find_map(|ty| unsuitable(&ty)),
        Type::Variant(variant) => variant
            .cases()
            .find_map(|case| case.ty.as_ref().and_then(unsuitable)),
        _ => None,
    }
}

/// A type as WIT writes it.
pub(crate) fn show(ty: &Type) -> String {
    match ty {
        Type::Bool => "bool".into(),
        Type::S8 => "s8".into(),
        Type::U8 => "u8".into(),
        Type::S16 => "s16".into(),
        Type::U16 => "u16".into(),
        Type::S32 => "s32".into(),
        Type::U32 => "u32".into(),
        Type::S64 => "s64".into(),
        Type::U64 => "u64".into(),
        Type::Float32 => "f32".into(),
        Type::Float64 => "f64".into(),
        Type::Char => "char".into(),
        Type::String => "string".into(),
        Type::List(list) => format!("list<{}>", show(&list.ty())),
        Type::Option(option) => format!("option<{}>", show(&option.ty())),
        Type::Tuple(tuple) => {
            let types: Vec<String> = tuple.types().map(|ty| show(&ty)).collect();
            format!("tuple<{}>", types.join(", "))
        }
        Type::Record(record) => {
            let fields: Vec<&str> = record.fields().map(|field| field.name).collect();
            format!("record {{{}}}", fields.join(", "))
        }
        Type::Enum(cases) => format!("one of {}", cases.names().collect::<Vec<_>>().join(", ")),
        Type::Variant(variant) => {
            let cases: Vec<&str> = variant.cases().map(|case| case.name).collect();
            format!("variant {{{}}}", cases.join(", "))
        }
        _ => "a type that policies cannot fill".into(),
    }
}
