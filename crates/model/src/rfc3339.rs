//! RFC 3339: how times are written in APIs and logs (`2026-11-21T11:54:48.123Z`).
//!
//! Days and dates convert by Howard Hinnant's civil-calendar arithmetic: exact for every year, no tables.
//! Accepted when parsing: what Go's `time.Parse(time.RFC3339Nano, …)` accepts; printed: UTC, as many digits as needed.

use crate::time::Timestamp;

const DAY_MS: i64 = 86_400_000;

/// Writes `at` in UTC with milliseconds, trailing zeros cut: `2026-11-21T11:54:48.12Z`, as Go's `RFC3339Nano` does.
pub fn format(at: Timestamp) -> String {
    let (seconds, fraction) = (format_seconds(at), at.millis().rem_euclid(1000));
    match fraction {
        0 => format!("{seconds}Z"),
        _ => format!("{seconds}.{}Z", format!("{fraction:03}").trim_end_matches('0')),
    }
}

/// Writes `at` in UTC always with three digits of milliseconds: `2026-11-21T11:54:48.120Z`, as logs do.
pub fn format_millis(at: Timestamp) -> String {
    format!("{}.{:03}Z", format_seconds(at), at.millis().rem_euclid(1000))
}

/// Reads a time; `None` when the text is not one, or lies outside of what [`Timestamp`] holds. Finer than a
/// millisecond is cut off towards the past.
pub fn parse(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let number = |from: usize, len: usize| -> Option<i64> {
        let digits = bytes.get(from..from + len)?;
        digits.iter().try_fold(0i64, |n, d| d.is_ascii_digit().then(|| n * 10 + i64::from(d - b'0')))
    };
    let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if bytes.len() < 20 || separators.iter().any(|(at, b)| bytes[*at] != *b) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 2)?, number(8, 2)?);
    let (hour, minute, second) = (number(11, 2)?, number(14, 2)?, number(17, 2)?);
    if !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut rest = &bytes[19..];
    let mut millis = 0;
    if let [b'.' | b',', digits @ ..] = rest {
        let len = digits.iter().take_while(|d| d.is_ascii_digit()).count();
        if len == 0 {
            return None;
        }
        for place in 0..3 {
            millis = millis * 10 + digits[..len].get(place).map_or(0, |d| i64::from(d - b'0'));
        }
        rest = &digits[len..];
    }
    let offset_minutes = match rest {
        b"Z" => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] if [h1, h2, m1, m2].iter().all(|d| d.is_ascii_digit()) => {
            let digit = |d: &u8| i64::from(d - b'0');
            let (hours, minutes) = (digit(h1) * 10 + digit(h2), digit(m1) * 10 + digit(m2));
            if hours > 24 || minutes > 60 {
                return None;
            }
            (hours * 60 + minutes) * if *sign == b'-' { -1 } else { 1 }
        }
        _ => return None,
    };
    let days = days_from_civil(year, month, day);
    let seconds = days * 86_400 + hour * 3600 + (minute - offset_minutes) * 60 + second;
    Some(Timestamp(seconds * 1000 + millis))
}

fn format_seconds(at: Timestamp) -> String {
    let (year, month, day) = civil_from_days(at.millis().div_euclid(DAY_MS));
    let second = at.millis().rem_euclid(DAY_MS) / 1000;
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
}

fn days_in(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01. The year is taken to start in March, so that the leap day is its last.
pub fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Year, month and day of a number of days since 1970-01-01.
pub fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day_of_year - (153 * shifted_month + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_go_reads_them() {
        let table = [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("1969-12-31T23:59:59.999Z", Some(-1)),
            ("2026-11-21T11:54:48.123456789Z", Some(1_795_262_088_123)),
            ("2026-11-21T12:54:48.5+01:00", Some(1_795_262_088_500)),
            ("2000-02-29T00:00:00-00:30", Some(951_784_200_000)),
            ("2001-02-29T00:00:00Z", None),
            ("2026-11-21T24:00:00Z", None),
            ("2026-11-21 11:54:48Z", None),
            ("2026-11-21T11:54:48", None),
            ("2026-11-21T11:54:48.Z", None),
            ("2026-11-21T11:54:48+0100", None),
            ("äöü6-11-21T11:54:48Z", None),
            ("", None),
        ];
        for (text, millis) in table {
            assert_eq!(parse(text).map(Timestamp::millis), millis, "{text}");
        }
    }

    #[test]
    fn every_day_of_four_centuries_round_trips() {
        for days in -150_000..150_000 {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), days);
            assert!(day >= 1 && day <= days_in(year, month), "{year}-{month}-{day}");
        }
    }

    #[test]
    fn times_are_written_in_utc() {
        assert_eq!(format(Timestamp(1_795_262_088_120)), "2026-11-21T11:54:48.12Z");
        assert_eq!(format(Timestamp(0)), "1970-01-01T00:00:00Z");
        assert_eq!(format_millis(Timestamp(-1)), "1969-12-31T23:59:59.999Z");
        assert_eq!(parse(&format(Timestamp(1_795_262_088_120))), Some(Timestamp(1_795_262_088_120)));
    }
}
