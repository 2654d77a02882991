//! The waist's contract, as a test that every store runs: `testkit::contract::check(|| (append, select))`.
//!
//! Each case starts from an empty store made by the caller. Samples lie around [`BASE`], a two-hour border, so that stores that
//! cut by time see them in one range. Source: `docs/decisions/0001`.

use model::{Exemplar, FloatHistogram, Labels, Matcher, Metadata, STALE_NAN, TimeRange, Timestamp, is_stale};
use runtime::cancel::{Cancel, Reason};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use storage::{
    Ability, Append, AppendError, Appender, Budget, CUT, Committed, Durability, ExemplarQuery, LabelQuery, LaneKey,
    Piece, QueryContext, Row, Select, SelectError, Selection, SeriesBatch, SeriesRef, Tenant, collect,
};

/// Milliseconds of the first sample: 2023-11-14T22:00:00Z.
pub const BASE: i64 = 1_699_999_200_000;

/// A store under test: both of its sides, and whatever must live as long (a temporary directory).
pub struct Subject {
    /// Takes samples.
    pub append: Arc<dyn Append>,
    /// Answers them.
    pub select: Arc<dyn Select>,
    /// Kept until the case ends.
    pub keep: Box<dyn std::any::Any + Send + Sync>,
}

/// A case: its name, and what it does with a fresh store.
type Case = (&'static str, fn(&Subject));

/// Runs every case, each on a fresh store.
///
/// # Panics
/// When the store breaks the contract.
pub fn check(make: impl Fn() -> Subject) {
    let cases: &[Case] = &[
        ("commit makes visible, before it nothing is", commit_makes_visible),
        ("a dropped appender leaves no series", drop_leaves_nothing),
        ("provisional refs resolve", provisional_refs_resolve),
        ("refusals are counted and the rest lands", refusals_let_the_rest_land),
        ("samples of one transaction are ordered too", transactions_are_ordered_inside),
        ("two transactions that make one series make it once", births_meet),
        ("unknown refs are refused", unknown_refs_are_refused),
        ("every bit of a value survives", values_keep_their_bits),
        ("ranges are half-open", ranges_are_half_open),
        ("series come in label order, matched", series_are_ordered_and_matched),
        ("labels are listed", labels_are_listed),
        ("a selection is a snapshot", selections_are_snapshots),
        ("a row is seen whole or not at all", rows_are_seen_whole),
        ("batches are bounded, a cut is said", batches_are_bounded),
        ("cancellation ends a selection", cancellation_is_obeyed),
        ("a budget is given back", budgets_are_given_back),
        ("what is not done is said", inabilities_are_said),
    ];
    for (name, case) in cases {
        // shown by the test runner when the case fails
        eprintln!("contract: {name}");
        case(&make());
    }
}

fn labels(name: &str, n: usize) -> Labels {
    Labels::from_pairs([("__name__", name), ("n", &format!("{n:04}"))])
}

fn begin(subject: &Subject) -> Box<dyn Appender> {
    subject.append.begin(Tenant::DEFAULT).expect("the default tenant is always taken")
}

fn put(subject: &Subject, set: &Labels, at: i64, value: f64) -> Committed {
    let mut appender = begin(subject);
    let series = appender.declare(set).expect("legal labels");
    appender.sample(series, Timestamp(BASE + at), value, Timestamp(0)).expect("known ref");
    appender.commit(Durability::Soon).expect("healthy store")
}

/// Everything in `range` that satisfies `matchers`, decoded and clipped, as `labels → [(offset from BASE, bits)]`.
fn read(subject: &Subject, matchers: Vec<Matcher>, range: TimeRange) -> Vec<(Labels, Vec<(i64, u64)>)> {
    let context = QueryContext::default();
    let mut stream = subject.select.select(&Selection::new(matchers, range), &context).expect("healthy store");
    let (series, warnings) = collect(stream.as_mut()).expect("healthy store");
    assert!(warnings.is_empty(), "unexpected warnings {warnings:?}");
    series
        .into_iter()
        .map(|s| (s.labels, decode(&s.pieces, range)))
        .filter(|(_, samples)| !samples.is_empty())
        .collect()
}

fn decode(pieces: &[Piece], range: TimeRange) -> Vec<(i64, u64)> {
    let mut samples = Vec::new();
    for piece in pieces {
        let (mut times, mut values) = (Vec::new(), Vec::new());
        match piece {
            Piece::Chunk(piece) => {
                chunk::decode_into(piece.encoding, &piece.bytes, &mut times, &mut values).expect("a sound chunk");
            }
            Piece::Columns(piece) => {
                times.extend_from_slice(&piece.times);
                values.extend_from_slice(&piece.values);
            }
            Piece::Histograms(_) => panic!("no histogram was appended"),
        }
        assert_eq!(times.first().copied(), Some(piece.first().0), "a piece's first time is its first sample's");
        assert_eq!(times.last().copied(), Some(piece.last().0), "a piece's last time is its last sample's");
        samples.extend(times.into_iter().zip(values));
    }
    assert!(samples.windows(2).all(|pair| pair[0].0 < pair[1].0), "samples ascend strictly over all pieces");
    samples
        .into_iter()
        .filter(|(at, _)| range.contains(Timestamp(*at)))
        .map(|(at, value)| (at - BASE, value.to_bits()))
        .collect()
}

fn all() -> TimeRange {
    TimeRange::new(Timestamp(BASE - 1_000_000), Timestamp(BASE + 1_000_000))
}

fn commit_makes_visible(subject: &Subject) {
    let set = labels("up", 1);
    let mut appender = begin(subject);
    let series = appender.declare(&set).expect("legal labels");
    appender.sample(series, Timestamp(BASE), 1.0, Timestamp(0)).expect("staged");
    assert_eq!(read(subject, vec![], all()), [], "nothing is visible before the commit");
    let committed = appender.commit(Durability::Synced).expect("healthy store");
    assert_eq!((committed.accepted, committed.refusals.total()), (1, 0));
    let durable = committed.ticket.wait_blocking().is_ok();
    assert_eq!(durable, subject.append.abilities().has(Ability::Synced), "a ticket says whether the commit is durable");
    assert_eq!(read(subject, vec![], all()), [(set, vec![(0, 1f64.to_bits())])]);
}

fn drop_leaves_nothing(subject: &Subject) {
    let mut appender = begin(subject);
    let series = appender.declare(&labels("gone", 1)).expect("legal labels");
    appender.sample(series, Timestamp(BASE), 1.0, Timestamp(0)).expect("staged");
    drop(appender);
    put(subject, &labels("kept", 1), 0, 1.0);
    let (values, _) =
        subject.select.label_values("__name__", &LabelQuery::new(all()), &QueryContext::default()).expect("healthy");
    assert_eq!(values.into_iter().collect::<Vec<_>>(), ["kept"]);
    // declared and committed without a sample: no series either
    let mut appender = begin(subject);
    let series = appender.declare(&labels("empty", 1)).expect("legal labels");
    let committed = appender.commit(Durability::Soon).expect("healthy store");
    assert_eq!(committed.resolve(series), None);
    let (values, _) =
        subject.select.label_values("__name__", &LabelQuery::new(all()), &QueryContext::default()).expect("healthy");
    assert_eq!(values.into_iter().collect::<Vec<_>>(), ["kept"]);
}

fn provisional_refs_resolve(subject: &Subject) {
    let mut appender = begin(subject);
    let (a, b) = (appender.declare(&labels("a", 1)).expect("legal"), appender.declare(&labels("b", 1)).expect("legal"));
    assert_eq!(appender.declare(&labels("a", 1)).expect("legal"), a, "the same set gives the same ref");
    assert!(a.is_provisional() && b.is_provisional() && a != b);
    let row = Row { lane: LaneKey(1), at: Timestamp(BASE), series: &[a, b], values: &[1.0, 2.0], starts: &[] };
    appender.row(row).expect("staged");
    let committed = appender.commit(Durability::Soon).expect("healthy store");
    let (a, b) = (committed.resolve(a).expect("born"), committed.resolve(b).expect("born"));
    assert!(!a.is_provisional() && !b.is_provisional());
    let mut appender = begin(subject);
    assert_eq!(appender.declare(&labels("a", 1)).expect("legal"), a, "a known set gives the store's ref");
    let row = Row { lane: LaneKey(1), at: Timestamp(BASE + 10), series: &[b, a], values: &[4.0, 3.0], starts: &[] };
    appender.row(row).expect("staged");
    appender.commit(Durability::Soon).expect("healthy store");
    let expected = [
        (labels("a", 1), vec![(0, 1f64.to_bits()), (10, 3f64.to_bits())]),
        (labels("b", 1), vec![(0, 2f64.to_bits()), (10, 4f64.to_bits())]),
    ];
    assert_eq!(read(subject, vec![], all()), expected);
}

fn refusals_let_the_rest_land(subject: &Subject) {
    let (a, b) = (labels("a", 1), labels("b", 1));
    put(subject, &a, 100, 1.0);
    let mut appender = begin(subject);
    let (a, b) = (appender.declare(&a).expect("legal"), appender.declare(&b).expect("legal"));
    let at = |t: i64| Timestamp(BASE + t);
    appender.sample(a, at(50), 5.0, Timestamp(0)).expect("staged");
    appender.sample(a, at(100), 9.0, Timestamp(0)).expect("staged");
    appender.sample(a, at(100), 1.0, Timestamp(0)).expect("staged");
    appender.sample(b, at(50), 7.0, Timestamp(0)).expect("staged");
    let committed = appender.commit(Durability::Soon).expect("refusals do not fail a commit");
    let refusals = &committed.refusals;
    if subject.append.abilities().has(Ability::AppendOutOfOrder) {
        assert_eq!(refusals.out_of_order, 0);
    } else {
        assert_eq!((refusals.out_of_order, refusals.duplicate, refusals.total()), (1, 1, 2));
        assert_eq!(refusals.first.iter().map(|(position, _)| *position).collect::<Vec<_>>(), [0, 1]);
        let seen = read(subject, vec![], all());
        assert_eq!(seen[0].1, [(100, 1f64.to_bits())]);
        assert_eq!(seen[1].1, [(50, 7f64.to_bits())]);
    }
}

fn transactions_are_ordered_inside(subject: &Subject) {
    let set = labels("a", 1);
    let mut appender = begin(subject);
    let series = appender.declare(&set).expect("legal");
    let at = |t: i64| Timestamp(BASE + t);
    let row = Row { lane: LaneKey(1), at: at(10), series: &[series], values: &[1.0], starts: &[] };
    appender.row(row).expect("staged");
    appender.sample(series, at(20), 2.0, Timestamp(0)).expect("staged");
    appender.sample(series, at(20), 2.0, Timestamp(0)).expect("staged");
    appender.sample(series, at(15), 3.0, Timestamp(0)).expect("staged");
    let committed = appender.commit(Durability::Soon).expect("healthy store");
    let (mut expected, mut listed) = (vec![(10, 1f64.to_bits()), (20, 2f64.to_bits())], vec![3]);
    if subject.append.abilities().has(Ability::AppendOutOfOrder) {
        expected.insert(1, (15, 3f64.to_bits()));
        listed.clear();
    }
    assert_eq!(committed.refusals.first.iter().map(|(position, _)| *position).collect::<Vec<_>>(), listed);
    assert_eq!(committed.accepted + committed.refusals.total(), 4, "the same bits again are accepted without effect");
    assert_eq!(read(subject, vec![], all()), [(set, expected)]);
}

fn births_meet(subject: &Subject) {
    let set = labels("a", 1);
    let (mut one, mut two) = (begin(subject), begin(subject));
    let (in_one, in_two) = (one.declare(&set).expect("legal"), two.declare(&set).expect("legal"));
    one.sample(in_one, Timestamp(BASE), 1.0, Timestamp(0)).expect("staged");
    two.sample(in_two, Timestamp(BASE + 10), 2.0, Timestamp(0)).expect("staged");
    let first = one.commit(Durability::Soon).expect("healthy store").resolve(in_one).expect("born");
    let second = two.commit(Durability::Soon).expect("healthy store").resolve(in_two).expect("known by then");
    assert_eq!(first, second);
    assert_eq!(read(subject, vec![], all()), [(set, vec![(0, 1f64.to_bits()), (10, 2f64.to_bits())])]);
}

fn unknown_refs_are_refused(subject: &Subject) {
    put(subject, &labels("a", 1), 0, 1.0);
    let mut appender = begin(subject);
    let nobody = SeriesRef(u64::MAX >> 2);
    let refused = appender.sample(nobody, Timestamp(BASE), 1.0, Timestamp(0));
    assert_eq!(refused, Err(AppendError::UnknownSeries(nobody)));
    let stranger = SeriesRef::provisional(7);
    let refused = appender.sample(stranger, Timestamp(BASE), 1.0, Timestamp(0));
    assert_eq!(refused, Err(AppendError::UnknownSeries(stranger)), "a provisional ref of another appender");
    let good = appender.declare(&labels("b", 1)).expect("legal");
    let row = Row { lane: LaneKey(1), at: Timestamp(BASE), series: &[good, nobody], values: &[1.0, 2.0], starts: &[] };
    assert_eq!(appender.row(row), Err(AppendError::UnknownSeries(nobody)));
    let committed = appender.commit(Durability::Soon).expect("healthy store");
    assert_eq!(committed.accepted, 0, "a refused row stages nothing");
}

fn values_keep_their_bits(subject: &Subject) {
    let set = labels("bits", 1);
    let values =
        [0.0, -0.0, 1e-310, f64::INFINITY, f64::NAN, STALE_NAN, f64::from_bits(0x7ff8_0000_0000_0001), 1.0 / 3.0];
    for (n, value) in values.iter().enumerate() {
        put(subject, &set, n as i64, *value);
    }
    let expected: Vec<_> = values.iter().enumerate().map(|(n, v)| (n as i64, v.to_bits())).collect();
    let seen = read(subject, vec![], all());
    assert_eq!(seen, [(set, expected)]);
    assert!(is_stale(f64::from_bits(seen[0].1[5].1)));
}

fn ranges_are_half_open(subject: &Subject) {
    let set = labels("a", 1);
    for t in 0..5 {
        put(subject, &set, t * 10, t as f64);
    }
    let times = |from: i64, to: i64| -> Vec<i64> {
        let range = TimeRange::new(Timestamp(BASE + from), Timestamp(BASE + to));
        read(subject, vec![], range).into_iter().flat_map(|(_, samples)| samples).map(|(at, _)| at).collect()
    };
    assert_eq!(times(10, 30), [10, 20]);
    assert_eq!(times(10, 31), [10, 20, 30]);
    assert_eq!(times(11, 11), Vec::<i64>::new());
    assert_eq!(times(-500, 1), [0]);
}

fn series_are_ordered_and_matched(subject: &Subject) {
    for n in (0..150).rev() {
        put(subject, &labels("many", n), 0, n as f64);
    }
    put(subject, &Labels::from_pairs([("__name__", "bare")]), 0, 1.0);
    let seen = read(subject, vec![], all());
    assert_eq!(seen.len(), 151, "more series than one batch holds");
    assert!(seen.windows(2).all(|pair| pair[0].0 < pair[1].0), "label order, each once");
    let count = |matchers: Vec<Matcher>| read(subject, matchers, all()).len();
    let matcher = |name, op, value| Matcher::new(name, op, value).expect("a legal expression");
    use model::MatchOp::{Equal, NotEqual, NotRegex, Regex};
    assert_eq!(count(vec![matcher("n", Regex, "001.|0020")]), 11);
    assert_eq!(count(vec![matcher("__name__", Equal, "many"), matcher("n", NotRegex, "00.*")]), 50);
    assert_eq!(count(vec![matcher("n", Equal, "")]), 1, "a missing label is the empty string");
    assert_eq!(count(vec![matcher("n", NotEqual, "")]), 150);
    assert_eq!(count(vec![matcher("nowhere", Equal, "")]), 151);
    assert_eq!(count(vec![matcher("n", Regex, ".*"), matcher("__name__", NotEqual, "many")]), 1);
    assert_eq!(count(vec![matcher("n", Equal, "nothing")]), 0);
}

fn labels_are_listed(subject: &Subject) {
    for n in 0..5 {
        put(subject, &labels("a", n), 0, 1.0);
    }
    put(subject, &Labels::from_pairs([("__name__", "b"), ("other", "x")]), 0, 1.0);
    let context = QueryContext::default();
    let (names, _) = subject.select.label_names(&LabelQuery::new(all()), &context).expect("healthy");
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["__name__", "n", "other"]);
    let query = LabelQuery { matchers: vec![Matcher::equal("__name__", "b")], ..LabelQuery::new(all()) };
    let (names, _) = subject.select.label_names(&query, &context).expect("healthy");
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["__name__", "other"]);
    let query = LabelQuery { limit: 2, ..LabelQuery::new(all()) };
    let (values, _) = subject.select.label_values("n", &query, &context).expect("healthy");
    assert_eq!(values.into_iter().collect::<Vec<_>>(), ["0000", "0001"]);
    let query = LabelQuery { matchers: vec![Matcher::equal("n", "0003")], ..LabelQuery::new(all()) };
    let (values, _) = subject.select.label_values("n", &query, &context).expect("healthy");
    assert_eq!(values.into_iter().collect::<Vec<_>>(), ["0003"]);
}

