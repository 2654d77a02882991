//! Series descriptions: the rows of the test language, `http_requests{path="/"} 0 1+2x3 _ stale {{count:1}}`.
//!
//! ```text
//! _  _xN          nothing, N times nothing
//! 1  1xN          a value, N+1 times the value
//! a+bxN  a-bxN    N+1 values, each b away from the one before
//! stale           the staleness marker
//! {{key:value …}} a native histogram; xN, +{{…}}xN, -{{…}}xN as above
//! ```
//!
//! Limit: [`VALUES_MAX`] values a row.

use super::error::{ParseError, Span};
use super::parser::{Parsed, Parser, Stop};
use super::token::Kind;
use super::{Switches, number};
use model::labels::METRIC_NAME;
use model::{CounterReset, FloatHistogram, Labels, LabelsBuilder, STALE_NAN};

/// Most values one row may describe: what a typing error may cost.
pub const VALUES_MAX: usize = 10_000_000;

/// One value of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum SequenceValue {
    /// No sample at this step.
    Omitted,
    /// A float.
    Float(f64),
    /// A native histogram.
    Histogram(Box<DescribedHistogram>),
}

/// A native histogram as described: `base`, or `base` and `times` times `step`. The sum is not computed here.
#[derive(Clone, Debug, PartialEq)]
pub struct DescribedHistogram {
    /// The first of the row.
    pub base: FloatHistogram,
    /// Whether the description says something about counter resets.
    pub reset_hint_given: bool,
    /// What is added (or, if true, taken away), how many times.
    pub step: Option<(FloatHistogram, bool, u64)>,
}

/// A row.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesDescription {
    /// What names the series.
    pub labels: Labels,
    /// Its values, one a step.
    pub values: Vec<SequenceValue>,
}

impl SeriesDescription {
    /// Parses a row.
    ///
    /// # Errors
    /// The first thing wrong with the text, with its place.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let mut parser = Parser::over(text, Switches::ALL, true);
        match parser.whole_text(Parser::series_description) {
            Ok(description) if !parser.has_errors() => Ok(description),
            _ => Err(parser.first_error()),
        }
    }
}

