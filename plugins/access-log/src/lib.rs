//! `access-log`: one line for each call that has ended, in a log of the node.

use osier_plugin::serde::Deserialize;
use osier_plugin::serde_json::{Map, Value as Json};
use osier_plugin::types::{LogEntryInstance, Value};
use osier_plugin::{LogEntry, Plugin, log};

/// See `config.schema.json`.
#[derive(Debug, Deserialize)]
#[serde(
    crate = "osier_plugin::serde",
    rename_all = "camelCase",
    deny_unknown_fields
)]
struct Config {
    #[serde(default = "stream")]
    stream: String,
    #[serde(default)]
    format: Format,
}

fn stream() -> String {
    "access".into()
}

/// How a line is written.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(crate = "osier_plugin::serde", rename_all = "UPPERCASE")]
enum Format {
    #[default]
    Json,
    Text,
}

/// The plugin.
struct AccessLog {
    stream: String,
    format: Format,
}

impl Plugin for AccessLog {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        if config.stream.is_empty() {
            return Err("stream: must name a stream of spec.grants.logs".into());
        }
        Ok(Self {
            stream: config.stream,
            format: config.format,
        })
    }
}

impl LogEntry for AccessLog {
    /// Every line is tried; the first fault is the batch's.
    fn report(&self, batch: &[LogEntryInstance]) -> Result<(), String> {
        let written = batch.iter().map(|entry| {
            let line = line(self.format, entry);
            log::write(&self.stream, &line).map_err(|error| format!("{}: {error}", self.stream))
        });
        written.fold(Ok(()), Result::and)
    }
}

fn line(format: Format, entry: &LogEntryInstance) -> String {
    match format {
        Format::Json => json(entry),
        Format::Text => text(entry),
    }
}

fn json(entry: &LogEntryInstance) -> String {
    let mut line = Map::new();
    let mut put = |name: &str, value: Json| line.insert(name.to_owned(), value);
    put("log", entry.name.clone().into());
    put("time", entry.timestamp.to_rfc3339().into());
    put("severity", entry.severity.clone().into());
    for (name, value) in &entry.variables {
        let value = match value {
            Value::Absent => continue,
            Value::Integer(number) => (*number).into(),
            Value::Number(number) => (*number).into(),
            Value::Boolean(value) => (*value).into(),
            Value::Texts(texts) => {
                let pairs = texts
                    .iter()
                    .map(|(name, text)| (name.clone(), Json::from(text.clone())));
                Json::Object(pairs.collect())
            }
            other => other.to_text().into(),
        };
        put(name, value);
    }
    Json::Object(line).to_string()
}

fn text(entry: &LogEntryInstance) -> String {
    let mut line = format!(
        "{} {} {}",
        entry.timestamp.to_rfc3339(),
        entry.severity,
        entry.name
    );
    for (name, value) in &entry.variables {
        let value = value.to_text();
        let plain = !value.is_empty() && value.chars().all(|c| c.is_ascii_graphic() && c != '"');
        line.push_str(&match plain {
            true => format!(" {name}={value}"),
            // What a caller wrote must not end the line or look like another field.
            false => format!(" {name}={value:?}"),
        });
    }
    line
}

osier_plugin::config_schema!("../config.schema.json");
osier_plugin::export!(AccessLog: logentry);

#[cfg(test)]
mod tests {
    use super::*;
    use osier_plugin::types::Timestamp;

    fn entry() -> LogEntryInstance {
        let variables = [
            ("status", Value::Integer(200)),
            ("path", Value::Text("/a b\n\"".into())),
            ("user", Value::Absent),
            ("ok", Value::Boolean(true)),
        ];
        LogEntryInstance {
            name: "accesslog".into(),
            variables: variables
                .map(|(name, value)| (name.to_owned(), value))
                .to_vec(),
            timestamp: Timestamp {
                seconds: 0,
                nanoseconds: 0,
            },
            severity: "Info".into(),
            monitored_resource_type: String::new(),
            monitored_resource_dimensions: Vec::new(),
        }
    }

    #[test]
    fn an_entry_is_one_line_of_json() {
        let line = line(Format::Json, &entry());
        let read: Json = osier_plugin::serde_json::from_str(&line).unwrap_or_default();
        assert_eq!(read["status"], 200);
        assert_eq!(read["path"], "/a b\n\"");
        assert!(read.get("user").is_none() && !line.contains('\n'), "{line}");
    }

    #[test]
    fn a_caller_cannot_write_a_second_line_or_another_field() {
        let line = line(Format::Text, &entry());
        assert_eq!(
            line,
            "1970-01-01T00:00:00.000000Z Info accesslog status=200 path=\"/a b\\n\\\"\" user=\"\" ok=true"
        );
    }
}
