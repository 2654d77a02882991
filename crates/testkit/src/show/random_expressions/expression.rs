//! Random expressions over the whole language, mostly well typed, and requests around them.

use super::data::{BEGIN, MINUTES};
use crate::harness::dice::Dice;

/// A request: path below `/api/v1/` and parameters.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) path: String,
    pub(super) form: Vec<(&'static str, String)>,
}

impl Request {
    /// The expression asked about, or nothing.
    pub(super) fn query(&self) -> &str {
        self.form.iter().find(|(name, _)| *name == "query").map_or("", |(_, value)| value)
    }
}

const NAMES: &str = "g g g2 \"temp.é\" c_total req_total h_bucket h_count h_sum neg_bucket bad_bucket noinf_bucket one_bucket \
    inv_bucket dup_bucket target_info build_info up const big frac sparse dense many stamp lbl typed with:colon \
    nosuch";
const LABELS: &str = "a b c le instance job path version rev own k n grp v id \"lab.el\" nosuch s __name__";
const VALUES: &[&str] = &["1", "2", "3", "x", "y", "i1", "j", "", "/", "a", "b", "t", "0", "+Inf", "1.0", "a-b", "$1"];
const PATTERNS: &[&str] =
    &[".*", ".+", "1|2", "[0-9]+", "x|y", "", "i.", "(?i)X", "1.*", ".*1", "a|", "^1$", "/.*", "(a|b|1)", "[^x]", "."];
const NUMBERS: &str =
    "0 1 2 -1 0.5 3 10 1e3 -0.5 NaN Inf -Inf 1e-3 0x10 1e308 5e-324 .5 1_000 1m 3.7 -0 1e16 0.1 0.9 2.5";
const LENGTHS: &str = "15s 30s 1m 2m 5m 10m 1m30s 7s 1h 90 0.5 45s 3m7s 1ms 20m 500ms 1e2";
const OF_FLOATS: &str =
    "abs ceil floor exp sqrt ln log2 log10 sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh rad deg sgn";
const DATES: &str = "days_in_month day_of_month day_of_week day_of_year hour minute month year";
const OF_RANGES: &str = "avg_over_time min_over_time max_over_time sum_over_time count_over_time stddev_over_time stdvar_over_time \
    last_over_time present_over_time absent_over_time mad_over_time ts_of_min_over_time ts_of_max_over_time \
    ts_of_last_over_time rate rate increase delta irate idelta deriv changes resets";
const AGGREGATIONS: &str = "sum avg count min max group stddev stdvar";
/// What a mutation puts somewhere.
const PIECES: &str = "( ) [ ] { } , \" ' ` + - ^ == =~ !~ = < and or unless by without on ignoring group_left group_right bool offset \
    @ 5m : 1 0x 1e 1.2.3 Inf sum rate foo atan2 # \\ é 5m5m 1h- topk count_values {__name__= a= ~ ! ; . 1d1y -1 \
    \"\\x\" by( [5m: quantile( {\"a\"} 10000y on() by(1) {a=\"b\",} {,} {a=b} }[5m]";

/// Makes expressions.
pub(super) struct Maker {
    pub(super) dice: Dice,
}

impl Maker {
    fn text(&mut self, value: &str) -> String {
        let plain = !value.contains(['\'', '\\', '\n', '`', '"']);
        match self.dice.roll(10) {
            8 if plain => format!("'{value}'"),
            9 if plain => format!("`{value}`"),
            _ => format!("{value:?}"),
        }
    }

    fn label_text(&mut self) -> String {
        let name = self.dice.word(LABELS).trim_matches('"').to_owned();
        self.text(&name)
    }

    fn matcher(&mut self) -> String {
        let op = self.dice.of(&["=", "!=", "=~", "!~"]);
        let value = self.dice.of(if op.len() == 1 || op == "!=" { VALUES } else { PATTERNS });
        // without the last, the name
        let label = self.dice.word(LABELS.trim_end_matches("__name__"));
        format!("{label}{op}{}", self.text(value))
    }

