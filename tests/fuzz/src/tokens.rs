//! Tokens and the keys of those who sign them: whatever the bytes, they are read or refused, and what nobody signed is not believed.

use osier_identity::{KeySet, WebToken};

/// A key that signed none of the tokens, whatever their algorithm: one of each kind, so that every verification is reached.
const KEYS: &str = include_str!("../corpus/token/keys");

/// A token, or a key set with a token behind a line feed.
pub(crate) fn token(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let (keys, text) = text.split_once('\n').unwrap_or((KEYS, text));
    let keys = KeySet::read(keys);
    let Ok(token) = WebToken::read(text) else {
        return;
    };
    let ends = token.valid_until(2_000_000_000, 60);
    assert!(
        ends.is_ok() || token.claims.contains_key("exp") || token.claims.contains_key("nbf"),
        "a token without times is valid at any"
    );
    if let Ok(keys) = keys {
        let _believed = keys.verify(&token);
    }
}
