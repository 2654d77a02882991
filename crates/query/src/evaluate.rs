//! `query` and `query_range`: from parameters to an answer.

use crate::answer::{Timings, append_query_data, success};
use crate::api::{Answered, Api};
use crate::error::{ApiError, Kind};
use crate::params;
use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
use model::{Millis, Timestamp};
use net::chunks::Chunks;
use net::form::Params;
use promql::{Answer, Engine, QueryError, Value};
use std::time::Duration;
use storage::{QueryContext, Select, SelectError};

/// The most steps a range query may have, counted as the original counts: the last one is free.
const STEPS_MAX: i128 = 11_000;
const TRUNCATED: &str = "results truncated due to limit";

/// What is asked of the engine.
enum Question {
    Instant(Timestamp),
    Range { start: Timestamp, end: Timestamp, step: Millis },
}

/// What both endpoints take besides times.
struct Options {
    query: String,
    limit: usize,
    timeout: Option<Duration>,
    lookback: Option<Millis>,
    stats: bool,
    stats_warning: Option<String>,
}

pub(crate) async fn instant(State(api): State<Api>, params: Params) -> Answered {
    let limit = params::limit(&params)?;
    let at = params::time_or(&params, "time", api.clock().now())?;
    let options = Options::read(&params, limit)?;
    evaluate(api, Question::Instant(at), options).await
}

pub(crate) async fn range(State(api): State<Api>, params: Params) -> Answered {
    let limit = params::limit(&params)?;
    let time = |name: &str| params::parse_time(params.get(name)).map_err(|e| ApiError::parameter(name, e));
    let (start, end) = (time("start")?, time("end")?);
    if end < start {
        return Err(ApiError::parameter("end", "end timestamp must not be before start time"));
    }
    let step = params::parse_length(params.get("step")).map_err(|e| ApiError::parameter("step", e))?;
    // below a millisecond there is no step; the original divides by it and panics
    if step < 1_000_000 {
        let text = "zero or negative query resolution step widths are not accepted. Try a positive integer";
        return Err(ApiError::parameter("step", text));
    }
    let length_ns = (i128::from(end.millis()) - i128::from(start.millis())) * 1_000_000;
    if length_ns / i128::from(step) > STEPS_MAX {
        let text = "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)";
        return Err(ApiError::bad_data(text));
    }
    let options = Options::read(&params, limit)?;
    evaluate(api, Question::Range { start, end, step: Millis(step / 1_000_000) }, options).await
}

impl Options {
    fn read(params: &Params, limit: usize) -> Result<Self, ApiError> {
        let timeout = params::timeout(params)?;
        let lookback = params::lookback(params)?;
        let stats = params.get("stats");
        let stats_warning = (!matches!(stats, "" | "true" | "all")).then(|| {
            let shown = model::go_text::quote(stats);
            format!(
                "value {shown} for parameter \"stats\" is deprecated and will be rejected in the next major release, use \"true\" or \"all\""
            )
        });
        if timeout == Some(Duration::ZERO) {
            return Err(ApiError::parameter("query", "context deadline exceeded"));
        }
        let query = params.get("query").to_owned();
        Ok(Options { query, limit, timeout, lookback, stats: !stats.is_empty(), stats_warning })
    }
}

async fn evaluate(api: Api, question: Question, options: Options) -> Answered {
    let deadline = api.deadline(options.timeout);
    let waiting = api.clock().instant();
    let place = api.admission().enter(deadline).await?;
    let queue = api.clock().elapsed(waiting);
    let context = api.context();
    let job = {
        let (api, context) = (api.clone(), context.clone());
        move || {
            // the place is free again when the work ends, not when the client leaves
            let _place = place;
            answer(&api, &question, &options, &context, queue)
        }
    };
    api.run(deadline, &context, job).await?
}

fn answer(api: &Api, question: &Question, options: &Options, context: &QueryContext, queue: Duration) -> Answered {
    let now_s = api.clock().now().millis().div_euclid(1000);
    let _active = api.active_log().and_then(|log| log.enter(&options.query, now_s));
    let engine = match options.lookback {
        Some(lookback) => api.engine().with_lookback(lookback),
        None => *api.engine(),
    };
    let begun = api.clock().instant();
    let asked = ask(&engine, api.store().as_ref(), question, &options.query, context);
    let timings = Timings { queue, evaluate: api.clock().elapsed(begun) };
    let instruments = api.instruments();
    for ((summary, histogram), took) in
        [(&instruments.queue_time, timings.queue), (&instruments.inner_eval, timings.evaluate)]
    {
        summary.observe_duration(took);
        histogram.observe_duration(took);
    }
    let mut answer = asked.map_err(refusal)?;
    instruments.samples.inc_by(answer.stats.total_queryable_samples);
    instruments.samples_read.inc_by(answer.stats.samples_read);
    if options.limit > 0 && truncate(&mut answer.value, options.limit) {
        answer.warnings.push(TRUNCATED.to_owned());
    }
    cut(&mut answer.warnings, "warning");
    cut(&mut answer.infos, "info");
    answer.warnings.extend(options.stats_warning.clone());
    Ok(written(&answer, options.stats.then_some(timings)))
}

/// Most warnings, and most infos, of one answer.
const ANNOTATIONS_SHOWN: usize = 10;

/// Leaves out what is more than is shown, and says how much that was.
fn cut(texts: &mut Vec<String>, kind: &str) {
    let over = texts.len().saturating_sub(ANNOTATIONS_SHOWN);
    if over > 0 {
        texts.truncate(ANNOTATIONS_SHOWN);
        texts.push(format!("{over} more {kind} annotations omitted"));
    }
}

fn ask(
    engine: &Engine,
    store: &dyn Select,
    question: &Question,
    query: &str,
    context: &QueryContext,
) -> Result<Answer, QueryError> {
    match *question {
        Question::Instant(at) => engine.instant(store, context, query, at),
        Question::Range { start, end, step } => engine.range(store, context, query, (start, end), step),
    }
}

fn written(answer: &Answer, stats: Option<Timings>) -> Response<Body> {
    let mut chunks = Chunks::new();
    success(&mut chunks, &answer.warnings, &answer.infos, |chunks| append_query_data(chunks, answer, stats))
}

/// Cuts what is more than `limit` series. True when something was cut.
fn truncate(value: &mut Value, limit: usize) -> bool {
    match value {
        Value::Vector { samples, .. } if samples.len() > limit => samples.truncate(limit),
        Value::Matrix(series) if series.len() > limit => series.truncate(limit),
        _ => return false,
    }
    true
}

fn refusal(error: QueryError) -> ApiError {
    let text = error.to_string();
    match error {
        QueryError::Parse(_) | QueryError::Duration(_) => ApiError::parameter("query", text),
        QueryError::TimedOut => ApiError::new(Kind::Timeout, text),
        QueryError::Canceled => ApiError::new(Kind::Canceled, text),
        QueryError::Storage(SelectError::Unavailable(_)) => ApiError::new(Kind::Unavailable, text),
        QueryError::Storage(SelectError::Corrupt(_)) => ApiError::new(Kind::Internal, text),
        _ => ApiError::new(Kind::Execution, text),
    }
}