fn selections_are_snapshots(subject: &Subject) {
    let set = labels("a", 1);
    put(subject, &set, 0, 1.0);
    let context = QueryContext::default();
    let mut stream = subject.select.select(&Selection::new(vec![], all()), &context).expect("healthy store");
    put(subject, &set, 10, 2.0);
    put(subject, &labels("b", 1), 10, 2.0);
    let (series, _) = collect(stream.as_mut()).expect("healthy store");
    let seen: Vec<_> = series.iter().map(|s| (s.labels.clone(), decode(&s.pieces, all()))).collect();
    assert_eq!(seen, [(set, vec![(0, 1f64.to_bits())])]);
}

fn rows_are_seen_whole(subject: &Subject) {
    const WIDTH: usize = 200;
    let mut appender = begin(subject);
    let refs: Vec<_> = (0..WIDTH).map(|n| appender.declare(&labels("row", n)).expect("legal")).collect();
    let row = Row { lane: LaneKey(9), at: Timestamp(BASE), series: &refs, values: &[0.0; WIDTH], starts: &[] };
    appender.row(row).expect("staged");
    let committed = appender.commit(Durability::Soon).expect("healthy store");
    let refs: Vec<_> = refs.iter().map(|r| committed.resolve(*r).expect("born")).collect();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for t in 1..400i64 {
                let mut appender = begin(subject);
                let values = [t as f64; WIDTH];
                let row =
                    Row { lane: LaneKey(9), at: Timestamp(BASE + t), series: &refs, values: &values, starts: &[] };
                appender.row(row).expect("staged");
                appender.commit(Durability::Os).expect("healthy store");
            }
            stop.store(true, Ordering::Release);
        });
        while !stop.load(Ordering::Acquire) {
            let seen = read(subject, vec![], all());
            assert_eq!(seen.len(), WIDTH);
            let newest: Vec<_> = seen.iter().map(|(_, samples)| *samples.last().expect("not empty")).collect();
            assert!(newest.iter().all(|n| *n == newest[0]), "a selection saw part of a row");
        }
    });
}

