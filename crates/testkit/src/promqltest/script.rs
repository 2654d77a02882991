//! Reading scripts. Lines are trimmed, `#` comments count as empty lines, an empty line ends a command's body.

use model::regex::Regex;
use model::{Labels, Millis};
use promql::syntax::{SequenceValue, SeriesDescription};

/// A command of a script.
#[derive(Debug)]
pub enum Command {
    /// `clear`
    Clear,
    /// `load`, `load_with_nhcb`
    Load(Load),
    /// `eval`
    Eval(Box<Eval>),
}

/// Series to load.
#[derive(Debug)]
pub struct Load {
    /// Distance of values.
    pub gap: Millis,
    /// Native histograms are to be made of classic ones.
    pub with_nhcb: bool,
    /// The series, with start times (offset from the sample's time in milliseconds) where given.
    pub rows: Vec<(SeriesDescription, Option<Vec<Option<i64>>>)>,
}

/// What a message must be.
#[derive(Debug)]
pub enum Wanted {
    /// Exactly this.
    Message(String),
    /// A match of this.
    Pattern(Regex),
    /// Anything.
    Any,
}

impl Wanted {
    /// Whether a text is what is wanted.
    pub fn fits(&self, text: &str) -> bool {
        match self {
            Wanted::Message(message) => message == text,
            Wanted::Pattern(pattern) => pattern.is_match(text),
            Wanted::Any => true,
        }
    }
}

/// What accompanies the result.
#[derive(Debug, Default)]
pub struct Accompaniment {
    /// The evaluation fails.
    pub fail: Option<Wanted>,
    /// Warnings: all of these, and no others.
    pub warn: Vec<Wanted>,
    /// Infos: all of these, and no others.
    pub info: Vec<Wanted>,
    /// No warnings.
    pub no_warn: bool,
    /// No infos.
    pub no_info: bool,
    /// In this order.
    pub ordered: bool,
}

/// An evaluation.
#[derive(Debug)]
pub struct Eval {
    /// The query.
    pub query: String,
    /// Line in the script, from 1.
    pub line: usize,
    /// Start and end; equal for an instant.
    pub start: Millis,
    /// End.
    pub end: Millis,
    /// Step; 0 for an instant.
    pub step: Millis,
    /// A range query.
    pub is_range: bool,
    /// Where a range vector of an instant query is expected: its start, end, step.
    pub range_vector: Option<(Millis, Millis, Millis)>,
    /// What else is expected.
    pub also: Accompaniment,
    /// A text is expected.
    pub string: Option<String>,
    /// A number is expected.
    pub scalar: Option<f64>,
    /// Series are expected.
    pub series: Vec<(Labels, Vec<SequenceValue>)>,
}

/// Reads a script.
///
/// # Errors
/// The line, and what is wrong with it.
pub fn parse(text: &str) -> Result<Vec<Command>, String> {
    let lines: Vec<&str> =
        text.lines().map(|line| line.trim()).map(|line| if line.starts_with('#') { "" } else { line }).collect();
    let mut commands = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let head = lines[at];
        let number = at + 1;
        at += 1;
        if head.is_empty() {
            continue;
        }
        let word = head.split_whitespace().next().unwrap_or("").to_ascii_lowercase();
        if word == "clear" {
            commands.push(Command::Clear);
            continue;
        }
        let length = lines[at..].iter().take_while(|line| !line.is_empty()).count();
        let body = &lines[at..at + length];
        at += length;
        let command = if word.starts_with("load") {
            load(head, body).map(Command::Load)
        } else if word.starts_with("eval") {
            eval(head, number, body).map(|eval| Command::Eval(Box::new(eval)))
        } else {
            Err(format!("unknown command {head:?}"))
        };
        commands.push(command.map_err(|e| format!("line {number}: {e}"))?);
    }
    Ok(commands)
}

fn duration(text: &str) -> Result<Millis, String> {
    model::duration::parse_duration(text).map_err(|e| e.to_string())
}

