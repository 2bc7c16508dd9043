//! Which hooks a component exports, with their functions; checked against the types when a plugin is loaded.

use super::{Header, HeaderOperation, extension, filter};
use crate::plugin::{FunctionHandle, PluginComponent, PluginInstance};

/// The name of a hook in `spec.actions[].hook`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hook {
    /// Around a request.
    Filter,
    /// Among the destinations of a route.
    Route,
    /// Among the endpoints of a service.
    Balance,
    /// When an object is written.
    Admit,
    /// When a pod needs a node.
    Schedule,
}

impl Hook {
    /// All of them.
    pub const ALL: [Hook; 5] = [
        Hook::Filter,
        Hook::Route,
        Hook::Balance,
        Hook::Admit,
        Hook::Schedule,
    ];

    /// As policies write it.
    pub fn name(self) -> &'static str {
        match self {
            Hook::Filter => "filter",
            Hook::Route => "route",
            Hook::Balance => "balance",
            Hook::Admit => "admit",
            Hook::Schedule => "schedule",
        }
    }

    /// The hook of a name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|hook| hook.name() == name)
    }

    /// Asked about calls, so that targets, direction and `match` have a meaning.
    pub fn is_about_calls(self) -> bool {
        matches!(self, Hook::Filter | Hook::Route | Hook::Balance)
    }
}

/// The packages of hooks: their interfaces are never templates.
pub fn is_hook(interface: &str) -> bool {
    interface.starts_with("osier:filter/") || interface.starts_with("osier:extension/")
}

/// The functions of one interface of `osier:filter` for one direction: head, body.
pub type Pair = (FunctionHandle, FunctionHandle);

/// The hooks of a plugin.
#[derive(Clone, Copy, Debug, Default)]
pub struct Handles {
    /// Of requests: head, body.
    pub request: Option<Pair>,
    /// Of responses.
    pub response: Option<Pair>,
    /// Of requests, of responses.
    pub trailers: Option<Pair>,
    /// It is a module of proxy-wasm, which filters streams in its own way.
    pub streams: bool,
    /// Chooses among destinations.
    pub route: Option<FunctionHandle>,
    /// Chooses among endpoints.
    pub balance: Option<FunctionHandle>,
    /// Judges writes.
    pub admit: Option<FunctionHandle>,
    /// Scores nodes.
    pub schedule: Option<FunctionHandle>,
}

impl Handles {
    /// Finds the exported hooks.
    ///
    /// # Errors
    /// Names the interface of another version, or the function that is missing.
    pub fn find(component: &PluginComponent) -> Result<Self, String> {
        let mut found = Self::default();
        for interface in component.interfaces() {
            let name = interface.name.as_str();
            if !is_hook(name) {
                continue;
            }
            let function = |function: &str| {
                component
                    .function(name, function)
                    .ok_or_else(|| format!("{name} has no function `{function}`"))
            };
            let (path, version) = name.split_once('@').unwrap_or((name, ""));
            if !(version == "0.1" || version.starts_with("0.1.")) {
                return Err(format!("{name}: this host speaks version 0.1"));
            }
            match path {
                "osier:filter/request" => {
                    found.request = Some((function("on-request")?, function("on-request-body")?));
                }
                "osier:filter/response" => {
                    found.response =
                        Some((function("on-response")?, function("on-response-body")?));
                }
                "osier:filter/trailers" => {
                    found.trailers = Some((
                        function("on-request-trailers")?,
                        function("on-response-trailers")?,
                    ));
                }
                "osier:extension/route" => found.route = Some(function("choose")?),
                "osier:extension/balance" => found.balance = Some(function("pick")?),
                "osier:extension/admit" => found.admit = Some(function("judge")?),
                "osier:extension/schedule" => found.schedule = Some(function("score")?),
                // Interfaces of types only.
                _ if interface.functions.is_empty() => {}
                _ => return Err(format!("{name}: this host knows no such hook")),
            }
        }
        Ok(found)
    }

    /// The hooks that it answers.
    pub fn names(&self) -> Vec<&'static str> {
        let answered = |hook: &Hook| self.answers(*hook);
        Hook::ALL
            .into_iter()
            .filter(answered)
            .map(Hook::name)
            .collect()
    }

    /// True if it answers this one.
    pub fn answers(&self, hook: Hook) -> bool {
        match hook {
            Hook::Filter => {
                self.streams
                    || self.request.is_some()
                    || self.response.is_some()
                    || self.trailers.is_some()
            }
            Hook::Route => self.route.is_some(),
            Hook::Balance => self.balance.is_some(),
            Hook::Admit => self.admit.is_some(),
            Hook::Schedule => self.schedule.is_some(),
        }
    }

    /// The first interface whose functions have other types than this host calls them with.
    pub fn misfit(&self, guest: &mut PluginInstance) -> Option<&'static str> {
        type Headers<'a> = &'a [Header<'a>];
        type Exchange<'a> = filter::Exchange<'a>;
        let mut fits = true;
        if let Some((head, body)) = self.request {
            fits &= guest.fits::<(Exchange, Headers), (filter::HeadVerdict,)>(head)
                && guest.fits::<(Exchange, Headers, &[u8]), (filter::BodyVerdict,)>(body);
            if !fits {
                return Some("osier:filter/request");
            }
        }
        if let Some((head, body)) = self.response {
            fits &= guest.fits::<(Exchange, u16, Headers), (filter::HeadVerdict,)>(head)
                && guest.fits::<(Exchange, u16, Headers, &[u8]), (filter::BodyVerdict,)>(body);
            if !fits {
                return Some("osier:filter/response");
            }
        }
        if let Some((request, response)) = self.trailers {
            fits &= [request, response].into_iter().all(|function| {
                guest.fits::<(Exchange, Headers), (Vec<HeaderOperation>,)>(function)
            });
            if !fits {
                return Some("osier:filter/trailers");
            }
        }
        self.misfit_extension(guest)
    }

    fn misfit_extension(&self, guest: &mut PluginInstance) -> Option<&'static str> {
        type Headers<'a> = &'a [Header<'a>];
        type Choose<'a> = (
            extension::Request<'a>,
            Headers<'a>,
            &'a [extension::Candidate<'a>],
        );
        type Pick<'a> = (
            extension::Request<'a>,
            Headers<'a>,
            &'a [extension::Endpoint<'a>],
        );
        type Score<'a> = (&'a extension::Pod<'a>, &'a [extension::Node<'a>]);
        if let Some(function) = self.route
            && !guest.fits::<Choose, (Option<extension::Choice>,)>(function)
        {
            return Some("osier:extension/route");
        }
        if let Some(function) = self.balance
            && !guest.fits::<Pick, (Option<u32>,)>(function)
        {
            return Some("osier:extension/balance");
        }
        if let Some(function) = self.admit
            && !guest.fits::<(extension::Review,), (extension::Verdict,)>(function)
        {
            return Some("osier:extension/admit");
        }
        if let Some(function) = self.schedule
            && !guest.fits::<Score, (Vec<extension::Opinion>,)>(function)
        {
            return Some("osier:extension/schedule");
        }
        None
    }
}
