//! The type checker: names resolved against the vocabulary, one type for every node, and a proof that nothing absent is used where a value
//! is needed. Presence is narrowed by `has(..)`, `in` and `==` on the left of `&&`, `||` and `?:`.

mod calls;
mod loops;
mod presence;

use std::collections::BTreeSet;

use super::typed::{Checked, Op, Typed};
use crate::attributes::Vocabulary;
use crate::value::{Type, Value};
use osier_cel::{CompileError, Kind, Literal, Node, Span};
use presence::Fact;

/// Loops inside loops.
pub(crate) const MAX_LOOPS: usize = 3;

type Outcome<T> = Result<T, CompileError>;
type MakeOp = fn(Box<Typed>, Box<Typed>) -> Op;

/// Checks one expression.
pub(crate) fn check(source: &str, node: &Node, vocabulary: &Vocabulary) -> Outcome<Checked> {
    let mut checker = Checker {
        source,
        vocabulary,
        constants: Vec::new(),
        references: BTreeSet::new(),
        locals: Vec::new(),
        known: Vec::new(),
    };
    let root = checker.check(node)?;
    Ok(Checked {
        root,
        constants: checker.constants,
        references: checker.references.into_iter().collect(),
    })
}

/// Checks one expression that must have a type and be there.
pub(crate) fn check_as(
    source: &str,
    node: &Node,
    vocabulary: &Vocabulary,
    want: &Type,
) -> Outcome<Checked> {
    let checked = check(source, node, vocabulary)?;
    let root = &checked.root;
    if root.maybe || !root.ty.agrees(want) {
        let message = if root.maybe {
            format!(
                "may be absent; compare it or give a default with orValue(..), so that it is a {want}"
            )
        } else {
            format!("has type {}, but {want} is needed", root.ty)
        };
        return Err(CompileError::new(source, root.span, message));
    }
    Ok(checked)
}

struct Checker<'s> {
    source: &'s str,
    vocabulary: &'s Vocabulary,
    constants: Vec<Value<'static>>,
    references: BTreeSet<String>,
    locals: Vec<(String, Type)>,
    /// What is proven to be there, at this point of the expression.
    known: Vec<Fact>,
}

