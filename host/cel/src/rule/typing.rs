//! What a rule makes of values of known types, and what it costs at most: found out before any value is there.
//!
//! The words of refusals are those of `cel-go`, which authors of definitions know. What is not known here is anything
//! ([`Type::Dyn`]), and is judged when the rule runs.

use super::evaluate::unescaped;
use super::{functions, library, loops, signatures};
use crate::error::CompileError;
use crate::ir::{Kind, Literal, Node};
use crate::types::Type;

/// A type with the cost of coming to a value of it.
pub(super) struct Typed {
    pub(super) of: Type,
    pub(super) cost: u64,
}

/// One walk over the tree of a rule.
pub(super) struct Typing<'r> {
    pub(super) source: &'r str,
    /// Names and the types of their values, the innermost last.
    pub(super) scope: Vec<(&'r str, Type)>,
}

type Found = Result<Typed, CompileError>;

fn typed(of: Type, cost: u64) -> Found {
    Ok(Typed { of, cost })
}

impl<'r> Typing<'r> {
    pub(super) fn node(&mut self, node: &'r Node) -> Found {
        match &node.kind {
            Kind::Literal(literal) => typed(constant(literal), 0),
            Kind::Name(name) => {
                let found = self.scope.iter().rev().find(|(known, _)| known == name);
                let known = found.map(|(_, of)| of.clone());
                let known =
                    known.or_else(|| library::type_named(name).map(|_| Type::Opaque("type")));
                typed(known.unwrap_or(Type::Dyn), 1)
            }
            Kind::Select {
                of,
                field,
                optional,
            } => {
                let of = self.node(of)?;
                let found = self.field(node, &of.of, field)?;
                typed(if *optional { perhaps(found) } else { found }, of.cost + 1)
            }
            Kind::Index { of, key } => self.index(node, of, key),
            Kind::Call {
                target,
                function,
                arguments,
            } => self.call(node, target.as_deref(), function, arguments),
            Kind::List(items) => {
                let (each, cost) = self.joined(items.iter())?;
                typed(Type::List(Box::new(each), items.len() as u64), cost)
            }
            Kind::Map(entries) => {
                let (each, cost) = self.joined(entries.iter().map(|(_, value)| value))?;
                typed(Type::Map(Box::new(each), entries.len() as u64), cost)
            }
        }
    }

    fn fault<T>(&self, node: &Node, words: impl Into<String>) -> Result<T, CompileError> {
        Err(CompileError::new(self.source, node.span, words))
    }

    fn joined(
        &mut self,
        nodes: impl Iterator<Item = &'r Node>,
    ) -> Result<(Type, u64), CompileError> {
        let (mut each, mut cost) = (None, 0_u64);
        for node in nodes {
            let one = self.node(node)?;
            cost = cost.saturating_add(one.cost);
            each = Some(each.map_or(one.of.clone(), |each: Type| each.or(&one.of)));
        }
        Ok((each.unwrap_or(Type::Dyn), cost))
    }

    fn field(&self, node: &Node, of: &Type, field: &str) -> Result<Type, CompileError> {
        match of {
            Type::Dyn | Type::Null => Ok(Type::Dyn),
            Type::Map(each, _) => Ok((**each).clone()),
            Type::Optional(inner) => Ok(perhaps(self.field(node, inner, field)?)),
            Type::Object(fields) => match fields.get(&unescaped(field)) {
                Some(found) => Ok(found.clone()),
                None => self.fault(node, format!("undefined field '{field}'")),
            },
            Type::Opaque(of) if library::field_type(of, field).is_some() => {
                Ok(library::field_type(of, field).unwrap_or(Type::Dyn))
            }
            other => {
                let words = format!("type '{other}' does not support field selection");
                self.fault(node, words)
            }
        }
    }

    fn index(&mut self, node: &Node, of: &'r Node, key: &'r Node) -> Found {
        let (of, key) = (self.node(of)?, self.node(key)?);
        let cost = of.cost.saturating_add(key.cost).saturating_add(1);
        match (&of.of, &key.of) {
            (Type::Dyn | Type::Object(_) | Type::Optional(_), _) => typed(Type::Dyn, cost),
            (Type::List(each, _), Type::Int | Type::Dyn)
            | (Type::Map(each, _), Type::Text(_) | Type::Dyn) => typed((**each).clone(), cost),
            (of, key) => self.no_overload(node, "_[_]", None, &[of.clone(), key.clone()]),
        }
    }

