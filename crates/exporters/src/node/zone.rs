//! The machine's time zone: which name and offset a moment has.
//!
//! ```text
//! TZif │ version │ 15 reserved │ six counts u32      header, 44 bytes, big-endian
//!      │ times (4 bytes each, 8 in the second block) │ type of each │ types: offset i32, dst u8, name u8 │ names │ …
//! from version 2 on the whole comes twice, the second time with 8-byte times, then "\nTZ\n": a rule for what follows
//! ```
//!
//! The zone is `TZ` (a name below /usr/share/zoneinfo or a path), else /etc/localtime, else UTC. It is read once, as the
//! original does. After the last transition of the file the rule at its end holds.
//! Limits: a file of 1 MB. Source: RFC 9636, POSIX 8.3.

use runtime::disk::Disk;
use std::path::{Path, PathBuf};

const FILE_MAX: usize = 1 << 20;
const DAY: i64 = 86_400;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Kind {
    name: String,
    offset: i32,
    is_dst: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Zone {
    transitions: Vec<(i64, usize)>,
    kinds: Vec<Kind>,
    rule: Option<Rule>,
}

impl Zone {
    /// The zone of this process.
    pub(crate) fn local(disk: &dyn Disk) -> Self {
        let read =
            |path: PathBuf| disk.read(&path).ok().filter(|text| text.len() <= FILE_MAX).and_then(|b| Zone::parse(&b));
        let zone = match std::env::var("TZ") {
            Err(_) => read("/etc/localtime".into()),
            Ok(name) => {
                let name = name.strip_prefix(':').unwrap_or(&name);
                let plain = !name.is_empty() && !name.split('/').any(|part| part == "..");
                plain.then(|| read(Path::new("/usr/share/zoneinfo").join(name))).flatten()
            }
        };
        zone.unwrap_or_default()
    }

    /// Name and offset in seconds east of Greenwich at a moment, seconds since 1970.
    pub(crate) fn at(&self, seconds: i64) -> (&str, i32) {
        let after = self.transitions.partition_point(|(from, _)| *from <= seconds);
        let kind = match (after, &self.rule) {
            (after, Some(rule)) if after == self.transitions.len() => rule.at(seconds),
            (0, _) => match self.kinds.iter().find(|kind| !kind.is_dst).or(self.kinds.first()) {
                Some(kind) => kind,
                None => return ("UTC", 0),
            },
            (after, _) => &self.kinds[self.transitions[after - 1].1],
        };
        (&kind.name, kind.offset)
    }

    /// Reads a TZif file.
    fn parse(file: &[u8]) -> Option<Zone> {
        let (first, rest) = Block::read(file, 4)?;
        if file.get(4)? < &b'2' {
            return first.zone(None);
        }
        let (second, rest) = Block::read(rest, 8)?;
        let rule = rest.strip_prefix(b"\n").and_then(|rest| rest.split(|b| *b == b'\n').next());
        second.zone(rule.and_then(|rule| Rule::parse(std::str::from_utf8(rule).ok()?)))
    }
}

struct Block<'a> {
    width: usize,
    times: &'a [u8],
    indexes: &'a [u8],
    kinds: &'a [u8],
    names: &'a [u8],
}

impl<'a> Block<'a> {
    fn read(file: &'a [u8], width: usize) -> Option<(Self, &'a [u8])> {
        let header = file.get(..44)?.strip_prefix(b"TZif")?;
        let count =
            |at: usize| u32::from_be_bytes(header[16 + at * 4..20 + at * 4].try_into().expect("4 bytes")) as usize;
        let [is_utc, is_standard, leaps, times, kinds, names] = [0, 1, 2, 3, 4, 5].map(count);
        let mut rest = &file[44..];
        let mut take = |len: usize| {
            let (head, tail) = rest.split_at_checked(len)?;
            rest = tail;
            Some(head)
        };
        let block = Block {
            width,
            times: take(times.checked_mul(width)?)?,
            indexes: take(times)?,
            kinds: take(kinds.checked_mul(6)?)?,
            names: take(names)?,
        };
        take(leaps.checked_mul(width + 4)?)?;
        take(is_standard)?;
        take(is_utc)?;
        Some((block, rest))
    }