    fn modifiers(&mut self) -> String {
        let mut both = [String::new(), String::new()];
        if self.dice.percent(12) {
            let lengths = ["1m", "5m", "-1m", "30s", "1h", "-10m", "0s", "7s", "15", "-0.5"];
            both[0] = format!(" offset {}", self.dice.of(&lengths));
        }
        if self.dice.percent(8) {
            let times = ["1700001800", "start()", "end()", "1700003000.5", "1700007000", "0", "1e9"];
            both[1] = format!(" @ {}", self.dice.of(&times));
        }
        let first = self.dice.roll(2);
        format!("{}{}", both[first], both[1 - first])
    }

    fn bare_selector(&mut self) -> String {
        let count = [0, 0, 0, 1, 1, 2][self.dice.roll(6)];
        let mut matchers: Vec<String> = (0..count).map(|_| self.matcher()).collect();
        let name = if self.dice.percent(6) {
            let names =
                ["g|g2", "c_total|req_total", "h_.*", ".*_info", "g.*", "const|big", "lbl|many", "with:colon|g"];
            matchers.insert(0, format!("__name__=~\"{}\"", self.dice.of(&names)));
            ""
        } else {
            self.dice.word(NAMES)
        };
        if name.starts_with('"') {
            matchers.insert(0, name.to_owned());
            return format!("{{{}}}", matchers.join(","));
        }
        if matchers.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", matchers.join(",")) }
    }

    fn selector(&mut self) -> String {
        self.bare_selector() + &self.modifiers()
    }

    fn range(&mut self, depth: usize) -> String {
        let length = self.dice.word(LENGTHS);
        if depth > 0 && self.dice.percent(35) {
            let step = self.dice.of(&["", "", "15s", "1m", "30s", "7s", "2m", "10", "1s"]);
            return format!("({})[{length}:{step}]{}", self.vector(depth - 1), self.modifiers());
        }
        format!("{}[{length}]{}", self.bare_selector(), self.modifiers())
    }

    fn labels(&mut self) -> String {
        let count = [0, 1, 1, 1, 2, 2, 3][self.dice.roll(7)];
        (0..count).map(|_| self.dice.word(LABELS)).collect::<Vec<_>>().join(",")
    }

    fn parameter(&mut self, depth: usize) -> String {
        let usual = ["1", "2", "3", "0", "-1", "5", "0.5", "0.9", "0.99", "2.7", "NaN", "Inf", "1e20", "10"];
        if self.dice.percent(70) { self.dice.of(&usual).to_owned() } else { self.scalar(depth.saturating_sub(1)) }
    }

    fn aggregation(&mut self, depth: usize) -> String {
        let grouping = match self.dice.roll(5) {
            0 | 1 => String::new(),
            2 | 3 => format!(" by ({})", self.labels()),
            _ => format!(" without ({})", self.labels()),
        };
        let inner = self.vector(depth - 1);
        let (op, args) = match self.dice.roll(100) {
            0..60 => (self.dice.word(AGGREGATIONS), inner),
            60..75 => (self.dice.of(&["topk", "bottomk"]), format!("{}, {inner}", self.parameter(depth))),
            75..82 => ("quantile", format!("{}, {inner}", self.parameter(depth))),
            82..90 => {
                let label = self.dice.of(&["v", "a", "x.y", "le", "__name__", "1bad", ""]);
                ("count_values", format!("{}, {inner}", self.text(label)))
            }
            90..95 => ("limitk", format!("{}, {inner}", self.parameter(depth))),
            _ => {
                let ratio = self.dice.of(&["0.5", "-0.5", "0.1", "-0.9", "1", "-1", "0", "2", "-2"]);
                ("limit_ratio", format!("{ratio}, {inner}"))
            }
        };
        if self.dice.percent(50) { format!("{op}{grouping} ({args})") } else { format!("{op} ({args}){grouping}") }
    }

