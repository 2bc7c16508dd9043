//! Who calls: the subject of a client certificate, a token of a service account, whom a caller asks to be, or nobody.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::rbac::{Action, SERVICE_ACCOUNT_PREFIX};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use osier_api::{Object, Resource, Status, resources};
use osier_identity::TokenKey;
use osier_process::clock;
use serde_json::{Map, Value, json};

use crate::rules::Rules;
use crate::user::User;
use crate::{Find, bootstrap_token, refusal};

/// Who signs tokens, and for whom if they say nobody else.
pub const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
/// The claim with what Kubernetes adds.
const PRIVATE: &str = "kubernetes.io";
/// What a token can be bound to, beside its account.
const BINDABLE: [(&str, &Resource); 3] = [
    ("pod", &resources::PODS),
    ("secret", &resources::SECRETS),
    ("node", &resources::NODES),
];
/// What else is known of a caller by a token stands under these names.
const EXTRA: &str = "authentication.kubernetes.io";

/// The tokens of service accounts.
pub struct Tokens(Arc<TokenKey>);

/// A token that is to be made.
pub struct Wanted<'a> {
    /// Whose it is.
    pub account: &'a Object,
    /// For whom it is.
    pub audiences: Vec<String>,
    /// How long it lasts.
    pub seconds: i64,
    /// `pod`, `secret` or `node`, with the object.
    pub bound: Option<(&'static str, Object)>,
}

/// The kind of an object that a token can be bound to, by the name of the kind.
pub fn bindable(kind: &str) -> Option<(&'static str, &'static Resource)> {
    let mut all = BINDABLE.into_iter();
    all.find(|(_, resource)| resource.kind == kind)
}

impl Tokens {
    /// Tokens signed with this key.
    pub fn new(key: Arc<TokenKey>) -> Self {
        Self(key)
    }

    /// What OpenID Connect's discovery says of the issuer: where its keys are, and how it signs.
    pub fn discovery(&self) -> Value {
        json!({
            "issuer": ISSUER,
            "jwks_uri": format!("{ISSUER}/openid/v1/jwks"),
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        })
    }

    /// The keys with which others can check tokens, as a JSON Web Key Set.
    pub fn key_set(&self) -> Value {
        self.0.key_set()
    }

    /// A signed token, and when it ends.
    ///
    /// # Errors
    /// When the system has no randomness to sign with.
    pub fn issue(&self, wanted: &Wanted<'_>) -> Result<(String, String), Status> {
        let now = clock::now();
        let end = now
            .checked_add(jiff::SignedDuration::from_secs(wanted.seconds))
            .map_err(Status::internal)?;
        let named = |object: &Object| json!({"name": object.name(), "uid": object.uid()});
        let mut private = Map::new();
        private.insert("namespace".to_owned(), json!(wanted.account.namespace()));
        private.insert("serviceaccount".to_owned(), named(wanted.account));
        if let Some((kind, object)) = &wanted.bound {
            private.insert((*kind).to_owned(), named(object));
        }
        let subject = name_of(wanted.account.namespace(), wanted.account.name());
        let claims = json!({
            "iss": ISSUER, "sub": subject, "aud": wanted.audiences,
            "iat": now.as_second(), "nbf": now.as_second(), "exp": end.as_second(),
            "jti": uuid::Uuid::new_v4().to_string(), PRIVATE: private,
        });
        let token = self.0.sign(&claims).map_err(Status::internal)?;
        Ok((token, clock::seconds(end)))
    }

    /// Whose token it is, and which of `audiences` it is for.
    ///
    /// # Errors
    /// The reason if it is nobody's.
    pub fn review(
        &self,
        objects: Find<'_>,
        token: &str,
        audiences: &[String],
    ) -> Result<(User, Vec<String>), &'static str> {
        let claims = self.0.verify(token);
        let claims = claims.ok_or("the token is not signed by this cluster")?;
        current(&claims, clock::now().as_second())?;
        let meant = claims.get("aud").and_then(Value::as_array);
        let shared: Vec<String> = meant
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .filter(|name| audiences.iter().any(|wanted| wanted == name))
            .map(str::to_owned)
            .collect();
        if shared.is_empty() {
            return Err("the token is meant for others");
        }
        let private = claims.get(PRIVATE).ok_or("the token names no account")?;
        let id = claims.get("jti").and_then(Value::as_str).unwrap_or("");
        Ok((owner(objects, private, id)?, shared))
    }
}

