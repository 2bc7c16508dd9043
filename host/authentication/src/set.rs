//! All RequestAuthentications of a mesh, and what they make of a call: every token that they look for must be valid, and a call that
//! brings none passes.

use std::sync::Arc;

use http::header::{ACCESS_CONTROL_REQUEST_METHOD, ORIGIN};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use osier_authorization::{Place as At, Placed};
use osier_identity::WebToken;

use crate::place::Place;
use crate::rule::{Fault, Policy, Rule};
use crate::seen::Seen;
use crate::verified::Verified;

/// The objects in force.
#[derive(Debug, Default)]
pub struct Authentications {
    placed: Placed<Numbered>,
    /// Tells this set from every other, for what remembers.
    own: Arc<()>,
}

/// An object with the number of its first rule among all rules.
#[derive(Debug)]
struct Numbered {
    policy: Policy,
    first: usize,
}

/// A rule that concerns a call.
#[derive(Clone, Copy)]
struct Concerned<'a> {
    number: usize,
    policy: &'a Arc<str>,
    rule: &'a Rule,
}

/// Who is behind a call.
#[derive(Clone, Debug)]
pub struct Authenticated {
    /// What its token says, and the object that believes it; none if it brings none.
    pub by: Option<(Arc<str>, Arc<Verified>)>,
    /// The head as the service is to see it.
    pub head: Parts,
}

/// A call that may not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The object that refuses it.
    pub policy: Arc<str>,
    /// The status that it gets.
    pub status: StatusCode,
    /// What the caller is told.
    pub said: &'static str,
    /// Why, for logs.
    pub reason: String,
}

impl Authentications {
    /// These objects, in a mesh with this root namespace. They are asked in the order of their names.
    pub fn new(policies: impl IntoIterator<Item = Policy>, root: &str) -> Self {
        let mut policies: Vec<Policy> = policies.into_iter().collect();
        policies.sort_by(|a, b| a.name.cmp(&b.name));
        let mut first = 0;
        let numbered = policies.into_iter().map(|policy| {
            let own = first;
            first += policy.rules.len();
            (policy.concern.clone(), Numbered { policy, first: own })
        });
        Self {
            placed: Placed::new(numbered, root),
            own: Arc::default(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.placed.is_empty()
    }

    /// Verifies what a call brings at a place; nothing if nobody there asks for tokens. `now` is in seconds since 1970.
    ///
    /// # Errors
    /// A token is there that is not believed.
    pub fn authenticate(
        &self,
        at: &At<'_>,
        head: &Parts,
        now: u64,
        seen: &mut Seen,
    ) -> Result<Option<Authenticated>, Refused> {
        let rules: Vec<Concerned<'_>> = self.rules(at).collect();
        if rules.is_empty() {
            return Ok(None);
        }
        let mut head = head.clone();
        for header in rules.iter().flat_map(|one| one.rule.told.names()) {
            // Only a token may set it.
            head.headers.remove(header);
        }
        if is_preflight(&head) {
            return Ok(Some(Authenticated { by: None, head }));
        }
        seen.follow(&self.own);
        let mut found: Vec<(&Place, Concerned<'_>, Arc<Verified>)> = Vec::new();
        for spot in spots(&rules) {
            for token in spot.place.tokens(&head) {
                let (by, verified) = spot.believe(&token, now, seen)?;
                found.push((spot.place, by, verified));
            }
        }
        for (place, by, verified) in &found {
            settle(&mut head, place, by.rule, verified);
        }
        let first = found.into_iter().next();
        let by = first.map(|(_, by, verified)| (Arc::clone(by.policy), verified));
        Ok(Some(Authenticated { by, head }))
    }

    fn rules<'a>(&'a self, at: &'a At<'a>) -> impl Iterator<Item = Concerned<'a>> {
        self.placed.concerning(at).flat_map(|numbered| {
            let rules = numbered.policy.rules.iter().enumerate();
            rules.map(move |(place, rule)| Concerned {
                number: numbered.first + place,
                policy: &numbered.policy.name,
                rule,
            })
        })
    }
}

/// A browser asks before the call and brings no token along.
fn is_preflight(head: &Parts) -> bool {
    head.method == Method::OPTIONS
        && head.headers.contains_key(ORIGIN)
        && head.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// Somewhere that tokens are looked for, with the rules that look there: at least the first.
struct Spot<'a> {
    place: &'a Place,
    first: Concerned<'a>,
    others: Vec<Concerned<'a>>,
}

/// Every place, once each.
fn spots<'a>(rules: &[Concerned<'a>]) -> Vec<Spot<'a>> {
    let mut spots: Vec<Spot<'a>> = Vec::new();
    for first in rules.iter().copied() {
        for place in &first.rule.places {
            match spots.iter_mut().find(|spot| spot.place == place) {
                Some(spot) => spot.others.push(first),
                None => spots.push(Spot {
                    place,
                    first,
                    others: Vec::new(),
                }),
            }
        }
    }
    spots
}

impl<'a> Spot<'a> {
    fn rules(&self) -> impl Iterator<Item = &Concerned<'a>> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// The rule that believes a token. Of one issuer there may be several, of which one is enough.
    fn believe(
        &self,
        text: &str,
        now: u64,
        seen: &mut Seen,
    ) -> Result<(Concerned<'a>, Arc<Verified>), Refused> {
        if let Some((number, verified)) = seen.find(text, now)
            && let Some(by) = self.rules().find(|one| one.number == number)
        {
            return Ok((*by, Arc::clone(verified)));
        }
        let token = WebToken::read(text);
        let token = token.map_err(|fault| refused(self.first.policy, &fault.into()))?;
        let issuer = token.text("iss").unwrap_or_default().to_owned();
        let mut last = (self.first.policy, Fault::Issuer(issuer.clone()));
        for by in self.rules().filter(|one| *one.rule.issuer == *issuer) {
            match by.rule.verify(token.clone(), now) {
                Ok(verified) => {
                    let verified = Arc::new(verified);
                    seen.keep(text, by.number, &verified, now);
                    return Ok((*by, verified));
                }
                Err(fault) => last = (by.policy, fault),
            }
        }
        Err(refused(last.0, &last.1))
    }
}

/// The head as the service is to see it.
fn settle(head: &mut Parts, place: &Place, rule: &Rule, verified: &Verified) {
    if !rule.forward {
        place.clear(head);
    }
    for (name, value) in &verified.headers {
        let (name, value): (HeaderName, HeaderValue) = (name.clone(), value.clone());
        head.headers.insert(name, value);
    }
}

fn refused(policy: &Arc<str>, fault: &Fault) -> Refused {
    let status = match fault {
        // The caller is known and not let in (Envoy's jwt_authn answers so too).
        Fault::Audience { .. } => StatusCode::FORBIDDEN,
        _ => StatusCode::UNAUTHORIZED,
    };
    Refused {
        policy: Arc::clone(policy),
        status,
        said: fault.said(),
        reason: format!("the token is refused: {fault}"),
    }
}

#[cfg(test)]
mod tests;
