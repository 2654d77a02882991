//! Calendar functions, in UTC.

use model::rfc3339::{civil_from_days, days_from_civil};

/// Parts of a date that functions ask for.
pub(crate) fn part(name: &str, seconds: f64) -> f64 {
    // saturates: dates beyond what i64 holds mean nothing anyway
    let seconds = seconds as i64;
    let days = seconds.div_euclid(86_400).clamp(-1_000_000_000, 1_000_000_000);
    let (year, month, day) = civil_from_days(days);
    let value = match name {
        "year" => year,
        "month" => month,
        "day_of_month" => day,
        "day_of_year" => days - days_from_civil(year, 1, 1) + 1,
        "day_of_week" => (days + 4).rem_euclid(7),
        "days_in_month" => {
            let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
            days_from_civil(next_year, next_month, 1) - days_from_civil(year, month, 1)
        }
        "hour" => seconds.rem_euclid(86_400) / 3600,
        _ => seconds.rem_euclid(3600) / 60,
    };
    value as f64
}

/// `2023-11-14T22:16:40Z`
pub(crate) fn rfc3339(seconds: i64) -> String {
    model::rfc3339::format(model::Timestamp(seconds.saturating_mul(1000)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_known_dates() {
        // 2008-12-31T12:34:56Z, the last day of a leap year
        let parts = ["year", "month", "day_of_month", "day_of_year", "day_of_week", "days_in_month", "hour", "minute"];
        assert_eq!(parts.map(|name| part(name, 1_230_726_896.9)), [2008.0, 12.0, 31.0, 366.0, 3.0, 31.0, 12.0, 34.0]);
        assert_eq!(part("days_in_month", 1_456_790_399.0), 29.0);
        assert_eq!((part("year", -1.0), part("day_of_week", 0.0)), (1969.0, 4.0));
        assert!(part("year", 1e300).is_finite());
    }
}
