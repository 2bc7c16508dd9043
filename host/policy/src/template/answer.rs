//! Taking an answer apart, by move; whatever does not fit is the plugin's fault and never a permission.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use osier_bounded::Validity;
use osier_engine::plugin::Val;

use crate::output::Output;
use crate::verdict::HeaderOperation;

/// What a plugin said.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    Allow {
        request: Vec<HeaderOperation>,
        response: Vec<HeaderOperation>,
        output: Option<Arc<Output>>,
        validity: Validity,
    },
    Deny {
        status: u16,
        reason: String,
        headers: Vec<(HeaderName, HeaderValue)>,
        body: String,
        validity: Validity,
    },
    Generated {
        output: Arc<Output>,
        validity: Validity,
    },
    Granted {
        amount: u64,
        /// How long what was granted beyond what was wanted may be handed out.
        lease: Option<Duration>,
        response: Vec<HeaderOperation>,
    },
    Refused {
        reason: String,
        retry_after: Option<Duration>,
        headers: Vec<(HeaderName, HeaderValue)>,
    },
}

type Read<T> = Result<T, String>;

/// Headers that frame a message; changing them from outside would split or smuggle one.
const FRAMING: &[&str] = &[
    "connection",
    "content-length",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Reads an answer and leaves nothing of it behind.
pub(crate) fn decode(place: &mut Val) -> Read<Answer> {
    match std::mem::replace(place, Val::Bool(false)) {
        Val::Result(Ok(Some(mut inner))) => decode(&mut inner),
        Val::Result(Err(Some(inner))) => match *inner {
            Val::String(reason) => Err(format!("the plugin reports an error: {reason}")),
            _ => Err("the plugin reports an error".into()),
        },
        Val::Variant(case, None) if case == "allow" => Ok(Answer::Allow {
            request: Vec::new(),
            response: Vec::new(),
            output: None,
            validity: Validity::default(),
        }),
        Val::Variant(case, Some(payload)) => match (case.as_str(), *payload) {
            ("allow-with", Val::Record(fields)) => allow(Fields(fields)),
            ("deny", Val::Record(fields)) => deny(Fields(fields)),
            ("granted", Val::Record(fields)) => granted(Fields(fields)),
            ("refused", Val::Record(fields)) => refused(Fields(fields)),
            (case, _) => Err(format!(
                "the plugin answered `{case}`, which means nothing here"
            )),
        },
        Val::Variant(case, None) => Err(format!(
            "the plugin answered `{case}`, which means nothing here"
        )),
        Val::Record(fields) => generated(Fields(fields)),
        _ => Err("the plugin's answer is no decision".into()),
    }
}

fn allow(mut fields: Fields) -> Read<Answer> {
    Ok(Answer::Allow {
        request: operations(fields.list("request-headers"))?,
        response: operations(fields.list("response-headers"))?,
        output: fields.take("output").and_then(Output::read).map(Arc::new),
        validity: fields.validity(),
    })
}

fn generated(mut fields: Fields) -> Read<Answer> {
    let output = fields.take("output").and_then(Output::read);
    let output = output.ok_or("the plugin's answer has no output")?;
    Ok(Answer::Generated {
        output: Arc::new(output),
        validity: fields.validity(),
    })
}

fn deny(mut fields: Fields) -> Read<Answer> {
    let status = match fields.take("status") {
        Some(Val::U16(status)) if (300..600).contains(&status) => status,
        Some(Val::U16(status)) => {
            return Err(format!(
                "the plugin denied with status {status}; use 300 to 599"
            ));
        }
        _ => return Err("the plugin denied without a status".into()),
    };
    Ok(Answer::Deny {
        status,
        reason: fields.text("reason"),
        headers: headers(fields.list("headers"))?,
        body: fields.text("body"),
        validity: fields.validity(),
    })
}

fn granted(mut fields: Fields) -> Read<Answer> {
    let Some(Val::U64(amount)) = fields.take("amount") else {
        return Err("the plugin granted no amount".into());
    };
    Ok(Answer::Granted {
        amount,
        lease: fields.take("valid-for").and_then(span),
        response: operations(fields.list("response-headers"))?,
    })
}

fn refused(mut fields: Fields) -> Read<Answer> {
    Ok(Answer::Refused {
        reason: fields.text("reason"),
        retry_after: fields.take("retry-after").and_then(span),
        headers: headers(fields.list("headers"))?,
    })
}

/// A record being taken apart.
struct Fields(Vec<(String, Val)>);

impl Fields {
    fn take(&mut self, name: &str) -> Option<Val> {
        let place = self.0.iter_mut().find(|(own, _)| own == name)?;
        Some(std::mem::replace(&mut place.1, Val::Bool(false)))
    }

    fn text(&mut self, name: &str) -> String {
        match self.take(name) {
            Some(Val::String(text)) => text,
            _ => String::new(),
        }
    }

    fn list(&mut self, name: &str) -> Vec<Val> {
        match self.take(name) {
            Some(Val::List(items)) => items,
            _ => Vec::new(),
        }
    }

    fn validity(&mut self) -> Validity {
        let uses = match self.take("valid-uses") {
            Some(Val::Option(Some(uses))) => match *uses {
                Val::U32(uses) => Some(uses),
                _ => None,
            },
            _ => None,
        };
        Validity {
            time: self.take("valid-for").and_then(span),
            uses,
        }
    }
}

/// `option<duration>`
fn span(value: Val) -> Option<Duration> {
    match value {
        Val::Option(Some(inner)) => span(*inner),
        Val::Record(fields) => match Fields(fields).take("nanoseconds") {
            Some(Val::S64(nanos)) => u64::try_from(nanos).ok().map(Duration::from_nanos),
            _ => None,
        },
        _ => None,
    }
}

fn headers(items: Vec<Val>) -> Read<Vec<(HeaderName, HeaderValue)>> {
    items.into_iter().map(header).collect()
}

fn header(item: Val) -> Read<(HeaderName, HeaderValue)> {
    let Val::Record(fields) = item else {
        return Err("the plugin's header is no record".into());
    };
    let mut fields = Fields(fields);
    let (name, value) = (fields.text("name"), fields.text("value"));
    let name = header_name(&name)?;
    let value = HeaderValue::from_str(&value)
        .map_err(|_| format!("the plugin's value for header {name} is not allowed in HTTP"))?;
    Ok((name, value))
}

fn header_name(name: &str) -> Read<HeaderName> {
    if FRAMING
        .iter()
        .any(|framing| name.eq_ignore_ascii_case(framing))
    {
        return Err(format!(
            "the plugin may not touch header {name}, which frames the message"
        ));
    }
    HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| format!("the plugin's header name `{name}` is not allowed in HTTP"))
}

fn operations(items: Vec<Val>) -> Read<Vec<HeaderOperation>> {
    items.into_iter().map(operation).collect()
}

fn operation(item: Val) -> Read<HeaderOperation> {
    let Val::Variant(case, Some(payload)) = item else {
        return Err("the plugin's header operation is none".into());
    };
    match (case.as_str(), *payload) {
        ("set", payload) => header(payload).map(|(name, value)| HeaderOperation::Set(name, value)),
        ("append", payload) => {
            header(payload).map(|(name, value)| HeaderOperation::Append(name, value))
        }
        ("remove", Val::String(name)) => header_name(&name).map(HeaderOperation::Remove),
        (case, _) => Err(format!("the plugin's header operation `{case}` is unknown")),
    }
}
