//! The rows were printed by Go 1.26 (`strconv`, Unicode 15).

use super::*;
use proptest::prelude::*;

#[test]
fn floats_print_as_go_prints_them() {
    #[rustfmt::skip]
    let rows: [(u64, &str, &str, &str); 37] = [
        (0x0, "0", "0", "0"),
        (0x8000000000000000, "-0", "-0", "-0"),
        (0x3ff0000000000000, "1", "1", "1"),
        (0xbff0000000000000, "-1", "-1", "-1"),
        (0x3fb999999999999a, "0.1", "0.1", "0.1"),
        (0x4059000000000000, "100", "100", "100"),
        (0x40fe240000000000, "123456", "123456", "123456"),
        (0x412e847e00000000, "999999", "999999", "999999"),
        (0x412e848000000000, "1000000", "1000000", "1e+06"),
        (0x4132d68700000000, "1234567", "1234567", "1.234567e+06"),
        (0x40fe240b33333333, "123456.7", "123456.7", "123456.7"),
        (0x4132d687cccccccd, "1234567.8", "1234567.8", "1.2345678e+06"),
        (0x4341c37937e08000, "10000000000000000", "10000000000000000", "1e+16"),
        (0x4415af1d78b58c40, "100000000000000000000", "100000000000000000000", "1e+20"),
        (0x444b1ae4d6e2ef50, "1000000000000000000000", "1e+21", "1e+21"),
        (0x4454542ba12a337c, "1500000000000000000000", "1.5e+21", "1.5e+21"),
        (0x4480f0cf064dd592, "10000000000000000000000", "1e+22", "1e+22"),
        (0x43e56a95319d63e1, "12345678901234567000", "12345678901234567000", "1.2345678901234567e+19"),
        (0x4340000000000000, "9007199254740992", "9007199254740992", "9.007199254740992e+15"),
        (0x3f1a36e2eb1c432d, "0.0001", "0.0001", "0.0001"),
        (0x3ee4f8b588e368f1, "0.00001", "0.00001", "1e-05"),
        (0x3eef75104d551d69, "0.000015", "0.000015", "1.5e-05"),
        (0x3eb0c6f7a0b5ed8d, "0.000001", "0.000001", "1e-06"),
        (0x3eb09c0482f18c75, "0.00000099", "9.9e-07", "9.9e-07"),
        (0x3e7ad7f29abcaf48, "0.0000001", "1e-07", "1e-07"),
        (0x3fd3333333333333, "0.3", "0.3", "0.3"),
        (0x3fd5555555555555, "0.3333333333333333", "0.3333333333333333", "0.3333333333333333"),
        (0x4004000000000000, "2.5", "2.5", "2.5"),
        (0x54b249ad2594c37d, "10000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000", "1e+100", "1e+100"),
        (0x437b4fbd92b5f800, "123000000000000000", "123000000000000000", "1.23e+17"),
        (0xbeb4b6231abfd271, "-0.0000012345", "-0.0000012345", "-1.2345e-06"),
        (0x41d954fc4007df3b, "1700000000.123", "1700000000.123", "1.700000000123e+09"),
        (0x40f86a0000000000, "100000", "100000", "100000"),
        (0x430c6bf526340000, "1000000000000000", "1000000000000000", "1e+15"),
        (0x4330000000000000, "4503599627370496", "4503599627370496", "4.503599627370496e+15"),
        (0x417312d008000000, "20000000.5", "20000000.5", "2.00000005e+07"),
        (0x41124f8000000000, "300000", "300000", "300000"),
    ];
    for (bits, plain, json, general) in rows {
        let value = f64::from_bits(bits);
        assert_eq!(format_float(value), plain);
        assert_eq!(format_float_json(value), json);
        assert_eq!(format_float_general(value), general);
    }
    assert_eq!(format_float(f64::NAN), "NaN");
    assert_eq!(format_float_json(f64::INFINITY), "+Inf");
    assert_eq!(format_float_general(f64::NEG_INFINITY), "-Inf");
}

#[test]
fn strings_are_quoted_as_go_quotes_them() {
    for (text, quoted) in [
        ("plain", r#""plain""#),
        ("q\"b\\", r#""q\"b\\""#),
        ("\x07\x08\x0c\n\r\t\x0b", r#""\a\b\f\n\r\t\v""#),
        ("\0\x1f\x7f", r#""\x00\x1f\x7f""#),
        ("ä\u{a0}\u{200b}\u{301}é\u{2028}", "\"ä\\u00a0\\u200b\u{301}é\\u2028\""),
        ("😀\u{e0001}\u{10ffff}", r#""😀\U000e0001\U0010ffff""#),
        ("\u{feff}\u{fffd}\u{e000}", "\"\\ufeff\u{fffd}\\ue000\""),
        ("\u{85}\u{ad}日本 \u{3000}", r#""\u0085\u00ad日本 \u3000""#),
    ] {
        assert_eq!(quote(text), quoted);
        assert_eq!(unquote(quoted).as_deref(), Ok(text));
    }
}

#[test]
fn literals_mean_what_promql_says() {
    for (literal, text) in [
        ("\"\"", ""),
        ("''", ""),
        ("``", ""),
        (r"`a\nb`", r"a\nb"),
        ("`a\nb`", "a\nb"),
        (r"'a\'b'", "a'b"),
        (r#""a'b""#, "a'b"),
        (r#""\x41\101\u00e4\U0001F600""#, "AAä😀"),
        (r#""\xc3\xa4""#, "ä"),
    ] {
        assert_eq!(unquote(literal).as_deref(), Ok(text), "{literal}");
    }
    let bad = [
        "",
        "\"",
        "a",
        "\"a",
        "'a\"",
        "\"a\nb\"",
        r#""\'""#,
        r#"'\"'"#,
        r#""\""#,
        r#""\z""#,
        r#""\x4""#,
        r#""\400""#,
        r#""\ud800""#,
        r#""\xff""#,
        "\"a\"b\"",
        "`a`b`",
    ];
    for literal in bad {
        assert_eq!(unquote(literal), Err(UnquoteError), "{literal}");
    }
}

proptest! {
    #[test]
    fn every_float_reads_back(bits: u64) {
        let value = f64::from_bits(bits);
        prop_assume!(value.is_finite());
        for text in [format_float(value), format_float_json(value), format_float_general(value)] {
            prop_assert_eq!(text.parse::<f64>().expect("a number").to_bits(), bits, "{}", text);
        }
    }

    #[test]
    fn quoting_is_undone(text: String) {
        prop_assert_eq!(unquote(&quote(&text)), Ok(text));
    }

    #[test]
    fn unquote_takes_anything(text in "[\"'`\\\\xuU0-9a-f\n]{0,12}") {
        let _ = unquote(&text);
    }
}