    fn zone(&self, rule: Option<Rule>) -> Option<Zone> {
        let kind = |bytes: &[u8]| {
            let name = self.names.get(usize::from(bytes[5])..)?.split(|b| *b == 0).next()?;
            let offset = i32::from_be_bytes(bytes[..4].try_into().ok()?);
            Some(Kind { name: std::str::from_utf8(name).ok()?.to_owned(), offset, is_dst: bytes[4] != 0 })
        };
        let kinds: Vec<Kind> = self.kinds.chunks_exact(6).map(kind).collect::<Option<_>>()?;
        let time = |bytes: &[u8]| match self.width {
            4 => bytes.try_into().ok().map(|bytes| i64::from(i32::from_be_bytes(bytes))),
            _ => bytes.try_into().ok().map(i64::from_be_bytes),
        };
        let mut transitions = Vec::with_capacity(self.indexes.len());
        for (bytes, index) in self.times.chunks_exact(self.width).zip(self.indexes) {
            let index = usize::from(*index);
            kinds.get(index)?;
            transitions.push((time(bytes)?, index));
        }
        transitions.is_sorted_by_key(|(at, _)| *at).then_some(Zone { transitions, kinds, rule })
    }
}

/// `CET-1CEST,M3.5.0,M10.5.0/3`
#[derive(Debug, PartialEq, Eq)]
struct Rule {
    standard: Kind,
    summer: Option<(Kind, Change, Change)>,
}

/// When a change happens: the day, and seconds after its midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Change {
    day: Day,
    time: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Day {
    /// `Jn`: 1 to 365, February 29 never counts.
    Julian(i64),
    /// `n`: 0 to 365.
    OfYear(i64),
    /// `Mm.w.d`: weekday d (0 is Sunday) of week w of month m; week 5 is the last.
    OfWeek(i64, i64, i64),
}

impl Rule {
    fn parse(text: &str) -> Option<Rule> {
        let mut rest = text;
        let name = take_name(&mut rest)?;
        let standard = Kind { name, offset: -take_time(&mut rest)?, is_dst: false };
        if rest.is_empty() {
            return Some(Rule { standard, summer: None });
        }
        let name = take_name(&mut rest)?;
        let offset = if rest.starts_with(',') { standard.offset + 3600 } else { -take_time(&mut rest)? };
        let mut changes = rest.strip_prefix(',')?.split(',').map(Change::parse);
        let (start, end) = (changes.next()??, changes.next()??);
        Some(Rule { standard, summer: Some((Kind { name, offset, is_dst: true }, start, end)) })
    }

    fn at(&self, seconds: i64) -> &Kind {
        let Some((summer, start, end)) = &self.summer else { return &self.standard };
        let year = year_of((seconds + i64::from(self.standard.offset)).div_euclid(DAY));
        let start = start.in_year(year) - i64::from(self.standard.offset);
        let end = end.in_year(year) - i64::from(summer.offset);
        let in_summer = if start < end { (start..end).contains(&seconds) } else { !(end..start).contains(&seconds) };
        if in_summer { summer } else { &self.standard }
    }
}

impl Change {
    fn parse(text: &str) -> Option<Change> {
        let (day, time) = text.split_once('/').unwrap_or((text, "2"));
        let mut rest = time;
        let time = i64::from(take_time(&mut rest)?);
        let within = |value: &str, from: i64, to: i64| value.parse().ok().filter(|value| (from..=to).contains(value));
        let day = if let Some(day) = day.strip_prefix('M') {
            let mut parts = day.split('.');
            Day::OfWeek(within(parts.next()?, 1, 12)?, within(parts.next()?, 1, 5)?, within(parts.next()?, 0, 6)?)
        } else if let Some(day) = day.strip_prefix('J') {
            Day::Julian(within(day, 1, 365)?)
        } else {
            Day::OfYear(within(day, 0, 365)?)
        };
        Some(Change { day, time })
    }

