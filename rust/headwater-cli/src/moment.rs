//! Points in time as arguments and as text: RFC 3339 in, UTC out. Milliseconds since 1970, as in records.
//!
//! Deliberately absent: time zones by name, local time, leap seconds.

const DAY_MS: i64 = 86_400_000;

/// Reads `@MILLISECONDS`, a date, or a date with a time and an optional offset (`Z` where none is given).
pub(crate) fn parse(text: &str) -> Option<i64> {
    if let Some(ms) = text.strip_prefix('@') {
        return ms.parse().ok();
    }
    let (date, time) = match text.split_once(['T', 't', ' ']) {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let days = parse_date(date)?;
    let ms_of_day = time.map_or(Some(0), parse_time)?;
    Some(days * DAY_MS + ms_of_day)
}

fn parse_date(text: &str) -> Option<i64> {
    let mut parts = text.splitn(3, '-');
    let (year, month, day) =
        (digits(parts.next()?, 4)?, digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    let days = days_from_civil(year, month, day);
    // The way back finds the 30th of February.
    (civil_from_days(days) == (year, month, day)).then_some(days)
}

fn parse_time(text: &str) -> Option<i64> {
    let (clock, offset_minutes) = match text.find(['Z', 'z', '+', '-']) {
        None => (text, 0),
        Some(place) if text[place..].eq_ignore_ascii_case("z") => (&text[..place], 0),
        Some(place) => (&text[..place], parse_offset(&text[place..])?),
    };
    let (whole, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let mut parts = whole.splitn(3, ':');
    let (hours, minutes) = (digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    let seconds = parts.next().map_or(Some(0), |seconds| digits(seconds, 2))?;
    let plain = !fraction.is_empty() && fraction.bytes().all(|digit| digit.is_ascii_digit());
    if hours > 23 || minutes > 59 || seconds > 59 || !plain {
        return None;
    }
    let ms = fraction.bytes().chain(*b"00").take(3).fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    Some(((hours * 60 + minutes - offset_minutes) * 60 + seconds) * 1000 + ms)
}

fn parse_offset(text: &str) -> Option<i64> {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = text[1..].split_once(':')?;
    Some(sign * (digits(hours, 2)? * 60 + digits(minutes, 2)?))
}

fn digits(text: &str, count: usize) -> Option<i64> {
    let plain = text.len() == count && text.bytes().all(|digit| digit.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

/// As text in UTC with milliseconds, for example `2013-01-01T10:15:00.000Z`.
pub(crate) fn show(ms: i64) -> String {
    let (days, of_day) = (ms.div_euclid(DAY_MS), ms.rem_euclid(DAY_MS));
    let (year, month, day) = civil_from_days(days);
    let (seconds, ms) = (of_day / 1000, of_day % 1000);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{ms:03}Z")
}

/// Days since 1970 of a date. Years are counted from March, so that the leap day comes last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year + year / 4 - year / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_times_are_rfc_3339() {
        for (text, ms) in [
            ("1970-01-01", 0),
            ("@-7", -7),
            ("2013-01-01T10:15:00Z", 1_357_035_300_000),
            ("2013-01-01 10:15", 1_357_035_300_000),
            ("2013-01-01T10:15:00.5", 1_357_035_300_500),
            ("2013-01-01T05:15:00-05:00", 1_357_035_300_000),
            ("2000-02-29T00:00:00.1239z", 951_782_400_123),
            ("1969-12-31T23:59:59.999Z", -1),
        ] {
            assert_eq!(parse(text), Some(ms), "{text}");
        }
        for bad in [
            "",
            "soon",
            "2013",
            "2013-02-30",
            "2013-13-01",
            "2013-1-1",
            "2013-01-01T",
            "2013-01-01T25:00",
            "2013-01-01T10:15:00.",
            "2013-01-01T10:15+1",
            "@",
            "2013-01-01T10:15:00.x",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_shown_reads_back() {
        for ms in [0, -1, 1_357_035_300_123, 951_782_400_000, 253_402_300_799_999, -62_135_596_800_000] {
            assert_eq!(parse(&show(ms)), Some(ms), "{}", show(ms));
        }
        assert_eq!(show(1_357_035_300_000), "2013-01-01T10:15:00.000Z");
        // No time stamp, however wild, may panic.
        let _ = (show(i64::MIN), show(i64::MAX));
    }
}
