//! Who is signed in: a name in a cookie, given by `?u=NAME`. No password, since it guards nothing: it shows routing by user.

/// The cookie that holds the name.
pub const COOKIE: &str = "bookinfo-user";

/// What the address of the page asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Wish {
    /// No `u` in the query: whoever the cookie names.
    Stay,
    /// `?u=NAME` with a usable name.
    SignIn(String),
    /// `?u=` with nothing behind it.
    SignOut,
    /// `?u=` with a name that a header could not carry safely.
    Refused,
}

/// Reads the wish from a query string.
pub fn wish(query: Option<&str>) -> Wish {
    let value = query
        .unwrap_or_default()
        .split('&')
        .find_map(|pair| pair.strip_prefix("u="));
    match value {
        None => Wish::Stay,
        Some("") => Wish::SignOut,
        Some(name) if usable(name) => Wish::SignIn(name.to_owned()),
        Some(_) => Wish::Refused,
    }
}

/// Finds the signed-in name in the values of the `cookie` headers.
pub fn from_cookies<'a>(mut cookies: impl Iterator<Item = &'a str>) -> Option<String> {
    cookies.find_map(|header| {
        header.split(';').find_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            (name == COOKIE && usable(value)).then(|| value.to_owned())
        })
    })
}

/// The `set-cookie` value that signs a person in.
pub fn sign_in(name: &str) -> String {
    format!("{COOKIE}={name}; Path=/; HttpOnly; SameSite=Lax")
}

/// The `set-cookie` value that signs out.
pub fn sign_out() -> String {
    format!("{COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax")
}

fn usable(name: &str) -> bool {
    (1..=32).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_signs_in_and_out() {
        assert_eq!(wish(Some("a=b&u=jason")), Wish::SignIn("jason".into()));
        assert_eq!(wish(Some("u=")), Wish::SignOut);
        assert_eq!(wish(None), Wish::Stay);
        assert_eq!(wish(Some("u=%3Cscript%3E")), Wish::Refused);
        assert_eq!(wish(Some(&format!("u={}", "x".repeat(33)))), Wish::Refused);
    }

    #[test]
    fn the_cookie_is_found_among_others_and_never_trusted() {
        let headers = ["theme=dark; other=1", "a=1; bookinfo-user=mole; b=2"];
        assert_eq!(from_cookies(headers.into_iter()), Some("mole".into()));
        assert_eq!(from_cookies(["bookinfo-user=\"><b>"].into_iter()), None);
        assert_eq!(from_cookies(["bookinfo-user="].into_iter()), None);
    }
}
