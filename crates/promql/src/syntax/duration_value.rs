//! The value of a duration expression, once the query's step and range are known.

use super::ast::{DurationExpr, DurationOp, DurationTerm};
use super::parser::SECONDS_MAX;
use model::Millis;

impl DurationExpr {
    /// The length, given the query's step and range in seconds. Ranges and steps must be longer than nothing.
    ///
    /// # Errors
    /// Prometheus' text: `start:end: what is wrong`, in bytes of the query.
    pub fn evaluate(&self, step_s: f64, range_s: f64, may_be_negative: bool) -> Result<Millis, String> {
        let seconds = self.seconds(step_s, range_s)?;
        let span = self.span();
        let refuse = |what: &str| Err(format!("{}:{}: duration {what}", span.start, span.end));
        if !seconds.is_finite() {
            return refuse("is NaN or infinite");
        }
        if seconds <= 0.0 && !may_be_negative {
            return refuse("must be greater than 0");
        }
        if seconds.abs() > SECONDS_MAX {
            return refuse("is out of range");
        }
        Ok(Millis((seconds * 1000.0) as i64))
    }

    fn seconds(&self, step_s: f64, range_s: f64) -> Result<f64, String> {
        let side = |side: &Option<Box<DurationTerm>>| match side.as_deref() {
            None => Ok(0.0),
            Some(DurationTerm::Number(number)) => Ok(number.value),
            Some(DurationTerm::Expr(expr)) => expr.seconds(step_s, range_s),
        };
        let (left, right) = (side(&self.lhs)?, side(&self.rhs)?);
        let by_zero = |what: &str| {
            let span = self.span();
            Err(format!("{}:{}: {what} by zero", span.start, span.end))
        };
        Ok(match self.op {
            DurationOp::Step => step_s,
            DurationOp::Range => range_s,
            DurationOp::MinOf => crate::eval::math::go_min(left, right),
            DurationOp::MaxOf => crate::eval::math::go_max(left, right),
            DurationOp::Add => left + right,
            DurationOp::Sub => left - right,
            DurationOp::Mul => left * right,
            DurationOp::Div if right == 0.0 => return by_zero("division"),
            DurationOp::Div => left / right,
            DurationOp::Mod if right == 0.0 => return by_zero("modulo"),
            DurationOp::Mod => left % right,
            DurationOp::Pow => left.powf(right),
        })
    }
}
