//! Times as clouds write them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds of a day.
const DAY: u64 = 86_400;

/// `20260102T030405Z`, the basic form of [ISO 8601] that AWS's signatures want.
///
/// [ISO 8601]: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
#[must_use]
pub fn compact(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (year, month, day) = civil(seconds / DAY);
    let of_day = seconds % DAY;
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

/// A time as [RFC 3339] writes it: with `Z` or an offset, fractions dropped.
///
/// [RFC 3339]: https://www.rfc-editor.org/rfc/rfc3339#section-5.6
#[must_use]
pub fn parse(text: &str) -> Option<SystemTime> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<u64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let marks = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
    let is_time = marks.iter().all(|(at, mark)| text.as_bytes().get(*at) == Some(mark));
    if !is_time || !(1..=12).contains(&month) || !(1..=31).contains(&day) || year < 1970 {
        return None;
    }
    let rest = text.get(19..)?.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let offset = match rest {
        "Z" | "z" => 0,
        _ => {
            let (hours, minutes) = rest.get(1..)?.split_once(':')?;
            let seconds = hours.parse::<i64>().ok()? * 3600 + minutes.parse::<i64>().ok()? * 60;
            if rest.starts_with('-') { -seconds } else { seconds }
        }
    };
    let local = days(year, month, day).checked_mul(DAY)? + hour * 3600 + minute * 60 + second;
    let seconds = i64::try_from(local).ok()?.checked_sub(offset)?;
    UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(seconds).ok()?))
}

/// Year, month and day of a number of days since 1970, in the Gregorian calendar.
fn civil(days: u64) -> (u64, u64, u64) {
    // Counted from March, the leap day is a year's last.
    let days = days + 719_468;
    let era = days / 146_097;
    let of_era = days % 146_097;
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + u64::from(month <= 2), month, day)
}

/// The other way round.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways() {
        for (text, seconds, shown) in [
            ("1970-01-01T00:00:00Z", Some(0), "19700101T000000Z"),
            ("2026-01-02T03:04:05Z", Some(1_767_323_045), "20260102T030405Z"),
            ("2024-02-29T23:59:59.999Z", Some(1_709_251_199), "20240229T235959Z"),
            ("2026-01-02T05:04:05+02:00", Some(1_767_323_045), "20260102T030405Z"),
            ("2000-03-01T00:00:00-01:30", Some(951_874_200), "20000301T013000Z"),
            ("2026-13-02T03:04:05Z", None, ""),
            ("2026-01-02", None, ""),
            ("2026-01-02T03:04:05", None, ""),
            ("soon", None, ""),
        ] {
            let time = parse(text);
            let expected = seconds.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds));
            assert_eq!(time, expected, "{text}");
            if let Some(time) = time {
                assert_eq!(compact(time), shown, "{text}");
            }
        }
    }
}
