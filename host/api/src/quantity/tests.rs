//! Golden cases from upstream's documentation, and properties of the canonical form.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use proptest::prelude::*;

#[test]
fn reads_bytes_and_millicores() {
    let cases = [
        ("64Mi", 67_108_864),
        ("1k", 1000),
        ("1.5Gi", 1_610_612_736),
        ("128974848", 128_974_848),
        ("129e6", 129_000_000),
        ("100m", 1),
    ];
    for (text, expected) in cases {
        assert_eq!(bytes(text), Ok(expected), "{text}");
    }
    for (text, expected) in [
        ("500m", 500),
        ("2", 2000),
        ("0.1", 100),
        ("1u", 1),
        (".5", 500),
        ("1.", 1000),
    ] {
        assert_eq!(millicores(text), Ok(expected), "{text}");
    }
}

#[test]
fn writes_the_canonical_form() {
    let cases = [
        ("1.5", "1500m"),
        ("0.5", "500m"),
        ("1024Ki", "1Mi"),
        ("1.5Gi", "1536Mi"),
        ("1000k", "1M"),
        ("0", "0"),
        ("0Mi", "0"),
        ("100Ki", "100Ki"),
        ("-1000m", "-1"),
        ("1e3", "1e3"),
        ("12000e0", "12e3"),
        ("0.5Mi", "512Ki"),
        ("1Ki", "1Ki"),
        ("0.001n", "1n"),
        ("3e-3", "3e-3"),
    ];
    for (text, expected) in cases {
        assert_eq!(canonical(text).as_deref(), Ok(expected), "{text}");
    }
    assert_eq!(from_bytes(67_108_864), "64Mi");
    assert_eq!(from_millicores(1500), "1500m");
}

#[test]
fn refuses_what_is_none() {
    for bad in [
        "", "m", "1x", "1 Mi", "1.2.3", "--1", "1e", "1e99", "0x10", "1MiB", ".", "٣",
    ] {
        assert!(canonical(bad).is_err(), "{bad}");
    }
    assert!(matches!(
        bytes("-1"),
        Err(InvalidQuantity::OutOfRange { .. })
    ));
    assert!(bytes("64MB").unwrap_err().to_string().contains("64MB"));
}

proptest! {
    #[test]
    fn canonical_keeps_the_amount_and_is_a_fixed_point(number in 0u64..10_000_000, suffix in "(n|u|m||k|M|G|T|Ki|Mi|Gi|Ti|e3|E2)") {
        let text = format!("{number}{suffix}");
        let written = canonical(&text).unwrap();
        prop_assert_eq!(compare(&text, &written).unwrap(), std::cmp::Ordering::Equal);
        prop_assert_eq!(canonical(&written).unwrap(), written);
    }

    #[test]
    fn bytes_go_out_and_back(number in 0u64..u64::MAX / 2) {
        prop_assert_eq!(bytes(&from_bytes(number)).unwrap(), number);
    }

    #[test]
    fn nothing_panics(text in "\\PC{0,12}") {
        let _ = canonical(&text);
    }
}