impl Checker<'_> {
    fn fault<T>(&self, span: Span, message: impl Into<String>) -> Outcome<T> {
        Err(CompileError::new(self.source, span, message))
    }

    fn constant(&mut self, value: Value<'static>, ty: Type, span: Span) -> Typed {
        self.constants.push(value);
        Typed {
            op: Op::Constant(self.constants.len() - 1),
            ty,
            maybe: false,
            span,
        }
    }

    /// The value of a constant node.
    fn folded(&self, typed: &Typed) -> Option<&Value<'static>> {
        match typed.op {
            Op::Constant(index) => self.constants.get(index),
            _ => None,
        }
    }

    fn check(&mut self, node: &Node) -> Outcome<Typed> {
        match &node.kind {
            Kind::Literal(Literal::Null) => self.fault(
                node.span,
                "null is not supported; use has(..) or orValue(..)",
            ),
            Kind::Literal(literal) => Ok(self.literal(literal, node.span)),
            Kind::Name(_) | Kind::Select { .. } => self.path(node),
            Kind::Index { of, key } => self.index(node.span, of, key),
            Kind::Call {
                target,
                function,
                arguments,
            } => self.call(node.span, target.as_deref(), function, arguments),
            Kind::List(items) => self.list(node.span, items),
            Kind::Map(entries) => self.map(node.span, entries),
        }
    }

    /// A node whose value is needed: it must not be absent.
    fn present(&mut self, node: &Node) -> Outcome<Typed> {
        let typed = self.check(node)?;
        self.needed(typed)
    }

    fn needed(&self, typed: Typed) -> Outcome<Typed> {
        if !typed.maybe {
            return Ok(typed);
        }
        let text = self
            .source
            .get(typed.span.start..typed.span.end)
            .unwrap_or("it");
        let empty = match typed.ty {
            Type::Text => "\"\"",
            Type::Int | Type::Double => "0",
            Type::Bool => "false",
            _ => "..",
        };
        self.fault(
            typed.span,
            format!("may be absent; give a default, `{text}.orValue({empty})`, or ask first, `{} && ..`", question(text)),
        )
    }

    /// A node of type bool that is there.
    fn condition(&mut self, node: &Node) -> Outcome<Typed> {
        let typed = self.present(node)?;
        self.expect(typed, &Type::Bool)
    }

    fn expect(&self, typed: Typed, want: &Type) -> Outcome<Typed> {
        if typed.ty.agrees(want) {
            return Ok(typed);
        }
        self.fault(
            typed.span,
            format!("has type {}, but {want} is needed", typed.ty),
        )
    }

    fn literal(&mut self, literal: &Literal, span: Span) -> Typed {
        let (value, ty) = match literal {
            // Refused where it stands.
            Literal::Null => (Value::Absent, Type::Bool),
            Literal::Bool(value) => (Value::Bool(*value), Type::Bool),
            Literal::Int(value) => (Value::Int(*value), Type::Int),
            Literal::Double(value) => (Value::Double(*value), Type::Double),
            Literal::Text(text) => (Value::Owned(text.as_str().into()), Type::Text),
        };
        self.constant(value, ty, span)
    }

    /// A dotted name: a loop variable, the longest attribute that fits, or a key of a map.
    fn path(&mut self, node: &Node) -> Outcome<Typed> {
        if let Kind::Name(name) = &node.kind
            && let Some(depth) = self.locals.iter().rposition(|local| local.0 == *name)
        {
            return Ok(Typed {
                op: Op::Local(depth),
                ty: self.locals[depth].1.clone(),
                maybe: false,
                span: node.span,
            });
        }
        let name = dotted(node).filter(|name| !self.shadowed(name));
        if let Some(info) = name.as_ref().and_then(|name| self.vocabulary.get(name)) {
            let (slot, ty, always) = (info.slot, info.ty.clone(), info.always);
            self.references.insert(info.name.clone());
            let typed = Typed {
                op: Op::Attribute(slot),
                ty,
                maybe: !always,
                span: node.span,
            };
            return Ok(self.narrowed(typed));
        }
        let Kind::Select { of, field, .. } = &node.kind else {
            let name = name.unwrap_or_default();
            return self.unknown(node.span, &name);
        };
        let above = self.check(of);
        match (above, name) {
            (Ok(of), _) => {
                let key = self.literal(&Literal::Text(field.clone()), node.span);
                self.entry(node.span, of, key)
            }
            (Err(_), Some(name)) => self.unknown(node.span, &name),
            (Err(error), None) => Err(error),
        }
    }

    fn shadowed(&self, name: &str) -> bool {
        let root = name.split('.').next().unwrap_or(name);
        self.locals.iter().any(|local| local.0 == root)
    }

    fn unknown<T>(&self, span: Span, name: &str) -> Outcome<T> {
        let hint = self.vocabulary.hint(name);
        self.fault(span, format!("unknown attribute `{name}`{hint}"))
    }

    /// The value of a map under a key.
    fn entry(&mut self, span: Span, of: Typed, key: Typed) -> Outcome<Typed> {
        let (ty, op): (Type, MakeOp) = match &of.ty {
            Type::Map(ty) if key.ty == Type::Text => ((**ty).clone(), Op::Entry),
            Type::List(ty) if key.ty == Type::Int => ((**ty).clone(), Op::Element),
            Type::Map(_) => {
                return self.fault(key.span, format!("a key is a string, not {}", key.ty));
            }
            Type::List(_) => {
                return self.fault(key.span, format!("an index is an int, not {}", key.ty));
            }
            other => {
                return self.fault(span, format!("a value of type {other} has no fields"));
            }
        };
        // An entry of an absent map is absent too: the compiler passes absence through.
        let typed = Typed {
            op: op(Box::new(of), Box::new(key)),
            ty,
            maybe: true,
            span,
        };
        Ok(self.narrowed(typed))
    }

    fn index(&mut self, span: Span, of: &Node, key: &Node) -> Outcome<Typed> {
        let of = self.check(of)?;
        let key = self.present(key)?;
        self.entry(span, of, key)
    }

    fn list(&mut self, span: Span, nodes: &[Node]) -> Outcome<Typed> {
        let mut ty = Type::Any;
        let mut items = Vec::with_capacity(nodes.len());
        for node in nodes {
            let item = self.present(node)?;
            if !item.ty.agrees(&ty) {
                let message = format!("a list of {ty} cannot hold {}", item.ty);
                return self.fault(item.span, message);
            }
            ty = ty.merge(item.ty.clone());
            items.push(item);
        }
        let ty = Type::List(Box::new(ty));
        let constants: Option<Vec<_>> = items
            .iter()
            .map(|item| self.folded(item).cloned())
            .collect();
        if let Some(constants) = constants {
            return Ok(self.constant(Value::Items(constants), ty, span));
        }
        let op = Op::List(items);
        Ok(Typed {
            op,
            ty,
            maybe: false,
            span,
        })
    }

    fn map(&mut self, span: Span, nodes: &[(Node, Node)]) -> Outcome<Typed> {
        let mut ty = Type::Any;
        let mut entries = Vec::with_capacity(nodes.len());
        for (key, value) in nodes {
            let key = self.present(key)?;
            let key = self.expect(key, &Type::Text)?;
            let value = self.present(value)?;
            if !value.ty.agrees(&ty) {
                let message = format!("a map of {ty} cannot hold {}", value.ty);
                return self.fault(value.span, message);
            }
            ty = ty.merge(value.ty.clone());
            entries.push((key, value));
        }
        Ok(Typed {
            op: Op::Map(entries),
            ty: Type::Map(Box::new(ty)),
            maybe: false,
            span,
        })
    }
}

/// The dotted name that a chain of plain selections spells.
fn dotted(node: &Node) -> Option<String> {
    match &node.kind {
        Kind::Name(name) => Some(name.clone()),
        Kind::Select {
            of,
            field,
            optional: false,
        } => Some(format!("{}.{field}", dotted(of)?)),
        _ => None,
    }
}

/// How to ask whether the value that a text names is there.
fn question(text: &str) -> String {
    match text.rsplit_once('[') {
        Some((map, key)) => format!(
            "{} in {map}",
            key.trim_end_matches(']').trim_start_matches('?')
        ),
        None => format!("has({text})"),
    }
}
