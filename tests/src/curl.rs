//! Requests as a person makes them: with curl.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::process::Command;

/// A request.
#[derive(Debug, Clone)]
pub struct Ask<'a> {
    method: &'a str,
    path: &'a str,
    headers: Vec<(&'a str, &'a str)>,
}

/// What curl printed.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl<'a> Ask<'a> {
    /// A GET of a path.
    pub fn get(path: &'a str) -> Self {
        Self {
            method: "GET",
            path,
            headers: Vec::new(),
        }
    }

    /// The same by another method.
    #[must_use]
    pub fn by(mut self, method: &'a str) -> Self {
        self.method = method;
        self
    }

    /// The same with a header more.
    #[must_use]
    pub fn with(mut self, name: &'a str, value: &'a str) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Sends it to a listener, for a host.
    pub fn send(&self, address: &str, host: &str) -> Result<Answer> {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--include", "--max-time", "20"]);
        curl.args(["--request", self.method, "--header"]);
        curl.arg(format!("host: {host}"));
        for (name, value) in &self.headers {
            curl.arg("--header").arg(format!("{name}: {value}"));
        }
        curl.arg(format!("http://{address}{}", self.path));
        let output = curl.output().context("start curl")?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "{self:?}: {said}");
        Ok(Answer::parse(&String::from_utf8_lossy(&output.stdout)))
    }
}

impl Answer {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1));
        let headers = lines.filter_map(|line| line.split_once(": "));
        Self {
            status: status.and_then(|code| code.parse().ok()).unwrap_or(0),
            headers: headers
                .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
                .collect(),
            body: body.to_owned(),
        }
    }

    /// With the host that was asked for written as HOST where a header names it.
    #[must_use]
    pub fn with_host(mut self, host: &str) -> Self {
        for (_, value) in &mut self.headers {
            *value = value.replace(host, "HOST");
        }
        self
    }

    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body, as text if it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| Value::from(self.body.as_str()))
    }
}