    fn scalar(&mut self, depth: usize) -> String {
        let choice = if depth == 0 { 0 } else { self.dice.roll(100) };
        match choice {
            0..40 => self.dice.word(NUMBERS).to_owned(),
            40..50 => "time()".to_owned(),
            50..54 => "pi()".to_owned(),
            54..70 => format!("scalar({})", self.vector(depth - 1)),
            70..75 => format!("{}{}", self.dice.of(&["-", "+"]), self.scalar(depth - 1)),
            75..80 => format!("({})", self.scalar(depth - 1)),
            _ => {
                let op = self.dice.of(&["+", "-", "*", "/", "%", "^", "atan2", "==", "<", ">", "!=", "<=", ">="]);
                let word = if op.starts_with(['=', '<', '>', '!']) && self.dice.percent(97) { " bool" } else { "" };
                format!("{} {op}{word} {}", self.scalar(depth - 1), self.scalar(depth - 1))
            }
        }
    }

    fn call(&mut self, depth: usize) -> String {
        match self.dice.roll(100) {
            0..15 => format!("{}({})", self.dice.word(OF_FLOATS), self.vector(depth - 1)),
            15..18 => {
                let arg = if self.dice.percent(80) { self.vector(depth - 1) } else { String::new() };
                format!("{}({arg})", self.dice.word(DATES))
            }
            18..54 => format!("{}({})", self.dice.word(OF_RANGES), self.range(depth)),
            54..57 => format!("quantile_over_time({}, {})", self.parameter(depth), self.range(depth)),
            57..60 => format!("predict_linear({}, {})", self.range(depth), self.scalar(depth - 1)),
            60..62 => {
                let factors = ["0.5", "0.1", "1", "0", "0.9"];
                let (smoothing, trend) = (self.dice.of(&factors), self.dice.of(&factors));
                format!("double_exponential_smoothing({}, {smoothing}, {trend})", self.range(depth))
            }
            62..65 => {
                format!("clamp({}, {}, {})", self.vector(depth - 1), self.scalar(depth - 1), self.scalar(depth - 1))
            }
            65..69 => {
                let name = self.dice.of(&["clamp_min", "clamp_max", "round"]);
                format!("{name}({}, {})", self.vector(depth - 1), self.scalar(depth - 1))
            }
            69..72 => {
                format!("timestamp({})", if self.dice.percent(60) { self.selector() } else { self.vector(depth - 1) })
            }
            72..74 => format!("vector({})", self.scalar(depth - 1)),
            74..77 => {
                format!("absent({})", if self.dice.percent(70) { self.selector() } else { self.vector(depth - 1) })
            }
            77..80 => format!("{}({})", self.dice.of(&["sort", "sort_desc"]), self.vector(depth - 1)),
            80..82 => {
                let name = self.dice.of(&["sort_by_label", "sort_by_label_desc"]);
                format!("{name}({}, {})", self.vector(depth - 1), self.label_text())
            }
            82..90 => self.of_labels(depth),
            90..96 => self.of_buckets(depth),
            96..97 => {
                let name = ["histogram_count", "histogram_sum", "histogram_avg", "histogram_stddev"][self.dice.roll(4)];
                format!("{name}({})", self.vector(depth - 1))
            }
            _ => {
                // info metrics that come and go are joined otherwise since 3.6
                let base = self.dice.of(&["up", "req_total", "c_total", "sum by (instance, job) (up)"]);
                let more = self.dice.of(&["", ",rev=~\".+\"", ",rev=\"ri1\"", ",nosuch=\"x\"", ",nosuch=\"\""]);
                format!("info({base}, {{__name__=\"build_info\"{more}}})")
            }
        }
    }

    fn of_labels(&mut self, depth: usize) -> String {
        let (inner, target) =
            (self.vector(depth - 1), self.dice.of(&["new", "a", "b", "__name__", "lab.el", "", "1x"]));
        if self.dice.percent(60) {
            let value = self.dice.of(&["$1", "x$1y", "", "const", "${1}_$2", "$a", "$$", "${n}"]);
            let pattern =
                ["(.*)", "(.+)", ".*", "([a-z]+)(.*)", "x", "", "(?P<n>.).*", "(", "i(.)|j"][self.dice.roll(9)];
            let (target, value, source) = (self.text(target), self.text(value), self.label_text());
            return format!("label_replace({inner}, {target}, {value}, {source}, {})", self.text(pattern));
        }
        let sources: String = (0..self.dice.roll(4)).map(|_| format!(", {}", self.label_text())).collect();
        format!("label_join({inner}, {}, \"{}\"{sources})", self.text(target), self.dice.of(&["-", "", ","]))
    }