fn load(head: &str, body: &[&str]) -> Result<Load, String> {
    let (word, gap) = head.split_once(char::is_whitespace).ok_or("load without a step")?;
    let mut load = Load { gap: duration(gap.trim())?, with_nhcb: word == "load_with_nhcb", rows: Vec::new() };
    let mut starts: Option<(Labels, Vec<Option<i64>>)> = None;
    for line in body {
        let (first, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        if let Some(metric) = first.strip_suffix("@st") {
            starts = Some((series(&format!("{metric} _"))?.labels, start_times(rest)?));
            continue;
        }
        let row = series(line)?;
        let starts = match starts.take() {
            Some((labels, starts)) if labels == row.labels && starts.len() == row.values.len() => Some(starts),
            Some(_) => return Err(format!("@st line does not fit {line:?}")),
            None => None,
        };
        // of a series described twice the last row stands
        load.rows.retain(|(known, _)| known.labels != row.labels);
        load.rows.push((row, starts));
    }
    Ok(load)
}

fn series(line: &str) -> Result<SeriesDescription, String> {
    SeriesDescription::parse(line).map_err(|e| format!("{line:?}: {e}"))
}

/// `_`, `_xN`, `-1m`, `-1mxN`, `-1m+10sxN`: offsets in milliseconds.
fn start_times(text: &str) -> Result<Vec<Option<i64>>, String> {
    let mut times = Vec::new();
    for item in text.split_whitespace() {
        let invalid = || format!("invalid start time {item:?}");
        let (value, times_more) = match item.split_once('x') {
            Some((value, count)) => (value, Some(count.parse::<usize>().map_err(|_| invalid())?)),
            None => (item, None),
        };
        if value == "_" {
            times.extend(std::iter::repeat_n(None, times_more.unwrap_or(1)));
            continue;
        }
        let (first, step) = match value[1..].find(['+', '-']) {
            Some(at) => value.split_at(at + 1),
            None => (value, "+0"),
        };
        let signed = |text: &str| -> Result<i64, String> {
            let length = duration(text.trim_start_matches(['+', '-']))?;
            Ok(if text.starts_with('-') { -length.0 } else { length.0 })
        };
        let (first, step) = (signed(first)?, signed(step)?);
        times.extend((0..=times_more.unwrap_or(0)).map(|n| Some(first + step * n as i64)));
    }
    Ok(times)
}

fn eval(head: &str, line: usize, body: &[&str]) -> Result<Eval, String> {
    let mut rest = head;
    let mut word = || {
        let trimmed = rest.trim_start();
        let (word, behind) = trimmed.split_once(char::is_whitespace).unwrap_or((trimmed, ""));
        rest = behind;
        word
    };
    let modifier = word().strip_prefix("eval").unwrap_or("");
    let kind = word();
    let mut eval = Eval {
        query: String::new(),
        line,
        start: Millis(0),
        end: Millis(0),
        step: Millis(0),
        is_range: kind == "range",
        range_vector: None,
        also: Accompaniment::default(),
        string: None,
        scalar: None,
        series: Vec::new(),
    };
    let mut after = |name: &str| -> Result<Millis, String> {
        if word() != name {
            return Err(format!("expected {name} in {head:?}"));
        }
        duration(word())
    };
    match kind {
        "instant" => {
            eval.start = after("at")?;
            eval.end = eval.start;
        }
        "range" => {
            eval.start = after("from")?;
            eval.end = after("to")?;
            eval.step = after("step")?;
        }
        _ => return Err(format!("eval {kind} is neither instant nor range")),
    }
    eval.query = rest.trim().to_owned();
    match modifier {
        "" => {}
        "_fail" => eval.also.fail = Some(Wanted::Any),
        "_warn" => eval.also.warn.push(Wanted::Any),
        "_info" => eval.also.info.push(Wanted::Any),
        "_ordered" => eval.also.ordered = true,
        _ => return Err(format!("unknown eval{modifier}")),
    }
    for line in body {
        expectation(line, &mut eval)?;
    }
    Ok(eval)
}

fn expectation(line: &str, eval: &mut Eval) -> Result<(), String> {
    let wanted = |text: &str| Wanted::Message(text.trim().to_owned());
    if let Some(message) = line.strip_prefix("expected_fail_message") {
        eval.also.fail = Some(wanted(message));
    } else if let Some(expression) = line.strip_prefix("expected_fail_regexp") {
        eval.also.fail = Some(pattern(expression)?);
    } else if let Some(text) = line.strip_prefix("expect string ") {
        eval.string = Some(model::go_text::unquote(text.trim()).map_err(|e| e.to_string())?);
    } else if let Some(range) = line.strip_prefix("expect range vector ") {
        match range.split_whitespace().collect::<Vec<_>>()[..] {
            ["from", from, "to", to, "step", step] => {
                eval.range_vector = Some((duration(from)?, duration(to)?, duration(step)?));
            }
            _ => return Err(format!("cannot read {line:?}")),
        }
    } else if line.split(' ').next() == Some("expect") {
        expect(line, &mut eval.also)?;
    } else if let Ok(number) = line.parse::<f64>() {
        eval.scalar = Some(number);
    } else {
        let row = series(line)?;
        eval.series.push((row.labels, row.values));
    }
    Ok(())
}

fn pattern(text: &str) -> Result<Wanted, String> {
    let anywhere = format!(".*(?:{}).*", text.trim());
    Regex::anchored(&anywhere).map(Wanted::Pattern).map_err(|e| e.to_string())
}

/// `expect warn msg: …`
fn expect(line: &str, also: &mut Accompaniment) -> Result<(), String> {
    let rest = line["expect".len()..].trim_start();
    let (kind, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let rest = rest.trim_start();
    let wanted = if let Some(message) = rest.strip_prefix("msg:") {
        Wanted::Message(message.trim().to_owned())
    } else if let Some(expression) = rest.strip_prefix("regex:") {
        pattern(expression)?
    } else if rest.is_empty() {
        Wanted::Any
    } else {
        return Err(format!("cannot read {line:?}"));
    };
    match kind {
        "fail" => also.fail = Some(wanted),
        "warn" => also.warn.push(wanted),
        "info" => also.info.push(wanted),
        "no_warn" => also.no_warn = true,
        "no_info" => also.no_info = true,
        "ordered" => also.ordered = true,
        _ => return Err(format!("unknown expectation {kind:?}")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_times_repeat_and_climb() {
        assert_eq!(start_times("_ -1m _x2"), Ok(vec![None, Some(-60_000), None, None]));
        assert_eq!(start_times("-1m-10sx2"), Ok(vec![Some(-60_000), Some(-70_000), Some(-80_000)]));
        assert_eq!(start_times("0sx1"), Ok(vec![Some(0), Some(0)]));
        assert!(start_times("1q").is_err());
    }

    #[test]
    fn a_script_is_commands() {
        let commands = parse("clear\n\neval instant at 1m 1 + 1\n  2\n").expect("well formed");
        assert_eq!(commands.len(), 2);
        let Command::Eval(eval) = &commands[1] else { panic!("no eval") };
        assert_eq!((eval.query.as_str(), eval.line, eval.start, eval.scalar), ("1 + 1", 3, Millis(60_000), Some(2.0)));
    }
}