    /// Local seconds since 1970, by the clock that holds before the change.
    fn in_year(self, year: i64) -> i64 {
        let new_year = days_before(year, 1);
        let day = match self.day {
            Day::OfYear(day) => new_year + day,
            Day::Julian(day) => new_year + day - 1 + i64::from(is_leap(year) && day >= 60),
            Day::OfWeek(month, week, weekday) => {
                let first = days_before(year, month);
                // 1970-01-01 was a Thursday
                let ahead = (weekday - (first + 4)).rem_euclid(7);
                let day = first + ahead + (week - 1) * 7;
                let next = if month == 12 { days_before(year + 1, 1) } else { days_before(year, month + 1) };
                if day >= next { day - 7 } else { day }
            }
        };
        day * DAY + self.time
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Days from 1970-01-01 to the first of a month.
fn days_before(year: i64, month: i64) -> i64 {
    // years that begin in March: the leap day comes last
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let in_era = year.rem_euclid(400);
    year.div_euclid(400) * 146_097 + in_era * 365 + in_era / 4 - in_era / 100 + (153 * month + 2) / 5 - 719_468
}

fn year_of(day: i64) -> i64 {
    let mut year = 1970 + day.clamp(-10_000_000, 10_000_000).div_euclid(366);
    while days_before(year + 1, 1) <= day && year < 30_000 {
        year += 1;
    }
    year
}

fn take_name(rest: &mut &str) -> Option<String> {
    let len = match rest.strip_prefix('<') {
        Some(quoted) => {
            let end = quoted.find('>')?;
            let name = quoted[..end].to_owned();
            *rest = &quoted[end + 1..];
            return Some(name);
        }
        None => rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len()),
    };
    let name = rest[..len].to_owned();
    *rest = &rest[len..];
    (!name.is_empty()).then_some(name)
}

/// `[+-]hh[:mm[:ss]]` in seconds.
fn take_time(rest: &mut &str) -> Option<i32> {
    let (sign, text) = match rest.as_bytes().first()? {
        b'-' => (-1, &rest[1..]),
        b'+' => (1, &rest[1..]),
        _ => (1, *rest),
    };
    let len = text.find(|c: char| !c.is_ascii_digit() && c != ':').unwrap_or(text.len());
    let mut seconds = 0;
    let mut unit = 3600;
    for part in text[..len].split(':').take(3) {
        seconds += part.parse::<i32>().ok().filter(|part| *part <= 167)? * unit;
        unit /= 60;
    }
    *rest = &text[len..];
    Some(sign * seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rules() {
        let at = |rule: &str, seconds: i64| {
            let rule = Rule::parse(rule).unwrap();
            let kind = rule.at(seconds);
            format!("{} {}", kind.name, kind.offset)
        };
        let berlin = "CET-1CEST,M3.5.0,M10.5.0/3";
        // 2026-03-29 01:00 UTC and 2026-10-25 01:00 UTC
        assert_eq!(at(berlin, 1_774_745_999), "CET 3600");
        assert_eq!(at(berlin, 1_774_746_000), "CEST 7200");
        assert_eq!(at(berlin, 1_792_889_999), "CEST 7200");
        assert_eq!(at(berlin, 1_792_890_000), "CET 3600");
        // the southern summer contains the new year: 2026-01-01 in Sydney
        assert_eq!(at("AEST-10AEDT,M10.1.0,M4.1.0/3", 1_767_225_600), "AEDT 39600");
        assert_eq!(at("<+0545>-5:45", 0), "+0545 20700");
        assert_eq!(at("EST5EDT,M3.2.0,M11.1.0", 1_782_864_000), "EDT -14400");
        for broken in ["", "CET", "CET-1CEST", "CET-1CEST,M13.1.0,M1.1.0", "<CET-1", "CET-999"] {
            assert_eq!(Rule::parse(broken), None, "{broken}");
        }
    }

    #[test]
    fn days() {
        assert_eq!((days_before(1970, 1), days_before(2000, 3), days_before(2026, 1)), (0, 11_017, 20_454));
        assert_eq!((year_of(0), year_of(-1), year_of(20_453), year_of(20_454)), (1970, 1969, 2025, 2026));
    }

    fn file(footer: &str) -> Vec<u8> {
        let block = |width: usize| {
            let mut block = b"TZif2".to_vec();
            block.extend_from_slice(&[0; 15]);
            for count in [0u32, 0, 0, 1, 2, 8] {
                block.extend_from_slice(&count.to_be_bytes());
            }
            block.extend_from_slice(&1000i64.to_be_bytes()[8 - width..]);
            block.push(1);
            block.extend_from_slice(&[0, 0, 0, 0, 0, 0]);
            block.extend_from_slice(&[0, 0, 0x0e, 0x10, 0, 4]);
            block.extend_from_slice(b"GMT\0CET\0");
            block
        };
        [block(4), block(8), format!("\n{footer}\n").into_bytes()].concat()
    }

    #[test]
    fn files() {
        let zone = Zone::parse(&file("")).unwrap();
        assert_eq!((zone.at(999), zone.at(1000), zone.at(i64::MAX)), (("GMT", 0), ("CET", 3600), ("CET", 3600)));
        assert_eq!(Zone::parse(&file("XYZ3")).unwrap().at(1000), ("XYZ", -10_800));
        assert_eq!(Zone::default().at(0), ("UTC", 0));
    }

    proptest! {
        #[test]
        fn broken_files(at in 0usize..200, byte in any::<u8>(), cut in 0usize..220, when in any::<i64>()) {
            let mut file = file("CET-1CEST,M3.5.0,M10.5.0/3");
            if let Some(place) = file.get_mut(at) {
                *place = byte;
            }
            let when = when >> 16;
            if let Some(zone) = Zone::parse(&file) {
                zone.at(when);
            }
            let _ = Zone::parse(&file[..cut.min(file.len())]);
        }
    }
}
