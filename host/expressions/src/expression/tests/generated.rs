//! Generated expressions: whatever the checker accepts gives a value or a stated error, and where CEL's own evaluator runs the same text, the
//! same value.

use super::*;
use proptest::prelude::*;

/// An int expression.
fn int() -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        (-100_i64..100).prop_map(|n| if n < 0 {
            format!("({n})")
        } else {
            n.to_string()
        }),
        Just("size(request.method)".to_owned()),
        Just("9223372036854775807".to_owned()),
    ];
    leaf.prop_recursive(3, 24, 2, |inner| {
        prop_oneof![
            (
                inner.clone(),
                prop_oneof!["\\+", "-", "\\*", "/", "%"],
                inner.clone()
            )
                .prop_map(|(a, op, b)| format!("({a} {op} {b})")),
            (text(), Just(())).prop_map(|(a, ())| format!("{a}.size()")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("({a} < {b} ? {a} : {b})")),
        ]
    })
    .boxed()
}

/// A text expression.
fn text() -> BoxedStrategy<String> {
    prop_oneof![
        Just("request.method".to_owned()),
        Just("request.host".to_owned()),
        "[a-z/]{0,4}".prop_map(|text| format!("'{text}'")),
    ]
    .prop_recursive(2, 8, 2, |inner| {
        (inner.clone(), inner).prop_map(|(a, b)| format!("({a} + {b})"))
    })
    .boxed()
}

/// A bool expression.
fn bool() -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        Just("true".to_owned()),
        Just("false".to_owned()),
        (int(), prop_oneof!["==", "!=", "<", "<=", ">", ">="], int())
            .prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        (text(), prop_oneof!["==", "!=", "<"], text())
            .prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        (
            text(),
            prop_oneof!["startsWith", "endsWith", "contains"],
            text()
        )
            .prop_map(|(a, f, b)| format!("{a}.{f}({b})")),
        (text(), text(), text()).prop_map(|(a, b, c)| format!("{a} in [{b}, {c}]")),
        (int(), int(), int()).prop_map(|(a, b, c)| format!("[{a}, {b}].exists(x, x > {c})")),
        (int(), int(), int()).prop_map(|(a, b, c)| format!("[{a}, {b}].all(x, x != {c})")),
    ];
    leaf.prop_recursive(3, 16, 3, |inner| {
        prop_oneof![
            (inner.clone(), prop_oneof!["&&", "\\|\\|"], inner.clone())
                .prop_map(|(a, op, b)| format!("({a} {op} {b})")),
            inner.clone().prop_map(|a| format!("!({a})")),
            (inner.clone(), inner.clone(), inner)
                .prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
        ]
    })
    .boxed()
}

/// Pieces that make sense only now and then: for the checker.
fn noise() -> BoxedStrategy<String> {
    let piece = prop_oneof![
        bool(),
        int(),
        text(),
        Just("source.principal".to_owned()),
        Just("request.headers['x-user']".to_owned()),
        Just("has(source.principal)".to_owned()),
        Just("source.labels".to_owned()),
        Just("source.ip".to_owned()),
        Just("cidr('10.0.0.0/8')".to_owned()),
        Just("duration('1s')".to_owned()),
    ];
    let operator = prop_oneof!["&&", "\\|\\|", "==", "\\+", "in", "<", "\\."];
    (
        piece.clone(),
        operator,
        piece.clone(),
        prop_oneof![
            Just(""),
            Just(".orValue('a')"),
            Just(".size()"),
            Just(" ? true : false")
        ],
    )
        .prop_map(|(a, op, b, end)| format!("({a} {op} {b}){end}"))
        .boxed()
}

/// CEL's own answer, if it has one.
fn oracle(source: &str) -> Option<bool> {
    let mut context = cel::Context::default();
    let request = std::collections::HashMap::from([("method", "POST"), ("host", "reviews")]);
    context.add_variable_from_value("request", request);
    match cel::Program::compile(source).ok()?.execute(&context) {
        Ok(cel::Value::Bool(value)) => Some(value),
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn what_is_accepted_agrees_with_cel(source in bool()) {
        let condition = Condition::compile(&source, &Vocabulary::default());
        let condition = condition.map_err(|error| TestCaseError::fail(format!("{source}: {error}")))?;
        let own = with(|attributes| condition.evaluate(attributes));
        match (&own, oracle(&source)) {
            (Ok(own), Some(theirs)) => prop_assert_eq!(*own, theirs, "{}", source),
            (Err(EvaluationError::Overflow | EvaluationError::DivisionByZero), None) => {}
            // The oracle does not absorb errors in every place where the specification does.
            (Ok(_), None) => {}
            (other, theirs) => prop_assert!(false, "{source}: {other:?}, cel says {theirs:?}"),
        }
    }

    #[test]
    fn what_is_accepted_never_meets_an_absent_value(source in noise()) {
        if let Ok(condition) = Condition::compile(&source, &Vocabulary::default()) {
            let full = with(|attributes| condition.evaluate(attributes));
            let empty = condition.evaluate(&Attributes::default());
            prop_assert!(full != Err(EvaluationError::Absent) && empty != Err(EvaluationError::Absent), "{source}");
        }
    }

    #[test]
    fn any_text_is_answered(source in "[ -~]{0,40}") {
        let _ = Condition::compile(&source, &Vocabulary::default());
    }
}
