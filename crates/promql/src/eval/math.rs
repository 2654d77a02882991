//! Arithmetic where Go and Rust differ.

/// Go's `math.Max`: NaN wins, +0 over -0.
pub(crate) fn go_max(a: f64, b: f64) -> f64 {
    if a == f64::INFINITY || b == f64::INFINITY {
        f64::INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else if a == 0.0 && b == 0.0 {
        if a.is_sign_negative() { b } else { a }
    } else if a > b {
        a
    } else {
        b
    }
}

/// Go's `math.Min`: NaN wins, -0 over +0.
pub(crate) fn go_min(a: f64, b: f64) -> f64 {
    -go_max(-a, -b)
}

/// Whole powers as Go makes them, by squaring the fraction and adding the exponents: other roundings than the C library's, up to
/// dozens of last digits for large exponents. What is left to the library agrees with Go's but for the last digits.
pub(crate) fn go_pow(x: f64, y: f64) -> f64 {
    if y == 0.5 || y == -0.5 {
        return if x == 0.0 || x.is_infinite() || x.is_nan() || y > 0.0 { x.powf(y) } else { 1.0 / x.sqrt() };
    }
    if !x.is_finite() || x == 0.0 || y.fract() != 0.0 || y.abs() >= 9e18 || matches!(y, 0.0 | 1.0) {
        return x.powf(y);
    }
    let (mut fraction, mut exponent) = split(x);
    let (mut result, mut shift) = (1.0, 0);
    let mut left = y.abs() as u64;
    while left != 0 {
        if exponent.abs() > 1 << 12 {
            // far beyond what a float holds, whichever bits follow
            shift += exponent;
            break;
        }
        if left & 1 == 1 {
            result *= fraction;
            shift += exponent;
        }
        fraction *= fraction;
        exponent <<= 1;
        if fraction < 0.5 {
            fraction += fraction;
            exponent -= 1;
        }
        left >>= 1;
    }
    if y < 0.0 { joined(1.0 / result, -shift) } else { joined(result, shift) }
}

/// `x` = fraction · 2^exponent with a fraction of at least a half and below one; finite, not zero.
fn split(x: f64) -> (f64, i64) {
    let (x, below) = if x.abs() < f64::MIN_POSITIVE { (x * (1u64 << 52) as f64, 52) } else { (x, 0) };
    let bits = x.to_bits();
    let exponent = ((bits >> 52) & 0x7ff) as i64 - 1022 - below;
    (f64::from_bits(bits & !(0x7ff << 52) | (1022 << 52)), exponent)
}

/// fraction · 2^exponent, rounded once.
fn joined(fraction: f64, exponent: i64) -> f64 {
    if fraction == 0.0 || !fraction.is_finite() {
        return fraction;
    }
    let (fraction, own) = split(fraction);
    let power = |exponent: i64| f64::from_bits(((exponent + 1023) as u64) << 52);
    match exponent + own - 1 {
        1024.. => f64::INFINITY.copysign(fraction),
        exponent @ -1022..1024 => fraction * 2.0 * power(exponent),
        exponent @ -1076..-1022 => fraction * 2.0 * power(exponent + 53) * power(-53),
        _ => 0.0f64.copysign(fraction),
    }
}

/// The natural logarithm as Go has it (the method of FreeBSD's library, error below 1 ulp), so that last digits agree.
///
/// With x = 2^k · (1 + f), f between √½ - 1 and √2 - 1, and s = f / (2 + f): ln(1 + f) = 2s + s·R(s²), R a polynomial.
/// Below the smallest normal number the original is wrong on amd64 (never less than -709.09); ours is not.
pub(crate) fn go_ln(x: f64) -> f64 {
    const LN_2_HIGH: f64 = 6.931_471_803_691_238e-1;
    const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    const EVEN: [f64; 4] =
        [6.666_666_666_666_735e-1, 2.857_142_874_366_239e-1, 1.818_357_216_161_805e-1, 1.479_819_860_511_658_6e-1];
    const ODD: [f64; 3] = [3.999_999_999_940_942e-1, 2.222_219_843_214_978_4e-1, 1.531_383_769_920_937_3e-1];
    if !x.is_finite() || x <= 0.0 {
        return x.ln();
    }
    let (mut fraction, mut exponent) = split(x);
    if fraction < std::f64::consts::FRAC_1_SQRT_2 {
        fraction *= 2.0;
        exponent -= 1;
    }
    let (f, k) = (fraction - 1.0, exponent as f64);
    let s = f / (2.0 + f);
    let square = s * s;
    let fourth = square * square;
    let even = square * (EVEN[0] + fourth * (EVEN[1] + fourth * (EVEN[2] + fourth * EVEN[3])));
    let odd = fourth * (ODD[0] + fourth * (ODD[1] + fourth * ODD[2]));
    let half = 0.5 * f * f;
    k * LN_2_HIGH - ((half - (s * (half + (even + odd)) + k * LN_2_LOW)) - f)
}

/// Go's base-2 logarithm: exact for powers of two.
pub(crate) fn go_log2(x: f64) -> f64 {
    if !x.is_finite() || x <= 0.0 {
        return x.log2();
    }
    match split(x) {
        (0.5, exponent) => (exponent - 1) as f64,
        (fraction, exponent) => go_ln(fraction) * (1.0 / std::f64::consts::LN_2) + exponent as f64,
    }
}

/// Go's decimal logarithm: the natural one, scaled.
pub(crate) fn go_log10(x: f64) -> f64 {
    go_ln(x) * std::f64::consts::LOG10_E
}

/// Inverse hyperbolic cosine; Rust's own overflows for the largest numbers.
pub(crate) fn acosh(x: f64) -> f64 {
    if x > 1e154 { x.ln() + std::f64::consts::LN_2 } else { x.acosh() }
}

/// Inverse hyperbolic sine, likewise.
pub(crate) fn asinh(x: f64) -> f64 {
    if x.abs() > 1e154 { (x.abs().ln() + std::f64::consts::LN_2).copysign(x) } else { x.asinh() }
}

/// Whether two numbers differ by less than `epsilon` times their sum; two NaN are equal.
pub(crate) fn almost_equal(a: f64, b: f64, epsilon: f64) -> bool {
    if (a.is_nan() && b.is_nan()) || a == b {
        return true;
    }
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < epsilon * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < epsilon
}

#[cfg(test)]
mod tests {
    use super::*;

    const POWERS: &[(f64, f64, f64)] = &[
        (3.0, 3.0, 27.0),
        (0.1, 3.0, 0.0010000000000000002),
        (7.7, -7.0, 6.231102908174881e-7),
        (1.0000001, 1e6, 1.1051709126081526),
        (-2.5, 17.0, -5820766.091346741),
        (123.456, 100.0, 1.4165116894062622e209),
        (0.9999999, 1e18, 0.0),
        (1e-310, -1.0, f64::INFINITY),
        (5e-324, 1.0, 5e-324),
        (1e-3, 108.0, 0.0),
        (-0.3, 1000.0, 0.0),
        (1e100, 4.0, f64::INFINITY),
        (7.7, 0.5, 2.7748873851023217),
        (7.7, -0.5, 0.3603749850782236),
        (0.0, -3.0, f64::INFINITY),
        (f64::INFINITY, -2.0, 0.0),
    ];

    #[expect(clippy::approx_constant, reason = "what the original answers")]
    const LOGARITHMS: &[(f64, f64, f64)] = &[
        (1000.0, 9.965784284662087, 3.0),
        (8.0, 3.0, 0.9030899869919435),
        (10.0, 3.321928094887362, 1.0),
        (0.001, -9.965784284662087, -3.0),
        (3.0, 1.5849625007211563, 0.4771212547196624),
        (7.7, 2.944858445807539, 0.8864907251724818),
        (4.08151054974514, 2.029103186341046, 0.6108209233860156),
        (0.6013874745295245, -0.7336332745682642, -0.2208456214622369),
        (1e300, 996.5784284662087, 300.0),
    ];

    #[test]
    fn powers_and_logarithms_are_gos() {
        // as the original answers
        for (x, y, expected) in POWERS {
            assert_eq!(go_pow(*x, *y).to_bits(), f64::to_bits(*expected), "{x} ^ {y} = {}", go_pow(*x, *y));
        }
        for (x, two, ten) in LOGARITHMS {
            assert_eq!((go_log2(*x), go_log10(*x)), (*two, *ten), "{x}");
        }
        assert!(go_log2(-1.0).is_nan() && go_log10(0.0) == f64::NEG_INFINITY && go_pow(-8.0, 0.5).is_nan());
    }

    #[test]
    fn splitting_and_joining_lose_nothing() {
        for x in [1.0, -0.75, 1e300, -1e-300, 5e-324, f64::MAX, f64::MIN_POSITIVE, 2.0_f64.powi(-1060)] {
            let (fraction, exponent) = split(x);
            assert!((0.5..1.0).contains(&fraction.abs()), "{x}");
            assert_eq!(joined(fraction, exponent), x);
        }
        assert_eq!((joined(0.5, 2000), joined(-0.5, -2000)), (f64::INFINITY, -0.0));
    }

    #[test]
    fn extremes_are_gos() {
        assert!(go_max(f64::NAN, 1.0).is_nan() && go_min(1.0, f64::NAN).is_nan());
        assert_eq!(go_max(f64::NAN, f64::INFINITY), f64::INFINITY);
        assert!(go_min(0.0, -0.0).is_sign_negative() && go_max(-0.0, 0.0).is_sign_positive());
    }
}
