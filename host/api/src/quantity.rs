//! Quantities: `500m`, `64Mi`, `1e3`. Read exactly, written in Kubernetes' canonical form.

/// A text that is not a quantity, or one out of range for its use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidQuantity {
    /// Not `<number><suffix>`.
    #[error(
        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$', not {text:?}; write for example 500m, 64Mi or 1.5"
    )]
    Malformed {
        /// What was written.
        text: String,
    },
    /// Negative, or larger than the use allows.
    #[error("quantity {text:?} is out of range here: it must be from 0 to {most}")]
    OutOfRange {
        /// What was written.
        text: String,
        /// The largest value.
        most: u64,
    },
}

/// How a quantity is scaled when written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// `Ki`, `Mi`...
    Binary,
    /// `m`, `k`, `M`...
    Decimal,
    /// `e3`.
    Exponent,
}

/// A number in billionths, the finest that Kubernetes keeps; finer parts round up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Exact {
    nano: i128,
    format: Format,
}

const NANO: i128 = 1_000_000_000;
const BINARY: [(&str, u32); 6] = [
    ("Ki", 10),
    ("Mi", 20),
    ("Gi", 30),
    ("Ti", 40),
    ("Pi", 50),
    ("Ei", 60),
];
/// Suffix and power of ten.
const DECIMAL: [(&str, i32); 10] = [
    ("n", -9),
    ("u", -6),
    ("m", -3),
    ("", 0),
    ("k", 3),
    ("M", 6),
    ("G", 9),
    ("T", 12),
    ("P", 15),
    ("E", 18),
];

/// A whole number of bytes, rounded up: `64Mi` is 67108864.
pub fn bytes(text: &str) -> Result<u64, InvalidQuantity> {
    in_range(text, NANO)
}

/// Thousandths, rounded up: `500m` is 500, `2` is 2000.
pub fn millicores(text: &str) -> Result<u64, InvalidQuantity> {
    in_range(text, NANO / 1000)
}

/// The one way to write this amount: `0.5` is `500m`, `1024Ki` is `1Mi`.
pub fn canonical(text: &str) -> Result<String, InvalidQuantity> {
    Ok(write(parse(text)?))
}

/// Whether the amount is below zero.
pub fn negative(text: &str) -> Result<bool, InvalidQuantity> {
    Ok(parse(text)?.nano < 0)
}

/// Orders two quantities by amount.
pub fn compare(a: &str, b: &str) -> Result<std::cmp::Ordering, InvalidQuantity> {
    Ok(parse(a)?.nano.cmp(&parse(b)?.nano))
}

/// The sum, in the form of the first unless that is zero. What is no quantity counts as nothing.
pub fn add(a: &str, b: &str) -> String {
    let zero = Exact {
        nano: 0,
        format: Format::Decimal,
    };
    let (a, b) = (parse(a).unwrap_or(zero), parse(b).unwrap_or(zero));
    let format = if a.nano == 0 { b.format } else { a.format };
    write(Exact {
        nano: a.nano.saturating_add(b.nano),
        format,
    })
}

/// How many times the second fits into the first; `None` if one is no quantity or the second is zero.
pub fn ratio(a: &str, b: &str) -> Option<f64> {
    let (a, b) = (parse(a).ok()?.nano, parse(b).ok()?.nano);
    #[expect(
        clippy::cast_precision_loss,
        reason = "a ratio is shown with six digits"
    )]
    let ratio = a as f64 / b as f64;
    ratio.is_finite().then_some(ratio)
}

/// Writes a number of bytes, in binary units where they divide it.
pub fn from_bytes(bytes: u64) -> String {
    write(Exact {
        nano: i128::from(bytes) * NANO,
        format: Format::Binary,
    })
}

/// Writes thousandths.
pub fn from_millicores(millicores: u64) -> String {
    write(Exact {
        nano: i128::from(millicores) * (NANO / 1000),
        format: Format::Decimal,
    })
}

