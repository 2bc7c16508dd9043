//! Machine code of a component that differs from another one in data only: what was put into the component is put into its code.

use std::ops::Range;

/// What is shorter may be found by chance, and not be data.
const SHORTEST: usize = 4 << 10;

/// The code of `wasm`, out of that of `like`, from which it differs in the range `at`. None if they differ elsewhere,
/// or if what `like` has there does not stand once in its code: such a run of bytes is what the compiler copied, never what it made.
#[must_use]
pub fn exchange(
    (like, at): (&[u8], Range<usize>),
    wasm: &[u8],
    mut code: Vec<u8>,
) -> Option<Vec<u8>> {
    let (from, to) = (like.get(at.clone())?, wasm.get(at.clone())?);
    let same = wasm.len() == like.len()
        && wasm[..at.start] == like[..at.start]
        && wasm[at.end..] == like[at.end..];
    if !same || from.len() < SHORTEST {
        return None;
    }
    let place = once(&code, from)?;
    code.get_mut(place..place + to.len())?.copy_from_slice(to);
    Some(code)
}

/// Where `wanted` stands, if it does so once.
fn once(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = wanted.first()?;
    let (mut from, mut found) = (0, None);
    while let Some(ahead) = bytes.get(from..)?.iter().position(|byte| byte == first) {
        let at = from + ahead;
        from = at + 1;
        if bytes[at..].starts_with(wanted) {
            if found.is_some() {
                return None;
            }
            found = Some(at);
            from = at + wanted.len();
        }
    }
    found
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn with(text: u8, around: &str) -> Vec<u8> {
        let mut bytes = around.as_bytes().to_vec();
        bytes.extend([text; SHORTEST]);
        bytes.extend(around.as_bytes());
        bytes
    }

    #[test]
    fn what_stands_once_is_exchanged() {
        let (like, wasm) = (with(1, "wasm"), with(2, "wasm"));
        let at = 4..4 + SHORTEST;
        let made = exchange((&like, at.clone()), &wasm, with(1, "code"));
        assert_eq!(made.unwrap(), with(2, "code"));
    }

    #[test]
    fn whatever_else_differs_is_compiled() {
        let (like, wasm) = (with(1, "wasm"), with(2, "wasm"));
        let at = 4..4 + SHORTEST;
        let code = with(1, "code");
        let twice = [code.clone(), code.clone()].concat();
        for (at, wasm, code) in [
            (at.clone(), with(2, "mask"), code.clone()),
            (at.clone(), wasm[1..].to_vec(), code.clone()),
            (4..SHORTEST, wasm.clone(), code.clone()),
            (4..1 << 20, wasm.clone(), code),
            (at.clone(), wasm.clone(), with(3, "code")),
            (at, wasm.clone(), twice),
        ] {
            assert_eq!(exchange((&like, at), &wasm, code), None);
        }
    }
}
