//! Requests as a person makes them: with curl.

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
    pub status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl<'a> Ask<'a> {
    pub fn get(path: &'a str) -> Self {
        Self {
            method: "GET",
            path,
            headers: Vec::new(),
        }
    }

    pub fn by(mut self, method: &'a str) -> Self {
        self.method = method;
        self
    }

    pub fn with(mut self, name: &'a str, value: &'a str) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Sends it to a listener, for a host.
    pub fn send(&self, address: &str, host: &str) -> Answer {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--include", "--max-time", "20"]);
        curl.args(["--request", self.method, "--header"]);
        curl.arg(format!("host: {host}"));
        for (name, value) in &self.headers {
            curl.arg("--header").arg(format!("{name}: {value}"));
        }
        curl.arg(format!("http://{address}{}", self.path));
        let output = curl.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "curl: {said}");
        Answer::parse(&text)
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

    /// With the host that was asked for written as HOST where an answer names it.
    pub fn with_host(mut self, host: &str) -> Self {
        for (_, value) in &mut self.headers {
            *value = value.replace(host, "HOST");
        }
        self
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| Value::from(self.body.as_str()))
    }
}
