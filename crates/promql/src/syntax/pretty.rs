//! The long form of a query: what `format_query` answers. Nodes longer than [`LINE_MAX`] are broken and indented.

use super::ast::Expr;
use super::printer::{aggregate_head, binary_head, subquery_tail};

/// Longest line that is left whole, in bytes.
const LINE_MAX: usize = 100;

impl Expr {
    /// The query over several lines, as Prometheus' `format_query` lays it out.
    pub fn pretty(&self) -> String {
        self.pretty_at(0)
    }

    fn pretty_at(&self, level: usize) -> String {
        let indent = "  ".repeat(level);
        let whole = self.to_string();
        let long = whole.len() > LINE_MAX;
        match self {
            Expr::Aggregate(e) if long => {
                let param = e.param.as_ref().map(|p| format!("{},\n", p.pretty_at(level + 1))).unwrap_or_default();
                let expr = e.expr.pretty_at(level + 1);
                format!("{indent}{}(\n{param}{expr}\n{indent})", aggregate_head(e))
            }
            Expr::Binary(e) if long => {
                let (lhs, rhs) = (e.lhs.pretty_at(level + 1), e.rhs.pretty_at(level + 1));
                format!("{lhs}\n{indent}{}\n{rhs}", binary_head(e))
            }
            Expr::Call(e) if long => {
                let args: Vec<String> = e.args.iter().map(|arg| arg.pretty_at(level + 1)).collect();
                format!("{indent}{}(\n{}\n{indent})", e.function.name, args.join(",\n"))
            }
            Expr::Paren(e) if long => format!("{indent}(\n{}\n{indent})", e.expr.pretty_at(level + 1)),
            Expr::Subquery(e) if long => format!("{}{}", e.expr.pretty_at(level), subquery_tail(e)),
            // upstream forgets the indentation here
            Expr::Subquery(_) => whole,
            Expr::Unary(e) => {
                let sign = if e.negative { "-" } else { "+" };
                format!("{indent}{sign}{}", e.expr.pretty_at(level).trim())
            }
            _ => format!("{indent}{whole}"),
        }
    }
}