/// Whether claims are this cluster's, and of this time.
fn current(claims: &Map<String, Value>, now: i64) -> Result<(), &'static str> {
    let time = |name: &str| claims.get(name).and_then(Value::as_i64);
    if claims.get("iss") != Some(&json!(ISSUER)) {
        return Err("the token has another issuer");
    }
    if time("exp").is_none_or(|end| end <= now) {
        return Err("the token has expired");
    }
    // Clocks differ a little.
    if time("nbf").is_some_and(|begin| begin > now + 60) {
        return Err("the token is not valid yet");
    }
    Ok(())
}

/// The user name of a service account.
fn name_of(namespace: &str, name: &str) -> String {
    format!("{SERVICE_ACCOUNT_PREFIX}{namespace}:{name}")
}

fn account_user(namespace: &str, name: &str) -> User {
    User::new(name_of(namespace, name), groups_of(namespace))
}

fn groups_of(namespace: &str) -> [String; 2] {
    let all = "system:serviceaccounts";
    [all.to_owned(), format!("{all}:{namespace}")]
}

/// The account of a token, if it and what the token is bound to are still the same objects.
fn owner(objects: Find<'_>, private: &Value, id: &str) -> Result<User, &'static str> {
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or("").to_owned();
    let namespace = text(private, "namespace");
    let living = |resource: &'static Resource, named: &Value| {
        let home = if resource.namespaced { &namespace } else { "" };
        let found = objects(resource, home, &text(named, "name"));
        found.is_some_and(|object| object.uid() == text(named, "uid"))
    };
    let account = &private["serviceaccount"];
    if !living(&resources::SERVICE_ACCOUNTS, account) {
        return Err("the account of the token is gone");
    }
    let mut user = account_user(&namespace, &text(account, "name"));
    user.uid = text(account, "uid");
    user.know("credential-id", format!("JTI={id}"));
    let bound = BINDABLE.into_iter();
    for (kind, resource, bound) in
        bound.filter_map(|(kind, one)| Some((kind, one, private.get(kind)?)))
    {
        if !living(resource, bound) {
            return Err("what the token is bound to is gone");
        }
        user.know(&format!("{kind}-name"), text(bound, "name"));
        user.know(&format!("{kind}-uid"), text(bound, "uid"));
    }
    Ok(user)
}

impl User {
    fn know(&mut self, name: &str, value: String) {
        self.extra.insert(format!("{EXTRA}/{name}"), vec![value]);
    }
}

/// The caller by the token in a request; anonymous without one.
///
/// # Errors
/// 401 for a token that is nobody's.
pub fn by_token(tokens: &Tokens, objects: Find<'_>, headers: &HeaderMap) -> Result<User, Status> {
    let Some(header) = headers.get(AUTHORIZATION) else {
        return Ok(User::anonymous());
    };
    let token = header.to_str().ok().and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    let token = token.ok_or_else(Status::unauthorized)?;
    if let Some(parts) = bootstrap_token::parse(token) {
        return bootstrap_token::review(objects, parts, clock::now()).map_err(|reason| {
            tracing::info!(id = parts.0, reason, "a bootstrap token was refused");
            Status::unauthorized()
        });
    }
    match tokens.review(objects, token, &[ISSUER.to_owned()]) {
        Ok((user, _)) => Ok(user),
        Err(reason) => {
            tracing::debug!(reason, "a token was refused");
            Err(Status::unauthorized())
        }
    }
}

const AS_USER: &str = "impersonate-user";
const AS_GROUP: &str = "impersonate-group";
const AS_UID: &str = "impersonate-uid";
const AS_EXTRA: &str = "impersonate-extra-";

