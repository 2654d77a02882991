//! Tokens: the words of the language, and how error messages call them.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    End,
    /// The lexer gave up; its message is kept beside the token.
    Error,
    Identifier,
    MetricIdentifier,
    Number,
    Duration,
    Text,
    Comma,
    Colon,
    Equal,
    LeftBrace,
    RightBrace,
    LeftBracket,
    RightBracket,
    LeftParen,
    RightParen,
    // operators
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    EqualEqual,
    NotEqual,
    RegexEqual,
    RegexNotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    TrimUpper,
    TrimLower,
    And,
    Or,
    Unless,
    Atan2,
    At,
    // aggregations
    Avg,
    Bottomk,
    Count,
    CountValues,
    Group,
    Max,
    Min,
    Quantile,
    Stddev,
    Stdvar,
    Sum,
    Topk,
    Limitk,
    LimitRatio,
    // keywords
    Bool,
    By,
    GroupLeft,
    GroupRight,
    Fill,
    FillLeft,
    FillRight,
    Ignoring,
    Offset,
    Smoothed,
    Anchored,
    On,
    Without,
    // words of the query's own grid
    Start,
    EndWord,
    Step,
    Range,
    MaxOf,
    MinOf,
    // series descriptions
    Blank,
    Times,
    Space,
    OpenHistogram,
    CloseHistogram,
    HistogramKey,
    ResetHint,
}

/// A token: its kind and the bytes it stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Kind {
    pub(crate) fn is_operator(self) -> bool {
        use Kind::*;
        matches!(
            self,
            Add | Sub
                | Mul
                | Div
                | Mod
                | Pow
                | EqualEqual
                | NotEqual
                | RegexEqual
                | RegexNotEqual
                | Less
                | LessEqual
                | Greater
                | GreaterEqual
                | TrimUpper
                | TrimLower
                | And
                | Or
                | Unless
                | Atan2
                | At
        )
    }

    pub(crate) fn is_aggregation(self) -> bool {
        use Kind::*;
        matches!(
            self,
            Avg | Bottomk
                | Count
                | CountValues
                | Group
                | Max
                | Min
                | Quantile
                | Stddev
                | Stdvar
                | Sum
                | Topk
                | Limitk
                | LimitRatio
        )
    }

    fn is_keyword(self) -> bool {
        use Kind::*;
        matches!(
            self,
            Bool | By
                | GroupLeft
                | GroupRight
                | Fill
                | FillLeft
                | FillRight
                | Ignoring
                | Offset
                | Smoothed
                | Anchored
                | On
                | Without
        )
    }

    /// Words that may name a metric where an expression begins.
    pub(crate) fn may_name_metric(self) -> bool {
        use Kind::*;
        self.is_aggregation()
            || matches!(
                self,
                By | Without
                    | Fill
                    | FillLeft
                    | FillRight
                    | Identifier
                    | MetricIdentifier
                    | And
                    | Or
                    | Unless
                    | Offset
                    | Start
                    | EndWord
                    | Step
                    | Range
                    | Anchored
                    | Smoothed
                    | MaxOf
                    | MinOf
            )
    }

    /// Words that may name a label inside `by (…)` and the like.
    pub(crate) fn may_name_label(self) -> bool {
        use Kind::*;
        (self.may_name_metric() && self != Without)
            || matches!(self, Bool | GroupLeft | GroupRight | Ignoring | On | Atan2)
    }

    /// The keyword a lower-case word is.
    pub(crate) fn of_word(word: &str) -> Option<Kind> {
        use Kind::*;
        Some(match word {
            "and" => And,
            "or" => Or,
            "unless" => Unless,
            "atan2" => Atan2,
            "sum" => Sum,
            "avg" => Avg,
            "count" => Count,
            "min" => Min,
            "max" => Max,
            "group" => Group,
            "stddev" => Stddev,
            "stdvar" => Stdvar,
            "topk" => Topk,
            "bottomk" => Bottomk,
            "count_values" => CountValues,
            "quantile" => Quantile,
            "limitk" => Limitk,
            "limit_ratio" => LimitRatio,
            "offset" => Offset,
            "smoothed" => Smoothed,
            "anchored" => Anchored,
            "by" => By,
            "without" => Without,
            "on" => On,
            "ignoring" => Ignoring,
            "group_left" => GroupLeft,
            "group_right" => GroupRight,
            "fill" => Fill,
            "fill_left" => FillLeft,
            "fill_right" => FillRight,
            "bool" => Bool,
            "start" => Start,
            "end" => EndWord,
            "step" => Step,
            "range" => Range,
            "max_of" => MaxOf,
            "min_of" => MinOf,
            "inf" | "nan" => Number,
            _ => return None,
        })
    }
}

/// How an error message calls a token with this text.
pub(crate) fn describe(kind: Kind, text: &str) -> String {
    match kind {
        Kind::End => "end of input".to_owned(),
        Kind::Error => "error".to_owned(),
        Kind::Identifier => format!("identifier {}", model::go_text::quote(text)),
        Kind::MetricIdentifier => format!("metric identifier {}", model::go_text::quote(text)),
        Kind::Text => format!("string {}", shortened(text)),
        Kind::Number => format!("number {}", shortened(text)),
        Kind::Duration => format!("duration {}", shortened(text)),
        _ if kind.is_keyword() => format!("<{text}>"),
        _ if kind.is_operator() => format!("<op:{text}>"),
        _ if kind.is_aggregation() => format!("<aggr:{text}>"),
        _ => shortened(text),
    }
}

/// Quoted; of texts longer than ten bytes the first ten characters, then dots.
fn shortened(text: &str) -> String {
    if text.len() > 10 {
        let head: String = text.chars().take(10).collect();
        format!("{}...", model::go_text::quote(&head))
    } else {
        model::go_text::quote(text)
    }
}
