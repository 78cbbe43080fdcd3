//! Go's `time.Time` and `time.Duration`: how they print, and layouts.
//!
//! All times are in UTC: Prometheus' templates make no others.
//!
//! Source: documentation of Go's package `time`.

use std::fmt::{self, Write};

use crate::model::civil_from_days;

pub(super) const NANOS_PER_SECOND: i64 = 1_000_000_000;
pub(super) const SECONDS_PER_DAY: i64 = 86_400;

/// Seconds from year 1, Go's zero time, to the Unix epoch.
const ZERO_TIME_SECONDS: i64 = -62_135_596_800;

/// A point in time, to the nanosecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Time {
    /// Since the Unix epoch, rounded down.
    seconds: i64,
    /// Below a second.
    nanos: u32,
}

/// A time in parts, UTC.
pub(super) struct Civil {
    pub(super) year: i64,
    pub(super) month: i64,
    pub(super) day: i64,
    pub(super) hour: i64,
    pub(super) minute: i64,
    pub(super) second: i64,
    /// From 1.
    pub(super) year_day: i64,
    /// Sunday is 0.
    pub(super) weekday: i64,
}

impl Time {
    pub(super) fn new(seconds: i64, nanos: i64) -> Time {
        let seconds = seconds.saturating_add(nanos.div_euclid(NANOS_PER_SECOND));
        // Far outside of what a civil date can be computed for, near enough for everybody.
        let seconds = seconds.clamp(-(1 << 56), 1 << 56);
        Time { seconds, nanos: nanos.rem_euclid(NANOS_PER_SECOND) as u32 }
    }

    pub(super) fn from_millis(millis: i64) -> Time {
        Time::new(millis.div_euclid(1000), millis.rem_euclid(1000) * 1_000_000)
    }

    pub(super) fn seconds(self) -> i64 {
        self.seconds
    }

    pub(super) fn nanos(self) -> i64 {
        i64::from(self.nanos)
    }

    /// Units since the epoch; wraps as Go's does.
    pub(super) fn units(self, per_second: i64) -> i64 {
        self.seconds.wrapping_mul(per_second).wrapping_add(self.nanos() / (NANOS_PER_SECOND / per_second))
    }

    pub(super) fn is_zero(self) -> bool {
        self.seconds == ZERO_TIME_SECONDS && self.nanos == 0
    }

    pub(super) fn add(self, nanos: i64) -> Time {
        let more = nanos.div_euclid(NANOS_PER_SECOND);
        Time::new(self.seconds.saturating_add(more), self.nanos() + nanos.rem_euclid(NANOS_PER_SECOND))
    }

    /// Nanoseconds since `earlier`, no more than fit.
    pub(super) fn sub(self, earlier: Time) -> i64 {
        let seconds = i128::from(self.seconds) - i128::from(earlier.seconds);
        let nanos = seconds * i128::from(NANOS_PER_SECOND) + i128::from(self.nanos() - earlier.nanos());
        i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
    }

    /// The date moved by years, months and days; what does not exist (31 June) counts on into the next month.
    pub(super) fn add_date(self, years: i64, months: i64, days: i64) -> Time {
        // 10,000 years are as good as any number; they keep the arithmetic within bounds.
        const LIMIT: i64 = 10_000;
        let civil = self.civil();
        let (years, months) = (years.clamp(-LIMIT, LIMIT), months.clamp(-12 * LIMIT, 12 * LIMIT));
        let days = days.clamp(-366 * LIMIT, 366 * LIMIT);
        let month = civil.year * 12 + civil.month - 1 + years * 12 + months;
        let date = days_from_civil(month.div_euclid(12), month.rem_euclid(12) + 1, 1) + civil.day - 1 + days;
        Time::new(date * SECONDS_PER_DAY + self.seconds.rem_euclid(SECONDS_PER_DAY), self.nanos())
    }

