//! JSONPath as printer columns write it (<https://kubernetes.io/docs/reference/kubectl/jsonpath/>, without braces): fields,
//! elements, slices, filters, `..`.

use serde_json::Value;

/// A path is not longer than this many steps: a filter within a filter counts as one.
const LONGEST: usize = 64;

/// A compiled path.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Path(Vec<Step>);

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Field(String),
    /// `..name`: fields of this name at any depth.
    Deep(String),
    Index(i64),
    Slice(Option<i64>, Option<i64>),
    All,
    Filter(Filter),
}

/// `?(@.type=="Ready")`.
#[derive(Debug, Clone, PartialEq)]
struct Filter {
    path: Path,
    /// Absent where only the presence is asked for.
    compared: Option<(Operator, Value)>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Operator {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Path {
    /// Reads a path such as `.status.conditions[?(@.type=="Ready")].status`.
    ///
    /// # Errors
    /// With what is wrong, for people.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut steps = Vec::new();
        let mut rest = text.trim();
        while !rest.is_empty() {
            let step;
            (step, rest) = next(rest)?;
            steps.extend(step);
            if steps.len() > LONGEST {
                return Err(format!("has more than {LONGEST} steps"));
            }
        }
        Ok(Self(steps))
    }

    /// What the path leads to, in order.
    pub(crate) fn find<'a>(&self, root: &'a Value) -> Vec<&'a Value> {
        self.0.iter().fold(vec![root], |found, step| {
            found
                .into_iter()
                .flat_map(|value| step.from(value))
                .collect()
        })
    }

    /// The first value that the path leads to.
    pub(crate) fn first<'a>(&self, root: &'a Value) -> Option<&'a Value> {
        self.find(root).first().copied()
    }

    /// The names of a path of plain fields; `None` for any other.
    pub(crate) fn fields(&self) -> Option<Vec<&str>> {
        self.0.iter().map(Step::field).collect()
    }
}

/// The next step of a path, and what follows it. A leading `.` alone is no step.
fn next(text: &str) -> Result<(Option<Step>, &str), String> {
    if let Some(rest) = text.strip_prefix("..") {
        let (name, rest) = name(rest);
        if name.is_empty() {
            return Err("`..` needs the name of a field".to_owned());
        }
        return Ok((Some(Step::Deep(name)), rest));
    }
    if let Some(rest) = text.strip_prefix('[') {
        let end = closing(rest).ok_or("unterminated array")?;
        let step = bracket(rest[..end].trim())?;
        return Ok((Some(step), &rest[end + 1..]));
    }
    let rest = text.strip_prefix('.').unwrap_or(text);
    if rest.starts_with('[') {
        return Ok((None, rest));
    }
    let (name, rest) = name(rest);
    match name.as_str() {
        "" if rest.is_empty() => Ok((None, rest)),
        "" => Err(format!("unexpected {rest:?}")),
        "*" => Ok((Some(Step::All), rest)),
        _ => Ok((Some(Step::Field(name)), rest)),
    }
}

/// The name of a field, where `\` takes the next letter as it is.
fn name(text: &str) -> (String, &str) {
    let (mut name, mut escaped) = (String::new(), false);
    for (index, letter) in text.char_indices() {
        match letter {
            _ if escaped => {
                name.push(letter);
                escaped = false;
            }
            '\\' => escaped = true,
            '.' | '[' | ']' | ')' | '=' | '!' | '<' | '>' | ' ' => return (name, &text[index..]),
            _ => name.push(letter),
        }
    }
    (name, "")
}

/// Where the bracket ends that is open here; quotes and brackets within are passed over.
fn closing(text: &str) -> Option<usize> {
    let (mut quote, mut depth, mut escaped) = (None, 0_usize, false);
    for (index, letter) in text.char_indices() {
        match (quote, letter) {
            _ if escaped => escaped = false,
            (_, '\\') => escaped = true,
            (Some(open), _) if open == letter => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(letter),
            (None, '[') => depth += 1,
            (None, ']') if depth == 0 => return Some(index),
            (None, ']') => depth -= 1,
            _ => {}
        }
    }
    None
}

/// What stands in a bracket.
fn bracket(text: &str) -> Result<Step, String> {
    if text == "*" {
        return Ok(Step::All);
    }
    let inner = text.strip_prefix("?(");
    if let Some(inner) = inner.and_then(|rest| rest.strip_suffix(')')) {
        return filter(inner).map(Step::Filter);
    }
    if let Some(name) = quoted(text) {
        return Ok(Step::Field(name));
    }
    match text.split_once(':') {
        Some((from, to)) => Ok(Step::Slice(number(from)?, number(to)?)),
        None => {
            let index = number(text)?.ok_or("an empty bracket")?;
            Ok(Step::Index(index))
        }
    }
}

fn number(text: &str) -> Result<Option<i64>, String> {
    let digits = text.trim();
    if digits.is_empty() {
        return Ok(None);
    }
    let number = digits.parse().map(Some);
    number.map_err(|_| format!("invalid array index {digits:?}"))
}

/// The text in quotes of either kind.
fn quoted(text: &str) -> Option<String> {
    let quote = text
        .chars()
        .next()
        .filter(|first| matches!(first, '"' | '\''))?;
    let inner = text.strip_prefix(quote)?.strip_suffix(quote)?;
    Some(inner.replace('\\', ""))
}

fn filter(text: &str) -> Result<Filter, String> {
    let text = text.trim();
    let rest = text.strip_prefix('@');
    let rest = rest.ok_or_else(|| format!("filter {text:?} does not begin with @"))?;
    let places = OPERATORS.iter();
    let places = places.filter_map(|(word, operator)| Some((rest.find(word)?, *word, *operator)));
    let found = places.min_by_key(|(at, word, _)| (*at, 2 - word.len()));
    let Some((at, word, operator)) = found else {
        let path = Path::parse(rest)?;
        return Ok(Filter {
            path,
            compared: None,
        });
    };
    let value = literal(rest[at + word.len()..].trim())?;
    Ok(Filter {
        path: Path::parse(rest[..at].trim())?,
        compared: Some((operator, value)),
    })
}

