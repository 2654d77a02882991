//! Tree → something that says yes or no about a JSON value of a known shape.

use super::parse::{Expr, Match, Op};
use super::schema::{Kind, Schema};
use model::regex::Regex;
use serde_json::Value;

#[derive(Debug)]
pub(super) enum Node {
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Not(Box<Node>),
    /// `missing` is what a field that is not there stands for: answers leave out fields that are empty.
    Test {
        path: Vec<String>,
        test: Test,
        missing: Value,
    },
}

#[derive(Debug)]
pub(super) enum Test {
    TextIs(String, bool),
    IntegerIs(i64, bool),
    FlagIs(bool, bool),
    /// A text in a list, a key in a map, a part of a text.
    Has(String, bool),
    Empty(bool),
    Matches(Box<Regex>, bool),
}

pub(super) fn compile(expr: Expr, schema: &Schema) -> Result<Node, String> {
    let pair = |left: Expr, right: Expr| -> Result<_, String> {
        Ok((Box::new(compile(left, schema)?), Box::new(compile(right, schema)?)))
    };
    Ok(match expr {
        Expr::And(left, right) => pair(*left, *right).map(|(left, right)| Node::And(left, right))?,
        Expr::Or(left, right) => pair(*left, *right).map(|(left, right)| Node::Or(left, right))?,
        Expr::Not(inner) => Node::Not(Box::new(compile(*inner, schema)?)),
        Expr::Match(wanted) => compile_match(wanted, schema)?,
    })
}

fn compile_match(wanted: Match, schema: &Schema) -> Result<Node, String> {
    let shown = wanted.selector.join(".");
    let kind = resolve(&wanted.selector, schema).ok_or_else(|| format!("Selector {shown:?} is not valid"))?;
    let misfit = || {
        let name = match wanted.op {
            Op::Equal => "Equal",
            Op::NotEqual => "Not Equal",
            Op::In => "In",
            Op::NotIn => "Not In",
            Op::Empty => "Is Empty",
            Op::NotEmpty => "Is Not Empty",
            Op::Matches => "Matches",
            Op::NotMatches => "Not Matches",
        };
        format!("Invalid match operator {name:?} for selector {shown:?}")
    };
    let coerce = |what: &str| format!("Failed to coerce value {:?} for selector {shown:?}: not {what}", wanted.value);
    let missing = match kind {
        // below a key that is not there is nothing
        _ if schema.passes_map(&wanted.selector) => Value::Null,
        Leaf::Text => Value::from(""),
        Leaf::Integer => Value::from(0),
        Leaf::Flag => Value::from(false),
        Leaf::MapValue | Leaf::Texts | Leaf::Map | Leaf::Objects => Value::Null,
    };
    let test = match (wanted.op, kind) {
        (Op::Equal | Op::NotEqual, Leaf::Text | Leaf::MapValue) => {
            Test::TextIs(wanted.value.clone(), wanted.op == Op::Equal)
        }
        (Op::Equal | Op::NotEqual, Leaf::Integer) => {
            let number = wanted.value.parse().map_err(|_| coerce("an integer"))?;
            Test::IntegerIs(number, wanted.op == Op::Equal)
        }
        (Op::Equal | Op::NotEqual, Leaf::Flag) => {
            let flag = parse_bool(&wanted.value).ok_or_else(|| coerce("a truth value"))?;
            Test::FlagIs(flag, wanted.op == Op::Equal)
        }
        (Op::In | Op::NotIn, Leaf::Text | Leaf::MapValue | Leaf::Texts | Leaf::Map) => {
            Test::Has(wanted.value.clone(), wanted.op == Op::In)
        }
        (Op::Empty | Op::NotEmpty, Leaf::Texts | Leaf::Map | Leaf::Objects) => Test::Empty(wanted.op == Op::Empty),
        (Op::Matches | Op::NotMatches, Leaf::Text | Leaf::MapValue) => {
            let refused = |e| format!("Failed to compile regular expression {:?}: {e}", wanted.value);
            // ours is anchored, filters search; compiled alone first, so that no parenthesis reaches the wrapping
            Regex::anchored(&wanted.value).map_err(refused)?;
            let regex = Regex::anchored(&format!("(?s:.*)(?:{})(?s:.*)", wanted.value)).map_err(refused)?;
            Test::Matches(Box::new(regex), wanted.op == Op::Matches)
        }
        _ => return Err(misfit()),
    };
    Ok(Node::Test { path: wanted.selector, test, missing })
}

/// What a selector ends at.
enum Leaf {
    Text,
    MapValue,
    Integer,
    Flag,
    Texts,
    Map,
    Objects,
}

fn resolve(path: &[String], schema: &Schema) -> Option<Leaf> {
    let (first, rest) = path.split_first()?;
    match (schema.field(first)?, rest) {
        (Kind::Text, []) => Some(Leaf::Text),
        (Kind::Integer, []) => Some(Leaf::Integer),
        (Kind::Flag, []) => Some(Leaf::Flag),
        (Kind::Texts, []) => Some(Leaf::Texts),
        (Kind::TextMap | Kind::ObjectMap(_), []) => Some(Leaf::Map),
        (Kind::TextMap, [_]) => Some(Leaf::MapValue),
        (Kind::ObjectMap(inner), [_, rest @ ..]) if !rest.is_empty() => resolve(rest, inner),
        (Kind::Objects(_), []) => Some(Leaf::Objects),
        (Kind::Object(inner) | Kind::Objects(inner), rest) if !rest.is_empty() => resolve(rest, inner),
        _ => None,
    }
}

fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

impl Node {
    pub(super) fn holds(&self, thing: &Value) -> bool {
        match self {
            Node::And(left, right) => left.holds(thing) && right.holds(thing),
            Node::Or(left, right) => left.holds(thing) || right.holds(thing),
            Node::Not(inner) => !inner.holds(thing),
            Node::Test { path, test, missing } => walk(path, thing, test, missing),
        }
    }
}

fn walk(path: &[String], thing: &Value, test: &Test, missing: &Value) -> bool {
    if let (Value::Array(items), false) = (thing, path.is_empty()) {
        return items.iter().any(|item| walk(path, item, test, missing));
    }
    match path.split_first() {
        None => test.holds(thing),
        Some((first, rest)) => match thing.get(first) {
            Some(inner) => walk(rest, inner, test, missing),
            None => test.holds(missing),
        },
    }
}

impl Test {
    fn holds(&self, value: &Value) -> bool {
        match self {
            Test::TextIs(text, wanted) => (value.as_str() == Some(text)) == *wanted,
            Test::IntegerIs(number, wanted) => (value.as_i64() == Some(*number)) == *wanted,
            Test::FlagIs(flag, wanted) => (value.as_bool() == Some(*flag)) == *wanted,
            Test::Has(text, wanted) => has(value, text) == *wanted,
            Test::Empty(wanted) => is_empty(value) == *wanted,
            Test::Matches(regex, wanted) => value.as_str().is_some_and(|text| regex.is_match(text)) == *wanted,
        }
    }
}

fn has(value: &Value, text: &str) -> bool {
    match value {
        Value::Array(items) => items.iter().any(|item| item.as_str() == Some(text)),
        Value::Object(map) => map.contains_key(text),
        Value::String(whole) => whole.contains(text),
        _ => false,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => true,
    }
}