impl Parser<'_> {
    fn series_description(&mut self) -> Parsed<SeriesDescription> {
        let mut labels = LabelsBuilder::new();
        let token = self.peek();
        let name = if token.kind.may_name_metric() {
            self.take();
            Some(self.text(token).to_owned())
        } else {
            None
        };
        if self.peek().kind == Kind::LeftBrace {
            self.label_set(&mut labels)?;
        }
        if let Some(name) = name {
            labels.set(METRIC_NAME, &name);
        }
        let mut values = Vec::new();
        let parsed = self.series_values(&mut values);
        self.describing(parsed, "series values", "")?;
        Ok(SeriesDescription { labels: labels.build(), values })
    }

    fn label_set(&mut self, labels: &mut LabelsBuilder) -> Parsed<()> {
        const CONTEXT: &str = "label set";
        self.take();
        while self.peek().kind != Kind::RightBrace {
            let token = self.peek();
            let name = match token.kind {
                Kind::Identifier => self.text(token).to_owned(),
                Kind::Text => number::unquote(self.text(token)),
                _ => return Err(self.unexpected(CONTEXT, "identifier or \"}\"")),
            };
            self.take();
            if self.peek().kind == Kind::Equal {
                self.take();
                if self.peek().kind != Kind::Text {
                    return Err(self.unexpected(CONTEXT, "string"));
                }
                let value = self.take();
                labels.set(&name, &number::unquote(self.text(value)));
            } else if token.kind == Kind::Text {
                labels.set(METRIC_NAME, &name);
            } else {
                return Err(self.unexpected(CONTEXT, "\"=\""));
            }
            match self.peek().kind {
                Kind::Comma => {
                    self.take();
                }
                Kind::RightBrace => {}
                _ => return Err(self.unexpected(CONTEXT, "\",\" or \"}\"")),
            }
        }
        self.take();
        Ok(())
    }

    fn series_values(&mut self, values: &mut Vec<SequenceValue>) -> Parsed<()> {
        while self.peek().kind == Kind::Space {
            self.take();
            match self.peek().kind {
                Kind::Space | Kind::End | Kind::Error => {}
                _ => self.series_item(values)?,
            }
        }
        match self.peek().kind {
            Kind::End | Kind::Error => Ok(()),
            _ => Err(Stop::Unexpected),
        }
    }

    fn series_item(&mut self, values: &mut Vec<SequenceValue>) -> Parsed<()> {
        let token = self.peek();
        match token.kind {
            Kind::Blank => {
                self.take();
                let times = if self.peek().kind == Kind::Times { self.repetition()? } else { 1 };
                self.room_for(values, times)?;
                values.extend((0..times).map(|_| SequenceValue::Omitted));
                Ok(())
            }
            Kind::OpenHistogram => self.histogram_item(values),
            Kind::Identifier if self.text(token) == "stale" => {
                self.take();
                values.push(SequenceValue::Float(STALE_NAN));
                Ok(())
            }
            Kind::Identifier => Err(self.unexpected("series values", "number or \"stale\"")),
            _ => self.float_item(values),
        }
    }

    fn float_item(&mut self, values: &mut Vec<SequenceValue>) -> Parsed<()> {
        let mut value = self.signed_number()?;
        let step = if matches!(self.peek().kind, Kind::Add | Kind::Sub) { Some(self.signed_number()?) } else { None };
        if step.is_some() && self.peek().kind != Kind::Times {
            return Err(Stop::Unexpected);
        }
        let times = if self.peek().kind == Kind::Times { self.repetition()? } else { 0 };
        self.room_for(values, times)?;
        for _ in 0..=times {
            values.push(SequenceValue::Float(value));
            value += step.unwrap_or(0.0);
        }
        Ok(())
    }

    fn histogram_item(&mut self, values: &mut Vec<SequenceValue>) -> Parsed<()> {
        let (base, reset_hint_given) = self.histogram()?;
        let negative = self.peek().kind == Kind::Sub;
        let step = if matches!(self.peek().kind, Kind::Add | Kind::Sub) {
            self.take();
            Some(self.histogram()?.0)
        } else {
            None
        };
        if step.is_some() && self.peek().kind != Kind::Times {
            return Err(Stop::Unexpected);
        }
        let times = if self.peek().kind == Kind::Times { self.repetition()? } else { 0 };
        self.room_for(values, times)?;
        for nth in 0..=times {
            let step = step.clone().map(|step| (step, negative, nth));
            let described = DescribedHistogram { base: base.clone(), reset_hint_given, step };
            values.push(SequenceValue::Histogram(Box::new(described)));
        }
        Ok(())
    }

    fn room_for(&mut self, values: &[SequenceValue], more: u64) -> Parsed<()> {
        if values.len() as u64 + more >= VALUES_MAX as u64 {
            let token = self.peek();
            self.note(Span::new(token.start, token.end), format!("more than {VALUES_MAX} series values"));
            return Err(Stop::Noted);
        }
        Ok(())
    }

    fn repetition(&mut self) -> Parsed<u64> {
        self.take();
        let token = self.expect(Kind::Number)?;
        self.text(token).parse().map_err(|_| {
            let text = model::go_text::quote(self.text(token));
            self.note(
                Span::new(token.start, token.end),
                format!("invalid repetition in series values: strconv.ParseUint: parsing {text}: invalid syntax"),
            );
            Stop::Noted
        })
    }

    fn signed_number(&mut self) -> Parsed<f64> {
        let sign = self.peek().kind;
        if matches!(sign, Kind::Add | Kind::Sub) {
            self.take();
        }
        let token = self.peek();
        if !matches!(token.kind, Kind::Number | Kind::Duration) {
            return Err(Stop::Unexpected);
        }
        self.take();
        let value = self.number_value(token);
        Ok(if sign == Kind::Sub { -value } else { value })
    }

    /// `{{schema:1 count:22 buckets:[5 10 7]}}`, and whether it says something about resets.
    fn histogram(&mut self) -> Parsed<(FloatHistogram, bool)> {
        self.expect(Kind::OpenHistogram)?;
        let mut histogram = FloatHistogram::default();
        let (mut seen, mut offsets) = (Vec::new(), [0i32; 2]);
        loop {
            while self.peek().kind == Kind::Space {
                self.take();
            }
            if self.peek().kind == Kind::CloseHistogram {
                self.take();
                break;
            }
            if self.peek().kind != Kind::HistogramKey {
                let expected = "histogram description key, e.g. buckets:[5 10 7]";
                return Err(self.unexpected("histogram description", expected));
            }
            let key = self.take();
            let name = self.text(key).to_ascii_lowercase();
            self.expect(Kind::Colon)?;
            if seen.contains(&name) {
                self.note(Span::default(), format!("duplicate key \"{name}\" in histogram"));
            }
            self.histogram_field(&name, &mut histogram, &mut offsets)?;
            seen.push(name);
        }
        let span = |offset, buckets: &[f64]| {
            let length = buckets.len() as u32;
            if length == 0 { Vec::new() } else { vec![model::Span { offset, length }] }
        };
        histogram.positive_spans = span(offsets[0], &histogram.positive);
        histogram.negative_spans = span(offsets[1], &histogram.negative);
        Ok((histogram, seen.iter().any(|name| name == "counter_reset_hint")))
    }

    fn histogram_field(&mut self, name: &str, histogram: &mut FloatHistogram, offsets: &mut [i32; 2]) -> Parsed<()> {
        match name {
            "schema" => histogram.schema = self.signed_number()? as i32,
            "offset" => offsets[0] = self.signed_number()? as i32,
            "n_offset" => offsets[1] = self.signed_number()? as i32,
            "sum" => histogram.sum = self.signed_number()?,
            "count" => histogram.count = self.signed_number()?,
            "z_bucket" => histogram.zero_count = self.signed_number()?,
            "z_bucket_w" => histogram.zero_threshold = self.signed_number()?,
            "buckets" => histogram.positive = self.bucket_set()?,
            "n_buckets" => histogram.negative = self.bucket_set()?,
            "custom_values" => histogram.custom_bounds = self.bucket_set()?,
            _ => {
                let hint = self.expect(Kind::ResetHint)?;
                histogram.reset = match self.text(hint).to_ascii_lowercase().as_str() {
                    "reset" => CounterReset::Reset,
                    "not_reset" => CounterReset::NoReset,
                    "gauge" => CounterReset::Gauge,
                    _ => CounterReset::Unknown,
                };
            }
        }
        Ok(())
    }

    fn bucket_set(&mut self) -> Parsed<Vec<f64>> {
        self.expect(Kind::LeftBracket)?;
        let mut buckets = Vec::new();
        loop {
            match self.peek().kind {
                Kind::Space => {
                    self.take();
                }
                Kind::RightBracket => {
                    self.take();
                    return Ok(buckets);
                }
                _ => buckets.push(self.signed_number()?),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floats(text: &str) -> Vec<Option<f64>> {
        let description = SeriesDescription::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        let value = |value: &SequenceValue| match value {
            SequenceValue::Omitted => None,
            SequenceValue::Float(value) => Some(*value),
            SequenceValue::Histogram(_) => panic!("{text}: a histogram"),
        };
        description.values.iter().map(value).collect()
    }

    #[test]
    fn floats_repeat_and_climb() {
        let some = |values: &[f64]| values.iter().copied().map(Some).collect::<Vec<_>>();
        assert_eq!(floats("{} 1 2"), some(&[1.0, 2.0]));
        assert_eq!(floats("my_metric 1 2 3 -5"), some(&[1.0, 2.0, 3.0, -5.0]));
        assert_eq!(floats("m{a=\"b\"} -2-4x3"), some(&[-2.0, -6.0, -10.0, -14.0]));
        assert_eq!(floats("m 1+1x2  7x1 .5"), some(&[1.0, 2.0, 3.0, 7.0, 7.0, 0.5]));
        assert_eq!(floats("m _ 3 _x2"), [None, Some(3.0), None, None]);
        assert_eq!(floats("sum Inf -inf"), some(&[f64::INFINITY, f64::NEG_INFINITY]));
        assert!(floats("m 1 stale")[1].is_some_and(model::is_stale));
    }

    #[test]
    fn labels_may_be_quoted_and_a_name_may_stand_inside() {
        let labels = |text: &str| SeriesDescription::parse(text).map(|d| d.labels.to_string());
        assert_eq!(labels(r#"{"m.x", "a b"="c",} 1"#), Ok(r#"{__name__="m.x", "a b"="c"}"#.to_owned()));
        assert_eq!(labels(r#"m{a="b"}"#), Ok(r#"{__name__="m", a="b"}"#.to_owned()));
    }

    #[test]
    fn histograms_are_described() {
        let text = "m {{schema:1 sum:-3 count:22 buckets:[5 10 7] offset:-2 counter_reset_hint:gauge}}+{{count:1}}x2";
        let description = SeriesDescription::parse(text).expect("well formed");
        assert_eq!(description.values.len(), 3);
        let SequenceValue::Histogram(last) = &description.values[2] else { panic!("no histogram") };
        assert_eq!((last.base.schema, last.base.sum, last.base.count), (1, -3.0, 22.0));
        assert_eq!(last.base.positive_spans, [model::Span { offset: -2, length: 3 }]);
        assert!(last.reset_hint_given && last.base.reset == CounterReset::Gauge);
        assert_eq!(
            last.step.as_ref().map(|(step, negative, nth)| (step.count, *negative, *nth)),
            Some((1.0, false, 2))
        );
    }

    #[test]
    fn mistakes_have_places() {
        for (text, message) in [
            (
                "m 1 foo",
                "1:5: parse error: unexpected identifier \"foo\" in series values, expected number or \"stale\"",
            ),
            ("m 1+2", "1:6: parse error: unexpected end of input in series values"),
            ("m{a=1} 1", "1:5: parse error: unexpected character inside braces: '1'"),
            ("m {{count:1", "1:12: parse error: histogram description incomplete unexpected: '\u{fffd}'"),
            ("m {{foo:1}}", "1:5: parse error: bad histogram descriptor found: \"foo\""),
            ("m 1x99999999999", "1:16: parse error: more than 10000000 series values"),
        ] {
            assert_eq!(SeriesDescription::parse(text).map_err(|e| e.to_string()), Err(message.to_owned()), "{text}");
        }
    }
}
