//! Calendar functions, in UTC.

use model::rfc3339::{civil_from_days, days_from_civil};

/// Seconds from the year in which Go's absolute calendar begins to 1970, a whole number of days.
const ABSOLUTE_EPOCH_S: i64 = 9_223_372_028_715_321_600;

/// Go's conversion on amd64: what does not fit is the smallest number.
fn whole(seconds: f64) -> i64 {
    let limit = -(i64::MIN as f64);
    if (-limit..limit).contains(&seconds) { seconds as i64 } else { i64::MIN }
}

/// Parts of a date that functions ask for. Times beyond the calendar wrap as the original's do.
pub(crate) fn part(name: &str, seconds: f64) -> f64 {
    let absolute = whole(seconds).wrapping_add(ABSOLUTE_EPOCH_S) as u64;
    let second_of_day = absolute % 86_400;
    let days = (absolute / 86_400) as i64 - ABSOLUTE_EPOCH_S / 86_400;
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
        "hour" => (second_of_day / 3600) as i64,
        _ => (second_of_day % 3600 / 60) as i64,
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
        assert_eq!((part("year", f64::NAN), part("hour", 1e300)), (292_277_026_596.0, 15.0));
    }
}