    fn of_buckets(&mut self, depth: usize) -> String {
        let buckets = NAMES.split(' ').filter(|name| name.ends_with("_bucket")).collect::<Vec<_>>();
        let bucket = self.dice.of(&buckets);
        let length = self.dice.word(LENGTHS);
        let inner = match self.dice.roll(5) {
            0 => bucket.to_owned(),
            1 => format!("rate({bucket}[5m])"),
            2 => format!("sum by (le, a) ({bucket})"),
            3 => format!("sum by (le) (rate({bucket}[{length}]))"),
            _ => self.vector(depth - 1),
        };
        format!("histogram_quantile({}, {inner})", self.parameter(depth))
    }

    fn operand(&mut self, name: &str) -> String {
        match self.dice.roll(8) {
            0 | 1 => name.to_owned(),
            2 => format!("rate({name}[5m])"),
            3 => format!("sum by (a, b) ({name})"),
            4 => format!("sum by (instance, job) ({name})"),
            5 => format!("{name}{{{}}}", self.matcher()),
            6 => format!("abs({name})"),
            _ => format!("{name} offset 1m"),
        }
    }

    fn binary(&mut self, depth: usize) -> String {
        let (left, right) = match self.dice.roll(100) {
            // operands that have something in common
            0..35 => {
                let name = self.dice.of(&["g", "g2", "req_total", "up", "many", "h_bucket"]);
                let other = self.dice.of(&["g", "g2", "up", "target_info", "build_info", name]);
                (self.operand(name), self.operand(other))
            }
            35..47 => (self.scalar(depth - 1), self.vector(depth - 1)),
            47..60 => (self.vector(depth - 1), self.scalar(depth - 1)),
            _ => (self.vector(depth - 1), self.vector(depth - 1)),
        };
        let set = self.dice.percent(20);
        let ops = ["+", "-", "*", "/", "%", "^", "atan2", "==", "!=", "<", ">", "<=", ">="];
        let op = if set { self.dice.of(&["and", "or", "unless"]) } else { self.dice.of(&ops) };
        let mut between = op.to_owned();
        if op.starts_with(['=', '<', '>', '!']) && self.dice.percent(35) {
            between += " bool";
        }
        if self.dice.percent(50) {
            between += &format!(" {} ({})", self.dice.of(&["on", "on", "ignoring"]), self.labels());
            if !set && self.dice.percent(40) {
                let include = if self.dice.percent(60) { format!(" ({})", self.labels()) } else { String::new() };
                between += &format!(" {}{include}", self.dice.of(&["group_left", "group_right"]));
            }
        }
        format!("{left} {between} {right}")
    }

    pub(super) fn vector(&mut self, depth: usize) -> String {
        if self.dice.roll(200) == 0 {
            // of another type
            return [self.dice.word(NUMBERS).to_owned(), self.range(0), "\"text\"".to_owned()][self.dice.roll(3)]
                .clone();
        }
        let choice = if depth == 0 { 0 } else { self.dice.roll(100) };
        match choice {
            0..20 => self.selector(),
            20..50 => self.call(depth),
            50..70 => self.aggregation(depth),
            70..86 => format!("({})", self.binary(depth)),
            86..90 => self.binary(depth),
            90..95 => format!("{}{}", self.dice.of(&["-", "+"]), self.vector(depth - 1)),
            _ => format!("({})", self.vector(depth - 1)),
        }
    }

    /// An expression of any type.
    fn expression(&mut self) -> String {
        let depth = [0, 1, 1, 2, 2, 3, 3, 4][self.dice.roll(8)];
        match self.dice.roll(100) {
            0..88 => self.vector(depth),
            88..94 => self.scalar(depth),
            94..98 => self.range(depth),
            _ => self.label_text(),
        }
    }