    /// Rounded down to a multiple of `unit` nanoseconds since Go's zero time, with what was cut off.
    pub(super) fn truncate(self, unit: i64) -> (Time, i64) {
        if unit <= 0 {
            return (self, 0);
        }
        let seconds = i128::from(self.seconds) - i128::from(ZERO_TIME_SECONDS);
        let since_zero = seconds * i128::from(NANOS_PER_SECOND) + i128::from(self.nanos);
        let cut = since_zero.rem_euclid(i128::from(unit)) as i64;
        (self.add(-cut), cut)
    }

    pub(super) fn round(self, unit: i64) -> Time {
        let (down, cut) = self.truncate(unit);
        if unit > 0 && cut >= unit - cut { down.add(unit) } else { down }
    }

    pub(super) fn civil(self) -> Civil {
        let days = self.seconds.div_euclid(SECONDS_PER_DAY);
        let within = self.seconds.rem_euclid(SECONDS_PER_DAY);
        let (year, month, day) = civil_from_days(days);
        Civil {
            year,
            month,
            day,
            hour: within / 3600,
            minute: within / 60 % 60,
            second: within % 60,
            year_day: days - days_from_civil(year, 1, 1) + 1,
            weekday: (days + 4).rem_euclid(7),
        }
    }
}

/// `2015-06-23 13:19:44.128 +0000 UTC`
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.format("2006-01-02 15:04:05.999999999 -0700 MST"))
    }
}

/// Source: Howard Hinnant, "chrono-compatible low-level date algorithms", `days_from_civil`.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

pub(super) fn month_name(month: i64) -> String {
    let known = usize::try_from(month - 1).ok().and_then(|index| MONTHS.get(index));
    known.map_or_else(|| format!("%!Month({month})"), |name| (*name).to_owned())
}

pub(super) fn weekday_name(weekday: i64) -> String {
    let known = usize::try_from(weekday).ok().and_then(|index| WEEKDAYS.get(index));
    known.map_or_else(|| format!("%!Weekday({weekday})"), |name| (*name).to_owned())
}

/// `1h0m0.5s`, `250µs`, `0s`.
pub(super) fn duration_text(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let size = nanos.unsigned_abs();
    let second = NANOS_PER_SECOND as u64;
    if size < second {
        let (unit, nanos_per_unit) = match size {
            0 => return "0s".to_owned(),
            1..1000 => ("ns", 1),
            1000..1_000_000 => ("µs", 1000),
            _ => ("ms", 1_000_000),
        };
        return format!("{sign}{}{unit}", decimal(size, nanos_per_unit));
    }
    let (minutes, seconds) = (size / second / 60, decimal(size % (60 * second), second));
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, minutes) => format!("{sign}{minutes}m{seconds}s"),
        (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}s"),
    }
}

/// `size / unit` with all its decimals; `unit` is a power of ten.
fn decimal(size: u64, unit: u64) -> String {
    let (whole, fraction) = (size / unit, size % unit);
    if fraction == 0 {
        return whole.to_string();
    }
    let digits = unit.ilog10() as usize;
    format!("{whole}.{}", format!("{fraction:0digits$}").trim_end_matches('0'))
}