    fn call(
        &mut self,
        node: &Node,
        target: Option<&'r Node>,
        function: &'r str,
        arguments: &'r [Node],
    ) -> Found {
        let Some(target) = target else {
            return self.global(node, function, arguments);
        };
        let local = |name: &str| self.scope.iter().any(|(known, _)| *known == name);
        let shadowed = matches!(&target.kind, Kind::Name(name) if local(name));
        if let Some(whole) = library::qualified(target, function).filter(|_| !shadowed) {
            return self.global(node, &whole, arguments);
        }
        let target = self.node(target)?;
        if let Some((local, bodies)) = loops::parts(function, arguments) {
            return self.repeated(node, (function, local), target, bodies);
        }
        let (given, cost) = self.all(arguments)?;
        let cost = cost.saturating_add(target.cost).saturating_add(1);
        let cost = cost.saturating_add(signatures::method_cost(&target.of, function, arguments));
        match signatures::method(&target.of, function, &given) {
            Some(of) => typed(of, cost),
            None if !functions::is_known(true, function, given.len()) => typed(Type::Dyn, cost),
            None => self.no_overload(node, function, Some(&target.of), &given),
        }
    }

    fn all(&mut self, nodes: &'r [Node]) -> Result<(Vec<Type>, u64), CompileError> {
        let (mut types, mut cost) = (Vec::new(), 0_u64);
        for node in nodes {
            let one = self.node(node)?;
            cost = cost.saturating_add(one.cost);
            types.push(one.of);
        }
        Ok((types, cost))
    }

    fn global(&mut self, node: &Node, function: &str, arguments: &'r [Node]) -> Found {
        let (given, cost) = self.all(arguments)?;
        let cost = cost.saturating_add(signatures::cost(function, &given));
        match signatures::global(function, &given) {
            Some(of) => typed(of, cost),
            None if !functions::is_known(false, function, given.len()) => typed(Type::Dyn, cost),
            None => self.no_overload(node, function, None, &given),
        }
    }

    fn repeated(
        &mut self,
        node: &Node,
        (function, local): (&'r str, &'r str),
        target: Typed,
        bodies: &'r [Node],
    ) -> Found {
        let element = match &target.of {
            Type::Dyn | Type::Null => Type::Dyn,
            Type::List(each, _) | Type::Optional(each) => (**each).clone(),
            Type::Map(..) | Type::Object(_) => Type::Text(253),
            other => {
                let words = format!(
                    "expression of type '{other}' cannot be range of a comprehension (must be list, map, or dynamic)"
                );
                return self.fault(node, words);
            }
        };
        let times = match target.of {
            Type::List(..) | Type::Map(..) => target.of.size(),
            _ => 1,
        };
        self.scope.push((local, element.clone()));
        let made = self.bodies(function, bodies);
        self.scope.pop();
        let (last, each) = made?;
        let cost = times.saturating_mul(each.saturating_add(1));
        let of = match function {
            "filter" => Type::List(Box::new(element), times),
            "map" => Type::List(Box::new(last), times),
            "optMap" => perhaps(last),
            "optFlatMap" => last,
            _ => Type::Bool,
        };
        typed(of, cost.saturating_add(target.cost))
    }

    /// The type of the last body of a loop, and the cost of all. Those that choose are conditions.
    fn bodies(&mut self, function: &str, bodies: &'r [Node]) -> Result<(Type, u64), CompileError> {
        let makes = matches!(function, "map" | "optMap" | "optFlatMap");
        let (mut last, mut cost) = (Type::Dyn, 0_u64);
        for (index, body) in bodies.iter().enumerate() {
            let one = self.node(body)?;
            let condition = !makes || index + 1 < bodies.len();
            if condition && !one.of.agrees(&Type::Bool) {
                let words = format!("expected type 'bool' but found '{}'", one.of);
                return self.fault(body, words);
            }
            cost = cost.saturating_add(one.cost);
            last = one.of;
        }
        Ok((last, cost))
    }

    fn no_overload(&self, node: &Node, name: &str, target: Option<&Type>, given: &[Type]) -> Found {
        let given: Vec<String> = given.iter().map(ToString::to_string).collect();
        let target = target.map_or_else(String::new, |target| format!("{target}."));
        let words = format!(
            "found no matching overload for '{name}' applied to '{target}({})'",
            given.join(", ")
        );
        self.fault(node, words)
    }
}

fn perhaps(of: Type) -> Type {
    match of {
        Type::Optional(_) | Type::Dyn => of,
        of => Type::Optional(Box::new(of)),
    }
}

fn constant(literal: &Literal) -> Type {
    match literal {
        Literal::Null => Type::Null,
        Literal::Bool(_) => Type::Bool,
        Literal::Int(_) => Type::Int,
        Literal::Double(_) => Type::Double,
        Literal::Text(text) => Type::Text(text.len() as u64),
    }
}