    /// Some text that was an expression.
    fn damaged(&mut self) -> String {
        let depth = [0, 1, 1, 2][self.dice.roll(4)];
        let mut chars: Vec<char> = self.vector(depth).chars().collect();
        for _ in 0..[1, 1, 1, 2, 3][self.dice.roll(5)] {
            let from = self.dice.roll(chars.len() + 1);
            let to = (from + [1, 1, 2, 3, 8][self.dice.roll(5)]).min(chars.len());
            let piece: Vec<char> = self.dice.word(PIECES).chars().collect();
            match self.dice.roll(4) {
                0 => drop(chars.drain(from..to)),
                1 => drop(chars.splice(from..from, piece)),
                2 => drop(chars.splice(from..to, piece)),
                _ => chars.truncate(from),
            }
        }
        chars.into_iter().collect()
    }

    fn seconds(&mut self) -> String {
        let at = BEGIN + self.dice.roll((MINUTES * 60 + 900) as usize) as i64 - 300;
        match self.dice.roll(3) {
            0 => at.to_string(),
            1 => format!("{at}.{:03}", self.dice.roll(1000)),
            _ => (at / 60 * 60).to_string(),
        }
    }

    /// A request with an expression, or a damaged one, or about series and labels.
    pub(super) fn request(&mut self) -> Request {
        match self.dice.roll(100) {
            0..45 => self.instant(),
            45..80 => self.ranged(),
            80..92 => {
                let path = if self.dice.percent(25) { "format_query" } else { "query" };
                let form = vec![("query", self.damaged()), ("time", (BEGIN + 3000).to_string())];
                Request { path: path.to_owned(), form }
            }
            _ => self.lookup(),
        }
    }

    fn instant(&mut self) -> Request {
        let mut form = vec![("query", self.expression()), ("time", self.seconds())];
        self.options(&mut form);
        Request { path: "query".to_owned(), form }
    }

    fn ranged(&mut self) -> Request {
        let steps = ["1", "5", "15", "15", "30", "60", "60", "137.5", "300", "0.5", "0.001", "7", "421", "1000"];
        let (start, step) = (self.seconds(), self.dice.of(&steps));
        let count = [0.0, 1.0, 2.0, 5.4, 10.0, 30.0, 60.0][self.dice.roll(7)];
        let number = |text: &str| text.parse::<f64>().unwrap_or_default();
        let end = format!("{:.3}", number(&start) + count * number(step));
        let mut form = vec![("query", self.expression()), ("start", start), ("end", end), ("step", step.to_owned())];
        self.options(&mut form);
        Request { path: "query_range".to_owned(), form }
    }

    fn options(&mut self, form: &mut Vec<(&'static str, String)>) {
        if self.dice.percent(5) {
            form.push(("lookback_delta", self.dice.of(&["1m", "15s", "1ms", "10m", "1"]).to_owned()));
        }
        if self.dice.percent(3) {
            form.push(("limit", self.dice.of(&["1", "2", "0", "5"]).to_owned()));
        }
    }

    fn lookup(&mut self) -> Request {
        let path = match self.dice.roll(3) {
            0 => "series".to_owned(),
            1 => "labels".to_owned(),
            _ => format!("label/{}/values", crate::harness::http::encode(self.dice.word(LABELS).trim_matches('"'))),
        };
        let mut form = Vec::new();
        for _ in 0..[0, 1, 1, 1, 2, 3][self.dice.roll(6)] {
            let odd = ["{}", "", "g[5m]", "g offset 5m", "sum(g)", "{a=~\".*\"}", "{g"];
            let text = if self.dice.percent(5) { self.dice.of(&odd).to_owned() } else { self.bare_selector() };
            form.push(("match[]", text));
        }
        let mut ends = [self.seconds(), self.seconds()];
        ends.sort();
        let [start, end] = ends;
        form.extend([("start", start), ("end", end)].into_iter().filter(|_| self.dice.percent(60)));
        Request { path, form }
    }
}