const OPERATORS: [(&str, Operator); 6] = [
    ("==", Operator::Equal),
    ("!=", Operator::Unequal),
    ("<=", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
    ("<", Operator::Less),
    (">", Operator::Greater),
];

/// What a filter compares with.
fn literal(text: &str) -> Result<Value, String> {
    if let Some(text) = quoted(text) {
        return Ok(text.into());
    }
    let refuse = |_| format!("{text:?} is neither a number nor a text in quotes");
    serde_json::from_str(text).map_err(refuse)
}

impl Step {
    fn field(&self) -> Option<&str> {
        match self {
            Self::Field(name) => Some(name),
            _ => None,
        }
    }

    fn from<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        let list = value.as_array().map_or(&[][..], Vec::as_slice);
        match (self, value) {
            (Self::Field(name), _) => value.get(name.as_str()).into_iter().collect(),
            (Self::Deep(name), _) => {
                let mut found = Vec::new();
                deep(name, value, &mut found);
                found
            }
            (Self::Index(index), _) => {
                let place = place(*index, list.len());
                place.and_then(|at| list.get(at)).into_iter().collect()
            }
            (Self::Slice(from, to), _) => slice(list, *from, *to).iter().collect(),
            (Self::All, Value::Object(map)) => map.values().collect(),
            (Self::All, _) => list.iter().collect(),
            (Self::Filter(filter), _) => list.iter().filter(|item| filter.takes(item)).collect(),
        }
    }
}

fn slice(list: &[Value], from: Option<i64>, to: Option<i64>) -> &[Value] {
    let length = list.len();
    let at = |end: i64| place(end, length).unwrap_or(0).min(length);
    let (from, to) = (from.map_or(0, at), to.map_or(length, at));
    list.get(from..to).unwrap_or_default()
}

/// Negative places count from the end.
fn place(index: i64, length: usize) -> Option<usize> {
    let length = i64::try_from(length).ok()?;
    let index = if index < 0 { index + length } else { index };
    usize::try_from(index).ok()
}

fn deep<'a>(name: &str, value: &'a Value, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get(name));
            map.values().for_each(|inner| deep(name, inner, found));
        }
        Value::Array(list) => list.iter().for_each(|inner| deep(name, inner, found)),
        _ => {}
    }
}

impl Filter {
    fn takes(&self, item: &Value) -> bool {
        let found = self.path.first(item);
        let Some((operator, wanted)) = &self.compared else {
            return found.is_some();
        };
        let Some(found) = found else {
            return false;
        };
        let order = match (found, wanted) {
            (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
            _ => found
                .as_f64()
                .zip(wanted.as_f64())
                .and_then(|(a, b)| a.partial_cmp(&b)),
        };
        match operator {
            Operator::Equal => order.map_or(found == wanted, |order| order.is_eq()),
            Operator::Unequal => order.map_or(found != wanted, |order| order.is_ne()),
            Operator::Less => order.is_some_and(|order| order.is_lt()),
            Operator::LessOrEqual => order.is_some_and(|order| order.is_le()),
            Operator::Greater => order.is_some_and(|order| order.is_gt()),
            Operator::GreaterOrEqual => order.is_some_and(|order| order.is_ge()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn found(path: &str) -> Value {
        let root = json!({
            "metadata": {"annotations": {"example.com/a": "x"}},
            "spec": {"list": [{"n": 1, "v": "a"}, {"n": 2, "v": "b"}, {"n": 3, "v": "c"}]},
            "status": {"conditions": [{"type": "Synced", "status": "False"}, {"type": "Ready", "status": "True"}]},
        });
        json!(Path::parse(path).unwrap().find(&root))
    }

    #[test]
    fn paths_lead_where_kubectl_goes() {
        let cases = [
            (".spec.list[0].v", json!(["a"])),
            (".spec.list[-1].v", json!(["c"])),
            (".spec.list[1:].n", json!([2, 3])),
            (".spec.list[0:2].n", json!([1, 2])),
            (".spec.list[*].v", json!(["a", "b", "c"])),
            (".spec['list'][0].v", json!(["a"])),
            (".metadata.annotations.example\\.com/a", json!(["x"])),
            (".metadata.annotations['example.com/a']", json!(["x"])),
            (
                ".status.conditions[?(@.type==\"Ready\")].status",
                json!(["True"]),
            ),
            (
                ".status.conditions[?(@.type == 'Ready')].status",
                json!(["True"]),
            ),
            (".spec.list[?(@.n>=2)].v", json!(["b", "c"])),
            (".spec.list[?(@.nothing)].v", json!([])),
            ("..type", json!(["Synced", "Ready"])),
            (".spec.nothing.more", json!([])),
        ];
        for (path, wanted) in cases {
            assert_eq!(found(path), wanted, "{path}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused_with_the_reason() {
        for bad in [
            ".spec[",
            ".spec[x]",
            "..",
            ".a[?(type)]",
            ".a[?(@.b==c)]",
            ".a]",
        ] {
            assert!(Path::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Path::parse(".a.b").unwrap().fields(), Some(vec!["a", "b"]));
        assert_eq!(Path::parse(".a[0]").unwrap().fields(), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[a.\\[\\]?()@='\"\\\\*:0-9-]{0,24}") {
            if let Ok(path) = Path::parse(&text) {
                path.find(&json!({"a": [1, {"a": [2]}]}));
            }
        }
    }
}
