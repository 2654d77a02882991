//! A query's tree as JSON, for tools that show or build queries.
//!
//! Members are those of the original, in alphabetical order as there. Lengths are milliseconds; a length that is computed
//! (`[5m+step()]`) is 0 and its expression stands beside it.

use model::go_text::format_float;
use promql::Expr;
use promql::syntax::ast::{
    Aggregate, At, Binary, DurationExpr, DurationTerm, Edges, Length, Offset, Subquery, VectorSelector,
};
use serde_json::{Value, json};

/// Appends the tree, safe inside HTML.
pub(crate) fn append_tree(out: &mut Vec<u8>, expr: &Expr) {
    // these characters occur in JSON only inside strings
    for c in tree(expr).to_string().chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                out.extend_from_slice(format!("\\u{:04x}", c as u32).as_bytes())
            }
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

fn tree(expr: &Expr) -> Value {
    match expr {
        Expr::Aggregate(node) => aggregate(node),
        Expr::Binary(node) => binary(node),
        Expr::Call(node) => json!({
            "type": "call",
            "func": {
                "name": node.function.name,
                "argTypes": node.function.args.iter().map(|arg| arg.as_str()).collect::<Vec<_>>(),
                "variadic": node.function.variadic,
                "returnType": node.function.returns.as_str(),
            },
            "args": node.args.iter().map(tree).collect::<Vec<_>>(),
        }),
        Expr::Matrix(node) => {
            let (range, range_expr) = length(&node.range);
            let mut value = selector("matrixSelector", &node.vector);
            value["range"] = json!(range);
            value["rangeExpr"] = range_expr;
            value
        }
        Expr::Number(node) => json!({ "type": "numberLiteral", "val": format_float(node.value) }),
        Expr::Paren(node) => json!({ "type": "parenExpr", "expr": tree(&node.expr) }),
        Expr::String(node) => json!({ "type": "stringLiteral", "val": node.value }),
        Expr::Subquery(node) => subquery(node),
        Expr::Unary(node) => {
            json!({ "type": "unaryExpr", "op": if node.negative { "-" } else { "+" }, "expr": tree(&node.expr) })
        }
        Expr::Vector(node) => selector("vectorSelector", node),
    }
}

fn aggregate(node: &Aggregate) -> Value {
    json!({
        "type": "aggregation",
        "op": node.op.as_str(),
        "expr": tree(&node.expr),
        "param": node.param.as_ref().map(tree),
        "grouping": node.grouping,
        "without": node.without,
    })
}

fn binary(node: &Binary) -> Value {
    let matching = node.matching.as_ref().map(|matching| {
        json!({
            "card": matching.card.as_str(),
            "labels": matching.labels,
            "on": matching.on,
            "include": matching.include,
            "fillValues": { "lhs": matching.fill_left, "rhs": matching.fill_right },
        })
    });
    json!({
        "type": "binaryExpr",
        "op": node.op.as_str(),
        "lhs": tree(&node.lhs),
        "rhs": tree(&node.rhs),
        "matching": matching,
        "bool": node.return_bool,
    })
}

fn selector(kind: &str, node: &VectorSelector) -> Value {
    let matchers: Vec<Value> = node
        .matchers
        .iter()
        .map(|matcher| json!({ "name": &*matcher.name, "value": &*matcher.value, "type": matcher.op.as_str() }))
        .collect();
    let (offset, offset_expr) = offset(&node.offset);
    let (timestamp, start_or_end) = at(node.at);
    json!({
        "type": kind,
        "name": node.name,
        "offset": offset,
        "offsetExpr": offset_expr,
        "matchers": matchers,
        "timestamp": timestamp,
        "startOrEnd": start_or_end,
        "anchored": node.edges == Edges::Anchored,
        "smoothed": node.edges == Edges::Smoothed,
    })
}

