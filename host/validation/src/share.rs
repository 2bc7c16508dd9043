//! Numbers that may be written as a share of a whole: `3` or `25%`.

use super::at::At;
use osier_api::Fault;

const WORDS: &str = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";

/// A count, or a percentage.
pub(super) fn check(share: &At<'_>) -> Option<Fault> {
    match share.value.as_str() {
        Some(text) => percent(text).is_none().then(|| share.invalid(WORDS)),
        None => share.at_least(0),
    }
}

/// As a percentage it is at most the whole.
pub(super) fn at_most_all(share: &At<'_>) -> Option<Fault> {
    let percent = share.value.as_str().and_then(percent);
    percent
        .filter(|percent| *percent > 100)
        .map(|_| share.invalid("must not be greater than 100%"))
}

/// Written as nothing, in either form.
pub(super) fn is_zero(share: &At<'_>) -> bool {
    let percent = share.value.as_str().and_then(percent);
    percent == Some(0) || share.int() == Some(0)
}

fn percent(text: &str) -> Option<u32> {
    let digits = text.strip_suffix('%')?;
    digits
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| digits.parse().ok())?
}