fn in_range(text: &str, unit: i128) -> Result<u64, InvalidQuantity> {
    let exact = parse(text)?;
    let out_of_range = |_| InvalidQuantity::OutOfRange {
        text: text.to_owned(),
        most: u64::MAX,
    };
    u64::try_from(ceiling(exact.nano, unit)).map_err(out_of_range)
}

fn ceiling(value: i128, unit: i128) -> i128 {
    value.div_euclid(unit) + i128::from(value.rem_euclid(unit) != 0)
}

fn parse(text: &str) -> Result<Exact, InvalidQuantity> {
    let malformed = || InvalidQuantity::Malformed {
        text: text.to_owned(),
    };
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let end = unsigned
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(end);
    let (mantissa, decimals) = digits(number).ok_or_else(malformed)?;
    let (ten, two, format) = scale(suffix).ok_or_else(malformed)?;
    let nano = scaled(mantissa, ten - decimals + 9, two).ok_or_else(malformed)?;
    Ok(Exact {
        nano: if text.starts_with('-') { -nano } else { nano },
        format,
    })
}

/// The digits of `12.50` as (1250, 2).
fn digits(number: &str) -> Option<(i128, i32)> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let mantissa = format!("{whole}{fraction}").parse().ok()?;
    Some((mantissa, i32::try_from(fraction.len()).ok()?))
}

/// Powers of ten and two of a suffix.
fn scale(suffix: &str) -> Option<(i32, u32, Format)> {
    if let Some((_, power)) = BINARY.iter().find(|(name, _)| *name == suffix) {
        return Some((0, *power, Format::Binary));
    }
    if let Some((_, power)) = DECIMAL.iter().find(|(name, _)| *name == suffix) {
        return Some((*power, 0, Format::Decimal));
    }
    let exponent = suffix.strip_prefix(['e', 'E'])?;
    let power: i32 = exponent.parse().ok()?;
    (power.abs() <= 30).then_some((power, 0, Format::Exponent))
}

/// `mantissa * 10^ten * 2^two`, rounded up; `None` when it does not fit.
fn scaled(mantissa: i128, ten: i32, two: u32) -> Option<i128> {
    let doubled = mantissa.checked_mul(1i128.checked_shl(two)?)?;
    let factor = 10i128.checked_pow(ten.unsigned_abs());
    match (ten >= 0, factor) {
        (true, Some(factor)) => doubled.checked_mul(factor),
        (true, None) => (doubled == 0).then_some(0),
        (false, Some(factor)) => Some(ceiling(doubled, factor)),
        (false, None) => Some(i128::from(doubled != 0)),
    }
}

fn write(exact: Exact) -> String {
    let Exact { nano, format } = exact;
    if nano == 0 {
        return "0".to_owned();
    }
    // Amounts below 1024 have no binary form, nor have fractions: Kubernetes writes both as decimals.
    let binary = format == Format::Binary && nano % NANO == 0 && nano.abs() >= 1024 * NANO;
    if binary {
        return write_binary(nano / NANO);
    }
    let (suffix, power, count) = largest_power(nano);
    if format != Format::Exponent {
        return format!("{count}{suffix}");
    }
    if power == 0 {
        count.to_string()
    } else {
        format!("{count}e{power}")
    }
}

fn write_binary(whole: i128) -> String {
    let fits = BINARY
        .iter()
        .rev()
        .find(|(_, power)| whole % (1i128 << power) == 0);
    fits.map_or_else(
        || whole.to_string(),
        |(suffix, power)| format!("{}{suffix}", whole >> power),
    )
}

/// The largest decimal suffix that keeps a whole count.
fn largest_power(nano: i128) -> (&'static str, i32, i128) {
    let mut best = ("n", -9, nano);
    for (suffix, power) in DECIMAL.into_iter().skip(1) {
        let unit = 10i128.pow(power.unsigned_abs().min(9)).max(1);
        let unit = if power < 0 {
            NANO / unit
        } else {
            NANO * 10i128.pow(power.unsigned_abs())
        };
        if nano % unit == 0 {
            best = (suffix, power, nano / unit);
        }
    }
    best
}

#[cfg(test)]
mod tests;
