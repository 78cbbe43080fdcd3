//! Methods of times, durations and their parts, and of histograms.

use super::humanize::seconds;
use super::{Body, Env, Outcome, Param, text};
use crate::template::time::{NANOS_PER_SECOND, Time};
use crate::template::value::{Held, IntType, Value};

/// A method as templates call it: `.Format "2006"`. Its body gets the receiver first.
#[derive(Debug)]
pub(in crate::template) struct Method {
    receiver: Receiver,
    pub(in crate::template) name: &'static str,
    pub(in crate::template) params: &'static [Param],
    pub(in crate::template) call: Result<Body, Signature>,
}

/// Why Go's templates cannot call a method.
#[derive(Clone, Copy, Debug)]
pub(in crate::template) enum Signature {
    /// Two results, the second of which has this type.
    Two(&'static str),
    Three,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Receiver {
    Time,
    Duration,
    Month,
    Weekday,
    Histogram,
    Location,
}

fn receiver(value: &Value<'_>) -> Option<Receiver> {
    Some(match value {
        Value::Time(..) => Receiver::Time,
        Value::Duration(..) => Receiver::Duration,
        Value::Int(_, IntType::Month) => Receiver::Month,
        Value::Int(_, IntType::Weekday) => Receiver::Weekday,
        Value::Histogram(_) => Receiver::Histogram,
        Value::Location => Receiver::Location,
        _ => return None,
    })
}

pub(in crate::template) fn find_method(value: &Value<'_>, name: &str) -> Option<&'static Method> {
    let receiver = receiver(value)?;
    METHODS.iter().find(|method| method.receiver == receiver && method.name == name)
}

const fn row(receiver: Receiver, name: &'static str, params: &'static [Param], call: Body) -> Method {
    Method { receiver, name, params, call: Ok(call) }
}

const fn uncallable(name: &'static str, signature: Signature) -> Method {
    Method { receiver: Receiver::Time, name, params: &[], call: Err(signature) }
}

use Receiver::{Duration, Time as T};

static METHODS: &[Method] = &[
    row(T, "Add", &[Param::Duration], |_, args| moved(args, time(args).add(int(args, 1)))),
    row(T, "AddDate", &[Param::Int; 3], |_, args| {
        moved(args, time(args).add_date(int(args, 1), int(args, 2), int(args, 3)))
    }),
    row(T, "After", &[Param::Time], |_, args| Ok(Value::Bool(time(args) > other(args)))),
    row(T, "Before", &[Param::Time], |_, args| Ok(Value::Bool(time(args) < other(args)))),
    uncallable("Clock", Signature::Three),
    row(T, "Compare", &[Param::Time], |_, args| Ok(integer(time(args).cmp(&other(args)) as i64))),
    uncallable("Date", Signature::Three),
    row(T, "Day", &[], |_, args| Ok(integer(time(args).civil().day))),
    row(T, "Equal", &[Param::Time], |_, args| Ok(Value::Bool(time(args) == other(args)))),
    row(T, "Format", &[Param::String], |env, args| {
        // A layout's longest chunk yields nine digits for two characters.
        let layout = text(args, 1);
        env.spend(layout.len() * 5)?;
        env.text(&time(args).format(layout))
    }),
    row(T, "GoString", &[], |env, args| {
        let civil = time(args).civil();
        let month = crate::template::time::month_name(civil.month);
        let (year, day, hour, minute, second) = (civil.year, civil.day, civil.hour, civil.minute, civil.second);
        let nanos = time(args).nanos();
        env.text(&format!("time.Date({year}, time.{month}, {day}, {hour}, {minute}, {second}, {nanos}, time.UTC)"))
    }),
    row(T, "Hour", &[], |_, args| Ok(integer(time(args).civil().hour))),
    uncallable("ISOWeek", Signature::Two("int")),
    row(T, "In", &[Param::Location], |_, args| moved(args, time(args))),
    row(T, "IsDST", &[], |_, _| Ok(Value::Bool(false))),
    row(T, "IsZero", &[], |_, args| Ok(Value::Bool(time(args).is_zero()))),
    row(T, "Local", &[], |_, args| moved(args, time(args))),
    row(T, "Location", &[], |_, _| Ok(Value::Location)),
    row(T, "Minute", &[], |_, args| Ok(integer(time(args).civil().minute))),
    row(T, "Month", &[], |_, args| Ok(Value::Int(time(args).civil().month, IntType::Month))),
    row(T, "Nanosecond", &[], |_, args| Ok(integer(time(args).nanos()))),
    row(T, "Round", &[Param::Duration], |_, args| moved(args, time(args).round(int(args, 1)))),
    row(T, "Second", &[], |_, args| Ok(integer(time(args).civil().second))),
    row(T, "String", &[], string),
    row(T, "Sub", &[Param::Time], |_, args| Ok(Value::Duration(time(args).sub(other(args)), Held::Directly))),
    row(T, "Truncate", &[Param::Duration], |_, args| moved(args, time(args).truncate(int(args, 1)).0)),
    row(T, "UTC", &[], |_, args| moved(args, time(args))),
    row(T, "Unix", &[], |_, args| Ok(integer64(time(args).seconds()))),
    row(T, "UnixMicro", &[], |_, args| Ok(integer64(time(args).units(1_000_000)))),
    row(T, "UnixMilli", &[], |_, args| Ok(integer64(time(args).units(1000)))),
    row(T, "UnixNano", &[], |_, args| Ok(integer64(time(args).units(NANOS_PER_SECOND)))),
    row(T, "Weekday", &[], |_, args| Ok(Value::Int(time(args).civil().weekday, IntType::Weekday))),
    row(T, "Year", &[], |_, args| Ok(integer(time(args).civil().year))),
    row(T, "YearDay", &[], |_, args| Ok(integer(time(args).civil().year_day))),
    uncallable("Zone", Signature::Two("int")),
    uncallable("ZoneBounds", Signature::Two("time.Time")),
    row(Duration, "Abs", &[], |_, args| Ok(Value::Duration(int(args, 0).saturating_abs(), Held::Directly))),
    row(Duration, "Hours", &[], |_, args| Ok(Value::Float(parts(int(args, 0), 3600 * NANOS_PER_SECOND)))),
    row(Duration, "Microseconds", &[], |_, args| Ok(integer64(int(args, 0) / 1000))),
    row(Duration, "Milliseconds", &[], |_, args| Ok(integer64(int(args, 0) / 1_000_000))),
    row(Duration, "Minutes", &[], |_, args| Ok(Value::Float(parts(int(args, 0), 60 * NANOS_PER_SECOND)))),
    row(Duration, "Nanoseconds", &[], |_, args| Ok(integer64(int(args, 0)))),
    row(Duration, "Round", &[Param::Duration], |_, args| {
        Ok(Value::Duration(rounded(int(args, 0), int(args, 1)), Held::Directly))
    }),
    row(Duration, "Seconds", &[], |_, args| Ok(Value::Float(seconds(int(args, 0))))),
    row(Duration, "String", &[], string),
    row(Duration, "Truncate", &[Param::Duration], |_, args| {
        let (size, unit) = (int(args, 0), int(args, 1));
        Ok(Value::Duration(if unit > 0 { size - size % unit } else { size }, Held::Directly))
    }),
    row(Receiver::Month, "String", &[], string),
    row(Receiver::Weekday, "String", &[], string),
    row(Receiver::Histogram, "String", &[], string),
    row(Receiver::Location, "String", &[], string),
];

fn time(args: &[Value<'_>]) -> Time {
    time_at(args, 0)
}

fn other(args: &[Value<'_>]) -> Time {
    time_at(args, 1)
}

fn time_at(args: &[Value<'_>], index: usize) -> Time {
    match &args[index] {
        Value::Time(time, _) => *time,
        _ => unreachable!("the row says that this is a time"),
    }
}

/// An integer argument, a duration's nanoseconds among them.
fn int(args: &[Value<'_>], index: usize) -> i64 {
    match &args[index] {
        Value::Int(number, _) | Value::Duration(number, _) => *number,
        _ => unreachable!("the row says that this is an integer"),
    }
}

fn moved<'a>(_: &[Value<'a>], time: Time) -> Outcome<'a> {
    Ok(Value::Time(time, Held::Directly))
}

fn integer<'a>(value: i64) -> Value<'a> {
    Value::Int(value, IntType::Int)
}

fn integer64<'a>(value: i64) -> Value<'a> {
    Value::Int(value, IntType::Int64)
}

fn string<'a>(env: &mut Env<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    env.text(&args[0].to_text().unwrap_or_default())
}

/// A duration in units, whole and fraction apart as Go computes them.
fn parts(nanos: i64, unit: i64) -> f64 {
    (nanos / unit) as f64 + (nanos % unit) as f64 / unit as f64
}

/// To the nearest multiple, halves away from zero.
fn rounded(size: i64, unit: i64) -> i64 {
    if unit <= 0 {
        return size;
    }
    let rest = (size % unit).abs();
    let down = if size < 0 { size + rest } else { size - rest };
    match (rest >= unit - rest, size < 0) {
        (false, _) => down,
        (true, false) => down.saturating_add(unit),
        (true, true) => down.saturating_sub(unit),
    }
}