/// What a chunk of a layout stands for.
#[derive(Clone, Copy)]
enum Chunk {
    Month,
    MonthShort,
    NumMonth,
    ZeroMonth,
    Weekday,
    WeekdayShort,
    Day,
    UnderDay,
    ZeroDay,
    UnderYearDay,
    ZeroYearDay,
    Hour,
    Hour12,
    ZeroHour12,
    Minute,
    ZeroMinute,
    Second,
    ZeroSecond,
    Year,
    ShortYear,
    UpperPm,
    LowerPm,
    Zone,
    /// The offset's text, which for UTC is fixed.
    Offset(&'static str),
    /// Fraction of a second: the separator, whether trailing zeros are dropped, and the digits.
    Fraction(char, bool, usize),
}

/// Chunks by their text, longer ones before those they begin with.
const CHUNKS: [(&str, Chunk); 33] = [
    ("January", Chunk::Month),
    ("Jan", Chunk::MonthShort),
    ("Monday", Chunk::Weekday),
    ("Mon", Chunk::WeekdayShort),
    ("MST", Chunk::Zone),
    ("01", Chunk::ZeroMonth),
    ("002", Chunk::ZeroYearDay),
    ("02", Chunk::ZeroDay),
    ("03", Chunk::ZeroHour12),
    ("04", Chunk::ZeroMinute),
    ("05", Chunk::ZeroSecond),
    ("06", Chunk::ShortYear),
    ("15", Chunk::Hour),
    ("1", Chunk::NumMonth),
    ("2006", Chunk::Year),
    ("2", Chunk::Day),
    ("__2", Chunk::UnderYearDay),
    ("_2", Chunk::UnderDay),
    ("3", Chunk::Hour12),
    ("4", Chunk::Minute),
    ("5", Chunk::Second),
    ("PM", Chunk::UpperPm),
    ("pm", Chunk::LowerPm),
    ("-070000", Chunk::Offset("+000000")),
    ("-07:00:00", Chunk::Offset("+00:00:00")),
    ("-0700", Chunk::Offset("+0000")),
    ("-07:00", Chunk::Offset("+00:00")),
    ("-07", Chunk::Offset("+00")),
    ("Z070000", Chunk::Offset("Z")),
    ("Z07:00:00", Chunk::Offset("Z")),
    ("Z0700", Chunk::Offset("Z")),
    ("Z07:00", Chunk::Offset("Z")),
    ("Z07", Chunk::Offset("Z")),
];

/// The chunk at the start of a layout, and its length.
fn chunk(layout: &str) -> Option<(Chunk, usize)> {
    if let Some(separator @ ('.' | ',')) = layout.chars().next() {
        return fraction(separator, &layout[1..]);
    }
    let (text, chunk) = CHUNKS.iter().find(|(text, _)| layout.starts_with(text))?;
    let plain = match chunk {
        // "Janitor" and "Monk" are words.
        Chunk::MonthShort | Chunk::WeekdayShort => layout[3..].starts_with(|c: char| c.is_ascii_lowercase()),
        // An underscore before a year.
        Chunk::UnderDay => layout.starts_with("_2006"),
        _ => false,
    };
    (!plain).then_some((*chunk, text.len()))
}

/// `.000` or `.999`; no other digit may follow.
fn fraction(separator: char, rest: &str) -> Option<(Chunk, usize)> {
    let digit = rest.chars().next().filter(|digit| matches!(digit, '0' | '9'))?;
    let after = rest.trim_start_matches(digit);
    let count = rest.len() - after.len();
    let ends = !after.starts_with(|c: char| c.is_ascii_digit());
    ends.then_some((Chunk::Fraction(separator, digit == '9', count), 1 + count))
}

impl Time {
    /// The time by one of Go's layouts, an example of the wanted form: `Mon Jan 2 15:04:05 2006`.
    pub(super) fn format(self, layout: &str) -> String {
        let civil = self.civil();
        let mut out = String::new();
        let mut rest = layout;
        while let Some(next) = rest.chars().next() {
            match chunk(rest) {
                Some((chunk, length)) => {
                    self.push_chunk(&mut out, &civil, &chunk).expect("writing to a string cannot fail");
                    rest = &rest[length..];
                }
                None => {
                    out.push(next);
                    rest = &rest[next.len_utf8()..];
                }
            }
        }
        out
    }