fn cancellation_is_obeyed(subject: &Subject) {
    put(subject, &labels("a", 1), 0, 1.0);
    let cancel = Cancel::new();
    let context = QueryContext { cancel: cancel.clone(), ..QueryContext::default() };
    cancel.cancel(Reason::Deadline);
    let outcome = subject
        .select
        .select(&Selection::new(vec![], all()), &context)
        .and_then(|mut stream| collect(stream.as_mut()).map(|_| ()));
    assert_eq!(outcome, Err(SelectError::Cancelled(Reason::Deadline)));
    // between two batches as well
    for n in 0..=SeriesBatch::SERIES_MAX {
        put(subject, &labels("many", n), 0, 1.0);
    }
    let context = QueryContext::default();
    let mut stream = subject.select.select(&Selection::new(vec![], all()), &context).expect("healthy store");
    assert!(stream.next().expect("healthy store").is_some());
    context.cancel.cancel(Reason::Deadline);
    assert_eq!(stream.next().map(|_| ()), Err(SelectError::Cancelled(Reason::Deadline)));
}

fn batches_are_bounded(subject: &Subject) {
    let made = 2 * SeriesBatch::SERIES_MAX + 10;
    for n in 0..made {
        put(subject, &labels("many", n), 0, 1.0);
    }
    for series_max in [0, 100, made] {
        let mut selection = Selection::new(vec![], all());
        selection.hints.series_max = series_max;
        let mut stream = subject.select.select(&selection, &QueryContext::default()).expect("healthy store");
        let mut seen = 0;
        while let Some(batch) = stream.next().expect("healthy store") {
            assert!((1..=SeriesBatch::SERIES_MAX).contains(&batch.series.len()), "a batch of {}", batch.series.len());
            seen += batch.series.len();
        }
        // a hint may be ignored; who follows it says so
        let cut = stream.take_warnings().iter().any(|text| text == CUT);
        assert!((seen, cut) == (made, false) || (seen, cut) == (series_max, true), "{series_max}: {seen}, {cut}");
    }
}