/// Whom the caller asks to be, if the rules allow it; the caller itself if nobody else.
///
/// # Errors
/// 403 when the caller may not, 400 when the headers name nobody.
pub fn impersonated(rules: &Rules, user: User, headers: &HeaderMap) -> Result<User, Status> {
    let asks = |name: &http::HeaderName| name.as_str().starts_with("impersonate-");
    if !headers.keys().any(asks) {
        return Ok(user);
    }
    let wish = Wish::read(headers)?;
    let (namespace, _) = wish.account();
    for (group, resource, part, name) in wish.wanted() {
        let action = Action::Resource {
            verb: "impersonate",
            group,
            resource,
            subresource: part,
            namespace: if resource == "serviceaccounts" {
                namespace
            } else {
                ""
            },
            name,
        };
        if !rules.allow(&user, &action) {
            return Err(refusal(&user, &action));
        }
    }
    Ok(wish.into_user())
}

/// Whom the headers name.
#[derive(Default)]
struct Wish {
    name: String,
    groups: Vec<String>,
    uid: String,
    extra: BTreeMap<String, Vec<String>>,
}

impl Wish {
    fn read(headers: &HeaderMap) -> Result<Self, Status> {
        let mut wish = Self::default();
        for (name, value) in headers {
            let name = name.as_str();
            if name.starts_with("impersonate-") {
                let text = value.to_str().map(str::to_owned);
                let refuse = |_| Status::bad_request(format!("{name}: it is not text"));
                wish.take(name, text.map_err(refuse)?);
            }
        }
        if wish.name.is_empty() {
            return Err(Status::bad_request(
                "a request that impersonates groups, a uid or extras must impersonate a user: set Impersonate-User, or --as",
            ));
        }
        Ok(wish)
    }

    fn take(&mut self, header: &str, text: String) {
        match header {
            AS_USER => self.name = text,
            AS_GROUP => self.groups.push(text),
            AS_UID => self.uid = text,
            other => {
                if let Some(key) = other.strip_prefix(AS_EXTRA) {
                    self.extra.entry(percent(key)).or_default().push(text);
                }
            }
        }
    }

    /// Namespace and name of the service account that is meant; empty for other users.
    fn account(&self) -> (&str, &str) {
        match self.name.strip_prefix(SERVICE_ACCOUNT_PREFIX) {
            Some(rest) => rest.split_once(':').unwrap_or(("", rest)),
            None => ("", ""),
        }
    }

    /// Everything that the caller must be allowed to be: group, resource, part and name of each.
    fn wanted(&self) -> Vec<(&str, &str, &str, &str)> {
        const GROUP: &str = "authentication.k8s.io";
        let mut wanted = vec![match self.account() {
            (_, "") => ("", "users", "", self.name.as_str()),
            (_, account) => ("", "serviceaccounts", "", account),
        }];
        let groups = self.groups.iter();
        wanted.extend(groups.map(|group| ("", "groups", "", group.as_str())));
        if !self.uid.is_empty() {
            wanted.push((GROUP, "uids", "", &self.uid));
        }
        for (key, values) in &self.extra {
            let values = values.iter();
            wanted.extend(values.map(|value| (GROUP, "userextras", key.as_str(), value.as_str())));
        }
        wanted
    }

    /// An account is in its groups, unless the caller names others.
    fn into_user(self) -> User {
        let groups = match self.account() {
            (namespace, account) if !account.is_empty() && self.groups.is_empty() => {
                groups_of(namespace).to_vec()
            }
            _ => self.groups.clone(),
        };
        User {
            uid: self.uid,
            extra: self.extra,
            ..User::new(self.name, groups)
        }
    }
}

/// Keys of extras are percent-encoded in the names of headers.
fn percent(key: &str) -> String {
    let decoded = form_urlencoded::parse(format!("{}=", key.replace('+', "%2B")).as_bytes())
        .next()
        .map(|(key, _)| key.into_owned());
    decoded.unwrap_or_else(|| key.to_owned())
}
