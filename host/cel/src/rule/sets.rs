//! Lists as sets in rules: `sets.contains(a, b)`, `sets.equivalent(a, b)`, `sets.intersects(a, b)`.

use super::evaluate::{Evaluation, Outcome, fault};
use super::value::Value;

/// Compares two lists.
pub(super) fn compare<'a>(
    evaluation: &mut Evaluation<'_, 'a>,
    name: &str,
    (a, b): (&Value<'a>, &Value<'a>),
) -> Outcome<'a> {
    let (Some(a), Some(b)) = (a.elements(), b.elements()) else {
        return fault(format!("no such overload: sets.{name}() needs two lists"));
    };
    evaluation.spend(a.len().saturating_mul(b.len()).max(1))?;
    let has = |list: &[Value<'a>], wanted: &Value<'a>| list.iter().any(|one| one.equals(wanted));
    Ok(Value::Bool(match name {
        "contains" => b.iter().all(|one| has(&a, one)),
        "intersects" => b.iter().any(|one| has(&a, one)),
        _ => b.iter().all(|one| has(&a, one)) && a.iter().all(|one| has(&b, one)),
    }))
}