fn budgets_are_given_back(subject: &Subject) {
    for n in 0..=SeriesBatch::SERIES_MAX {
        put(subject, &labels("many", n), 0, 1.0);
    }
    let context = QueryContext { budget: Arc::new(Budget::bytes(1 << 30)), ..QueryContext::default() };
    let selection = Selection::new(vec![], all());
    let mut stream = subject.select.select(&selection, &context).expect("far below the budget");
    stream.next().expect("far below the budget");
    drop(stream);
    assert_eq!(context.budget.held(), 0, "left in the middle");
    let mut stream = subject.select.select(&selection, &context).expect("far below the budget");
    collect(stream.as_mut()).expect("far below the budget");
    drop(stream);
    assert_eq!(context.budget.held(), 0, "read to the end");
}

fn inabilities_are_said(subject: &Subject) {
    let abilities = subject.append.abilities();
    assert_eq!(subject.select.abilities(), abilities, "one store says one thing");
    if !abilities.has(Ability::Tenants) {
        other_tenants_are_refused(subject);
    }
    let mut appender = begin(subject);
    let series = appender.declare(&labels("h", 1)).expect("legal");
    let at = Timestamp(BASE);
    let check = |ability, taken: Result<(), AppendError>| match abilities.has(ability) {
        true => assert_eq!(taken, Ok(()), "{ability}"),
        false => assert_eq!(taken, Err(AppendError::Unsupported(ability)), "{ability}"),
    };
    check(Ability::AppendHistograms, appender.histogram(series, at, &FloatHistogram::default(), Timestamp(0)));
    check(Ability::AppendMetadata, appender.metadata(series, &Metadata::default()));
    let exemplar = Exemplar { labels: labels("trace", 1), value: 1.0, at };
    check(Ability::AppendExemplars, appender.exemplar(series, &exemplar));
    check(Ability::AppendStartTimes, appender.sample(series, at, 1.0, Timestamp(BASE - 1)));
    let row = Row { lane: LaneKey(1), at, series: &[series], values: &[1.0], starts: &[Timestamp(BASE - 1)] };
    check(Ability::AppendStartTimes, appender.row(row));
    let query = ExemplarQuery::new(vec![vec![]], all());
    let answered = subject.select.exemplars(&query, &QueryContext::default()).map(|_| ());
    match abilities.has(Ability::SelectExemplars) {
        true => assert_eq!(answered, Ok(())),
        false => assert_eq!(answered, Err(SelectError::Unsupported(Ability::SelectExemplars))),
    }
}

fn other_tenants_are_refused(subject: &Subject) {
    let (tenant, context) = (Tenant::new(7), QueryContext::default());
    let refused = subject.append.begin(tenant).err();
    assert_eq!(refused, Some(AppendError::Unsupported(Ability::Tenants)));
    let unsupported = Some(SelectError::Unsupported(Ability::Tenants));
    let selection = Selection { tenant, ..Selection::new(vec![], all()) };
    assert_eq!(subject.select.select(&selection, &context).err(), unsupported);
    let query = LabelQuery { tenant, ..LabelQuery::new(all()) };
    assert_eq!(subject.select.label_names(&query, &context).err(), unsupported);
    assert_eq!(subject.select.label_values("n", &query, &context).err(), unsupported);
}
