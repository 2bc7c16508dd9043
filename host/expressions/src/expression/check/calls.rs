//! Operators and functions.

use regex::RegexBuilder;

use super::{Checker, Outcome, loops};
use crate::expression::functions::{FUNCTIONS, Function, Style};
use crate::expression::typed::{Arithmetic, Op, Order, Typed};
use crate::value::{Type, Value};
use osier_cel::{Node, Span};
use osier_spec::nearest;

/// Compiled size of one pattern, in bytes.
const MAX_PATTERN: usize = 1 << 20;

impl Checker<'_> {
    pub(super) fn call(
        &mut self,
        span: Span,
        target: Option<&Node>,
        function: &str,
        arguments: &[Node],
    ) -> Outcome<Typed> {
        match (target, function, arguments) {
            (None, "has", _) => self.has(span, arguments),
            (Some(range), _, _) if loops::kind(function, arguments.len()).is_some() => {
                match loops::kind(function, arguments.len()) {
                    Some(kind) => self.looped(span, kind, range, arguments),
                    None => self.fault(span, "not a loop"),
                }
            }
            (Some(of), "orValue" | "or", [other]) => self.or_else(span, of, other, function),
            (Some(of), "hasValue", []) => {
                let op = Op::Present(Box::new(self.check(of)?));
                Ok(typed(op, Type::Bool, span))
            }
            (Some(of), "matches", [pattern]) => self.matches(span, of, pattern),
            (None, "matches", [of, pattern]) => self.matches(span, of, pattern),
            (None, "!_", [of]) => {
                let op = Op::Not(Box::new(self.condition(of)?));
                Ok(typed(op, Type::Bool, span))
            }
            (None, "-_", [of]) => self.negate(span, of),
            (None, "_?_:_", [condition, yes, no]) => self.choice(span, [condition, yes, no]),
            (None, operator, [left, right]) if operator.starts_with(['_', '@']) => {
                self.binary(span, operator, left, right)
            }
            _ => self.function(span, target, function, arguments),
        }
    }

    fn binary(&mut self, span: Span, operator: &str, left: &Node, right: &Node) -> Outcome<Typed> {
        match operator {
            "_&&_" | "_||_" => self.logic(span, operator == "_&&_", left, right),
            "_==_" => self.equal(span, false, left, right),
            "_!=_" => self.equal(span, true, left, right),
            "_<_" => self.order(span, Order::Less, left, right),
            "_<=_" => self.order(span, Order::LessEqual, left, right),
            "_>_" => self.order(span, Order::Greater, left, right),
            "_>=_" => self.order(span, Order::GreaterEqual, left, right),
            "@in" => self.within(span, left, right),
            "_+_" => self.arithmetic(span, Arithmetic::Add, left, right),
            "_-_" => self.arithmetic(span, Arithmetic::Subtract, left, right),
            "_*_" => self.arithmetic(span, Arithmetic::Multiply, left, right),
            "_/_" => self.arithmetic(span, Arithmetic::Divide, left, right),
            "_%_" => self.arithmetic(span, Arithmetic::Remainder, left, right),
            other => self.fault(span, format!("operator {other} is not supported")),
        }
    }

    fn logic(&mut self, span: Span, and: bool, left: &Node, right: &Node) -> Outcome<Typed> {
        let left = self.condition(left)?;
        let before = self.known.len();
        let facts = self.facts(&left, and);
        self.known.extend(facts);
        let right = self.condition(right);
        self.known.truncate(before);
        let (left, right) = (Box::new(left), Box::new(right?));
        let op = if and {
            Op::And(left, right)
        } else {
            Op::Or(left, right)
        };
        Ok(typed(op, Type::Bool, span))
    }

    fn choice(&mut self, span: Span, [condition, yes, no]: [&Node; 3]) -> Outcome<Typed> {
        let condition = self.condition(condition)?;
        let before = self.known.len();
        let facts = self.facts(&condition, true);
        self.known.extend(facts);
        let yes = self.check(yes);
        self.known.truncate(before);
        let facts = self.facts(&condition, false);
        self.known.extend(facts);
        let no = self.check(no);
        self.known.truncate(before);
        let (yes, no) = (yes?, no?);
        if !yes.ty.agrees(&no.ty) {
            let message = format!("the branches have types {} and {}", yes.ty, no.ty);
            return self.fault(span, message);
        }
        let (ty, maybe) = (yes.ty.clone().merge(no.ty.clone()), yes.maybe || no.maybe);
        Ok(Typed {
            op: Op::If(Box::new(condition), Box::new(yes), Box::new(no)),
            ty,
            maybe,
            span,
        })
    }

    /// Equality. An absent value equals nothing, not even another absent one, so possibly absent operands are welcome here.
    fn equal(&mut self, span: Span, negated: bool, left: &Node, right: &Node) -> Outcome<Typed> {
        let (left, right) = (self.check(left)?, self.check(right)?);
        if !left.ty.agrees(&right.ty) {
            return self.mismatch(span, if negated { "!=" } else { "==" }, &left, &right);
        }
        let op = Op::Equal(negated, Box::new(left), Box::new(right));
        Ok(typed(op, Type::Bool, span))
    }

    fn order(&mut self, span: Span, order: Order, left: &Node, right: &Node) -> Outcome<Typed> {
        let (left, right) = (self.present(left)?, self.present(right)?);
        let ordered = matches!(
            left.ty,
            Type::Int | Type::Double | Type::Text | Type::Span | Type::Time
        );
        if left.ty != right.ty || !ordered {
            return self.mismatch(span, "a comparison", &left, &right);
        }
        let op = Op::Order(order, Box::new(left), Box::new(right));
        Ok(typed(op, Type::Bool, span))
    }

    fn within(&mut self, span: Span, left: &Node, right: &Node) -> Outcome<Typed> {
        let (left, right) = (self.check(left)?, self.present(right)?);
        let fits = match &right.ty {
            Type::List(of) => of.agrees(&left.ty),
            Type::Map(_) => left.ty == Type::Text,
            Type::Net => left.ty == Type::Ip,
            _ => false,
        };
        if !fits {
            return self.mismatch(span, "`in`", &left, &right);
        }
        let op = Op::In(Box::new(left), Box::new(right));
        Ok(typed(op, Type::Bool, span))
    }

    fn arithmetic(
        &mut self,
        span: Span,
        operation: Arithmetic,
        left: &Node,
        right: &Node,
    ) -> Outcome<Typed> {
        let (left, right) = (self.present(left)?, self.present(right)?);
        let add = operation == Arithmetic::Add;
        let shift = add || operation == Arithmetic::Subtract;
        let ty = match (&left.ty, &right.ty) {
            (Type::Int, Type::Int) => Type::Int,
            (Type::Double, Type::Double) if operation != Arithmetic::Remainder => Type::Double,
            (Type::Span, Type::Span) if shift => Type::Span,
            (Type::Time, Type::Span) if shift => Type::Time,
            (Type::Span, Type::Time) if add => Type::Time,
            (Type::Time, Type::Time) if operation == Arithmetic::Subtract => Type::Span,
            (Type::Text, Type::Text) if add => {
                let op = Op::Concat(Box::new(left), Box::new(right));
                return Ok(typed(op, Type::Text, span));
            }
            _ => return self.mismatch(span, "arithmetic", &left, &right),
        };
        let op = Op::Arithmetic(operation, Box::new(left), Box::new(right));
        Ok(typed(op, ty, span))
    }

    fn negate(&mut self, span: Span, of: &Node) -> Outcome<Typed> {
        let of = self.present(of)?;
        if !matches!(of.ty, Type::Int | Type::Double | Type::Span) {
            return self.fault(span, format!("`-` does not go with {}", of.ty));
        }
        let ty = of.ty.clone();
        Ok(typed(Op::Negate(Box::new(of)), ty, span))
    }

    fn or_else(&mut self, span: Span, of: &Node, other: &Node, name: &str) -> Outcome<Typed> {
        let (of, other) = (self.check(of)?, self.check(other)?);
        let other = if name == "orValue" {
            self.needed(other)?
        } else {
            other
        };
        if !of.ty.agrees(&other.ty) {
            return self.mismatch(span, name, &of, &other);
        }
        let (ty, maybe) = (of.ty.clone().merge(other.ty.clone()), other.maybe);
        Ok(Typed {
            op: Op::OrElse(Box::new(of), Box::new(other)),
            ty,
            maybe,
            span,
        })
    }

    fn matches(&mut self, span: Span, of: &Node, pattern: &Node) -> Outcome<Typed> {
        let of = self.present(of)?;
        let of = self.expect(of, &Type::Text)?;
        let pattern = self.check(pattern)?;
        let Some(Value::Owned(text)) = self.folded(&pattern) else {
            return self.fault(
                pattern.span,
                "the pattern of matches() must be a literal string, so that it is compiled once",
            );
        };
        let regex = RegexBuilder::new(text).size_limit(MAX_PATTERN).build();
        let regex = match regex {
            Ok(regex) => regex,
            Err(error) => {
                let reason = error.to_string();
                let reason = reason.lines().last().unwrap_or("invalid").to_owned();
                return self.fault(pattern.span, format!("not a regular expression: {reason}"));
            }
        };
        let op = Op::Matches(Box::new(of), Box::new(regex));
        Ok(typed(op, Type::Bool, span))
    }

    fn function(
        &mut self,
        span: Span,
        target: Option<&Node>,
        name: &str,
        arguments: &[Node],
    ) -> Outcome<Typed> {
        let known: Vec<&'static Function> = FUNCTIONS
            .iter()
            .filter(|known| known.name == name)
            .collect();
        if known.is_empty() {
            return self.no_function(span, target, name);
        }
        let mut operands = Vec::with_capacity(arguments.len() + 1);
        for node in target.into_iter().chain(arguments) {
            operands.push(self.present(node)?);
        }
        let written = if target.is_some() {
            Style::Member
        } else {
            Style::Global
        };
        let fits = |function: &&&'static Function| {
            (function.style == Style::Either || function.style == written)
                && function.parameters.len() == operands.len()
                && (function.parameters.iter().zip(&operands))
                    .all(|(form, own)| form.admits(&own.ty))
        };
        let Some(function) = known.iter().find(fits) else {
            let found: Vec<String> = operands.iter().map(|own| own.ty.to_string()).collect();
            let forms: Vec<String> = known.iter().map(ToString::to_string).collect();
            let message = format!(
                "`{name}` does not go with ({}); it is {}",
                found.join(", "),
                forms.join(" or ")
            );
            return self.fault(span, message);
        };
        self.applied(span, function, operands)
    }

    /// A function of constants is a constant, and its error is an error now.
    fn applied(
        &mut self,
        span: Span,
        function: &'static Function,
        operands: Vec<Typed>,
    ) -> Outcome<Typed> {
        let ty = function.result.ty();
        let constants: Option<Vec<_>> = operands
            .iter()
            .map(|own| self.folded(own).cloned())
            .collect();
        match constants {
            None => Ok(typed(Op::Apply(function, operands), ty, span)),
            Some(constants) => match (function.run)(&constants) {
                Ok(value) => Ok(self.constant(value, ty, span)),
                Err(error) => self.fault(span, error.to_string()),
            },
        }
    }

    fn no_function<T>(&self, span: Span, target: Option<&Node>, name: &str) -> Outcome<T> {
        if name == "value" && target.is_some() {
            return self.fault(span, "value() fails when absent; write orValue(DEFAULT)");
        }
        let own = [
            "has",
            "matches",
            "orValue",
            "hasValue",
            "exists",
            "all",
            "exists_one",
            "filter",
            "map",
        ];
        let names = FUNCTIONS.iter().map(|function| function.name).chain(own);
        let hint = nearest(name, names)
            .map(|known| format!("; did you mean `{known}`?"))
            .unwrap_or_default();
        self.fault(span, format!("unknown function `{name}`{hint}"))
    }

    fn mismatch<T>(&self, span: Span, what: &str, left: &Typed, right: &Typed) -> Outcome<T> {
        let hint = match (&left.ty, &right.ty) {
            (Type::Ip, Type::Text) | (Type::Text, Type::Ip) => "; write ip(\"..\") around the text",
            (Type::Span, Type::Int | Type::Text) | (Type::Int | Type::Text, Type::Span) => {
                "; write duration(\"5s\")"
            }
            (Type::Time, Type::Text) | (Type::Text, Type::Time) => {
                "; write timestamp(\"..\") around the text"
            }
            (Type::Int, Type::Double) | (Type::Double, Type::Int) => {
                "; convert with int(..) or double(..)"
            }
            (Type::Int, Type::Text) | (Type::Text, Type::Int) => {
                "; convert with string(..) or int(..)"
            }
            _ => "",
        };
        let message = format!("{what} does not go with {} and {}{hint}", left.ty, right.ty);
        self.fault(span, message)
    }
}

fn typed(op: Op, ty: Type, span: Span) -> Typed {
    Typed {
        op,
        ty,
        maybe: false,
        span,
    }
}