fn subquery(node: &Subquery) -> Value {
    let (range, range_expr) = length(&node.range);
    let (step, step_expr) = node.step.as_ref().map_or((0, Value::Null), length);
    let (offset, offset_expr) = offset(&node.offset);
    let (timestamp, start_or_end) = at(node.at);
    json!({
        "type": "subquery",
        "expr": tree(&node.expr),
        "range": range,
        "rangeExpr": range_expr,
        "offset": offset,
        "offsetExpr": offset_expr,
        "step": step,
        "stepExpr": step_expr,
        "timestamp": timestamp,
        "startOrEnd": start_or_end,
    })
}

fn at(at: Option<At>) -> (Option<i64>, Option<&'static str>) {
    match at {
        None => (None, None),
        Some(At::Time(at)) => (Some(at.millis()), None),
        Some(At::Start) => (None, Some("start")),
        Some(At::End) => (None, Some("end")),
    }
}

fn offset(offset: &Offset) -> (i64, Value) {
    match offset {
        Offset::None => (0, Value::Null),
        Offset::Fixed(length) => (length.0, Value::Null),
        Offset::Computed(expr) => (0, duration(expr)),
    }
}

fn length(length: &Length) -> (i64, Value) {
    match length {
        Length::Fixed(length) => (length.0, Value::Null),
        Length::Computed(expr) => (0, duration(expr)),
    }
}

fn duration(expr: &DurationExpr) -> Value {
    let side = |side: &Option<Box<DurationTerm>>| match side.as_deref() {
        None => Value::Null,
        Some(DurationTerm::Number(number)) => json!({ "type": "numberLiteral", "val": format_float(number.value) }),
        Some(DurationTerm::Expr(expr)) => duration(expr),
    };
    json!({
        "type": "durationExpr",
        "op": expr.op.as_str(),
        "lhs": side(&expr.lhs),
        "rhs": side(&expr.rhs),
        "wrapped": expr.wrapped,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use promql::Switches;

    fn shown(query: &str) -> String {
        let mut out = Vec::new();
        append_tree(&mut out, &promql::syntax::parse(query, Switches::ALL).expect("a query"));
        String::from_utf8(out).expect("JSON is text")
    }

    #[test]
    fn trees_have_the_originals_members_in_order() {
        let x = r#"{"anchored":false,"matchers":[{"name":"__name__","type":"=","value":"x"}],"name":"x","offset":0,"offsetExpr":null,"smoothed":false,"startOrEnd":null,"timestamp":null,"type":"vectorSelector"}"#;
        let table = [
            ("x", x.to_owned()),
            ("-x", format!(r#"{{"expr":{x},"op":"-","type":"unaryExpr"}}"#)),
            ("(x)", format!(r#"{{"expr":{x},"type":"parenExpr"}}"#)),
            ("\"<s>\"", r#"{"type":"stringLiteral","val":"\u003cs\u003e"}"#.to_owned()),
            ("1e3", r#"{"type":"numberLiteral","val":"1000"}"#.to_owned()),
            (
                "x / on(a) x",
                format!(
                    r#"{{"bool":false,"lhs":{x},"matching":{{"card":"one-to-one","fillValues":{{"lhs":null,"rhs":null}},"include":[],"labels":["a"],"on":true}},"op":"/","rhs":{x},"type":"binaryExpr"}}"#
                ),
            ),
            (
                "sum by (a) (x)",
                format!(
                    r#"{{"expr":{x},"grouping":["a"],"op":"sum","param":null,"type":"aggregation","without":false}}"#
                ),
            ),
        ];
        for (query, wanted) in table {
            assert_eq!(shown(query), wanted, "{query}");
        }
        let call = shown("rate(x[5m] offset 1m)");
        assert!(
            call.contains(r#""func":{"argTypes":["matrix"],"name":"rate","returnType":"vector","variadic":0}"#),
            "{call}"
        );
        assert!(call.contains(r#""offset":60000"#) && call.contains(r#""range":300000,"rangeExpr":null"#), "{call}");
        let subquery = shown("x[5m:1m] @ end()");
        assert!(subquery.contains(r#""startOrEnd":"end","step":60000,"stepExpr":null"#), "{subquery}");
        assert!(shown("x @ 1.5").contains(r#""timestamp":1500"#));
    }
}
