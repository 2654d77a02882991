//! Tokens of series descriptions: values, repetitions, native histograms.

use super::{Kind, Lexed, Lexer, Mode, is_alpha, is_space, quote_char};

impl Lexer<'_> {
    /// The values of a series description.
    pub(super) fn values(&mut self) -> Lexed {
        let Some(c) = self.next() else {
            self.mode = Mode::Statements;
            return Ok(None);
        };
        Ok(Some(match c {
            '{' if self.peek() == Some('{') => {
                self.next();
                self.mode = Mode::Histogram;
                Kind::OpenHistogram
            }
            c if is_space(c) => self.space(),
            '+' => Kind::Add,
            '-' => Kind::Sub,
            'x' => Kind::Times,
            '_' => Kind::Blank,
            c if c.is_ascii_digit() || (c == '.' && self.peek().is_some_and(|d| d.is_ascii_digit())) => {
                self.position = self.start;
                return self.number();
            }
            c if is_alpha(c) => {
                self.position = self.start;
                return self.keyword_or_identifier();
            }
            _ => return Err(format!("unexpected character in series sequence: {}", quote_char(Some(c)))),
        }))
    }

    fn space(&mut self) -> Kind {
        while self.accept(is_space) {}
        Kind::Space
    }

    /// Between `{{` and `}}`, buckets included.
    pub(super) fn histogram(&mut self) -> Lexed {
        let Some(c) = self.next() else {
            return Err(format!("histogram description incomplete unexpected: {}", quote_char(None)));
        };
        Ok(Some(match c {
            c if is_space(c) => self.space(),
            ':' => Kind::Colon,
            '-' => Kind::Sub,
            '+' => Kind::Add,
            '[' => Kind::LeftBracket,
            ']' => Kind::RightBracket,
            c if c.is_ascii_digit() || (c == '.' && self.peek().is_some_and(|d| d.is_ascii_digit())) => {
                self.position = self.start;
                return self.number();
            }
            '}' if self.peek() == Some('}') => {
                self.next();
                self.mode = match self.peek() {
                    Some('x' | '+' | '-') => Mode::HistogramOperator,
                    _ => Mode::Values,
                };
                Kind::CloseHistogram
            }
            c if is_alpha(c) => return self.histogram_word(),
            _ => {
                return Err(format!("histogram description incomplete unexpected: {}", quote_char(Some(c))));
            }
        }))
    }

    fn histogram_word(&mut self) -> Lexed {
        while self.accept(is_alpha) {}
        let word = self.text().to_ascii_lowercase();
        Ok(Some(match word.as_str() {
            "sum" | "count" | "schema" | "offset" | "n_offset" | "buckets" | "n_buckets" | "z_bucket"
            | "z_bucket_w" | "custom_values" | "counter_reset_hint" => {
                if self.peek() != Some(':') {
                    return Err("missing `:` for histogram descriptor".to_owned());
                }
                Kind::HistogramKey
            }
            "inf" | "nan" => Kind::Number,
            "unknown" | "reset" | "not_reset" | "gauge" => Kind::ResetHint,
            _ => return Err(format!("bad histogram descriptor found: {}", model::go_text::quote(self.text()))),
        }))
    }

    pub(super) fn histogram_operator(&mut self) -> Lexed {
        self.mode = Mode::Values;
        Ok(self.next().map(|c| match c {
            'x' => Kind::Times,
            '+' => Kind::Add,
            _ => Kind::Sub,
        }))
    }
}