    fn push_chunk(self, out: &mut String, civil: &Civil, chunk: &Chunk) -> fmt::Result {
        let Civil { year, month, day, hour, minute, second, year_day, weekday } = *civil;
        let hour12 = if hour % 12 == 0 { 12 } else { hour % 12 };
        match chunk {
            Chunk::Month => write!(out, "{}", month_name(month)),
            Chunk::MonthShort => write!(out, "{}", &month_name(month)[..3]),
            Chunk::NumMonth => write!(out, "{month}"),
            Chunk::ZeroMonth => write!(out, "{month:02}"),
            Chunk::Weekday => write!(out, "{}", weekday_name(weekday)),
            Chunk::WeekdayShort => write!(out, "{}", &weekday_name(weekday)[..3]),
            Chunk::Day => write!(out, "{day}"),
            Chunk::UnderDay => write!(out, "{day:2}"),
            Chunk::ZeroDay => write!(out, "{day:02}"),
            Chunk::UnderYearDay => write!(out, "{year_day:3}"),
            Chunk::ZeroYearDay => write!(out, "{year_day:03}"),
            Chunk::Hour => write!(out, "{hour:02}"),
            Chunk::Hour12 => write!(out, "{hour12}"),
            Chunk::ZeroHour12 => write!(out, "{hour12:02}"),
            Chunk::Minute => write!(out, "{minute}"),
            Chunk::ZeroMinute => write!(out, "{minute:02}"),
            Chunk::Second => write!(out, "{second}"),
            Chunk::ZeroSecond => write!(out, "{second:02}"),
            Chunk::Year if year < 0 => write!(out, "-{:04}", -year),
            Chunk::Year => write!(out, "{year:04}"),
            Chunk::ShortYear => write!(out, "{:02}", year.rem_euclid(100)),
            Chunk::UpperPm => out.write_str(if hour >= 12 { "PM" } else { "AM" }),
            Chunk::LowerPm => out.write_str(if hour >= 12 { "pm" } else { "am" }),
            Chunk::Zone => out.write_str("UTC"),
            Chunk::Offset(text) => out.write_str(text),
            Chunk::Fraction(separator, trimmed, count) => {
                let nanos = format!("{:09}", self.nanos);
                let digits = nanos.get(..*count).unwrap_or(&nanos);
                let digits = if *trimmed { digits.trim_end_matches('0') } else { digits };
                if !digits.is_empty() {
                    out.push(*separator);
                }
                out.write_str(digits)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_print_by_gos_layouts() {
        let time = Time::from_millis(1_435_065_584_128);
        for (layout, expect) in [
            ("2006", "2015"),
            ("2006-01-02T15:04:05Z07:00", "2015-06-23T13:19:44Z"),
            ("Mon, 02 Jan 2006 15:04:05 -0700", "Tue, 23 Jun 2015 13:19:44 +0000"),
            ("Monday, January _2 3:04PM MST", "Tuesday, June 23 1:19PM UTC"),
            ("15:04:05.000000", "13:19:44.128000"),
            ("15:04:05,999999", "13:19:44,128"),
            ("05.9", "44.1"),
            ("5.01", "44.06"),
            ("__2 002 06 pm", "174 174 15 pm"),
            ("_2006", "_2015"),
            ("Janitor Monk", "Janitor Monk"),
            ("Jan.", "Jun."),
            ("Öffnung", "Öffnung"),
        ] {
            assert_eq!(time.format(layout), expect, "{layout}");
        }
        assert_eq!(time.to_string(), "2015-06-23 13:19:44.128 +0000 UTC");
        assert_eq!(Time::new(0, -1).to_string(), "1969-12-31 23:59:59.999999999 +0000 UTC");
        assert_eq!(Time::new(ZERO_TIME_SECONDS, 0).to_string(), "0001-01-01 00:00:00 +0000 UTC");
        assert_eq!(time.add_date(0, 8, 8).format("2006-01-02"), "2016-03-02");
        assert_eq!(time.round(3600 * NANOS_PER_SECOND).format("15:04"), "13:00");
        Time::new(i64::MAX, i64::MAX).add(i64::MAX).format("2006");
        Time::new(i64::MIN, i64::MIN).add(i64::MIN).format("2006");
    }

    #[test]
    fn durations_print_as_go_prints_them() {
        for (nanos, expect) in [
            (0, "0s"),
            (1, "1ns"),
            (250_000, "250µs"),
            (1_500_000, "1.5ms"),
            (1_500_000_000, "1.5s"),
            (90_000_000_000, "1m30s"),
            (1_800_000_000_000, "30m0s"),
            (129_600_000_000_000, "36h0m0s"),
            (-1_800_500_000_000, "-30m0.5s"),
            (i64::MIN, "-2562047h47m16.854775808s"),
        ] {
            assert_eq!(duration_text(nanos), expect);
        }
    }
}
