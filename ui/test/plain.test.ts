/** The pure code of the page, as tables of input and output. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatInstant, tickLabels } from '../src/plain/clock.ts';
import { formatDuration, parseDuration, roughDuration } from '../src/plain/duration.ts';
import { BLANK, readExplore, writeExplore, type ExploreState } from '../src/plain/explore_state.ts';
import { autoStep, frameOf } from '../src/plain/frame.ts';
import { distance, match, nearest } from '../src/plain/match.ts';
import { selectorsOf, selectorText, shortestWindow } from '../src/plain/no_data.ts';
import { format, grouped, parseValue, significant, steady, type Unit } from '../src/plain/number.ts';
import { readQueryError } from '../src/plain/query_error.ts';
import { commonLabels, seriesKey, seriesText } from '../src/plain/series.ts';
import { inks } from '../src/plain/series_color.ts';
import { fromRegistry, fromTargets, judge, ordered, type HealthEntry, type Service } from '../src/plain/service.ts';
import { paths, spanOf } from '../src/plain/spark.ts';
import { EMPTY, extend, nextAsk } from '../src/plain/tail.ts';
import { filterTargets, poolsOf, safeHref, shortError, type Target } from '../src/plain/target.ts';
import { behind, chooseDisk, joined, partQueries, readFacts, tilesOf } from '../src/plain/tile.ts';
import { describe as describeRange, parseTyped, resolve, resolveEnd, shift, sinceData, zoomOut } from '../src/plain/time_range.ts';
import { guessUnit } from '../src/plain/unit_guess.ts';

const NOW = Date.UTC(2026, 10, 21, 14, 32, 7);
const utc = (text: string): number => Date.parse(`${text}Z`);

describe('duration', () => {
  for (const [text, ms] of [['1h30m', 5_400_000], ['90 min', 5_400_000], ['250ms', 250], ['15', 15_000], ['1d', 86_400_000], ['1.5h', 5_400_000], ['2 hours', 7_200_000], ['', null], ['h', null], ['5x', null], ['5m later', null]] as const) {
    it(`reads ${JSON.stringify(text)}`, () => assert.equal(parseDuration(text), ms));
  }
  for (const [ms, text] of [[5_400_000, '1h30m'], [86_400_000, '1d'], [250, '250ms'], [0, '0s'], [90_061_001, '1d1h1m1s1ms']] as const) {
    it(`writes ${ms}`, () => {
      assert.equal(formatDuration(ms), text);
      if (ms > 0) assert.equal(parseDuration(text), ms);
    });
  }
  it('says lengths roughly', () => assert.deepEqual([273_600_000, 12_000, 340, 3_600_000, 95_000].map(roughDuration), ['3 d 4 h', '12 s', '340 ms', '1 h', '1 min 35 s']));
});

describe('time range', () => {
  for (const [text, ms] of [
    ['now', NOW], ['now-1h', NOW - 3_600_000], ['now+5m', NOW + 300_000], ['now/d', utc('2026-11-21T00:00:00')], ['now-1d/d', utc('2026-11-20T00:00:00')], ['now/w', utc('2026-11-16T00:00:00')], ['now/M', utc('2026-11-01T00:00:00')],
    ['1763632800000', 1_763_632_800_000], ['1763632800', 1_763_632_800_000], ['2026-11-20T08:00:00Z', utc('2026-11-20T08:00:00')], ['2026-11-20 08:00', utc('2026-11-20T08:00:00')], ['yesterday 14:00', utc('2026-11-20T14:00:00')],
    ['now-', null], ['nowish', null], ['', null], ['2026-13-01', null], ['25:00', null],
  ] as const) {
    it(`resolves ${JSON.stringify(text)}`, () => assert.equal(resolveEnd(text, NOW, 'utc'), ms));
  }
  for (const [text, from, to] of [
    ['3h', 'now-3h', 'now'], ['last 90 min', 'now-1h30m', 'now'], ['today', 'now/d', 'now'], ['yesterday', 'now-1d/d', 'now/d'],
    ['yesterday 14:00', utc('2026-11-20T14:00:00'), utc('2026-11-20T15:00:00')], ['2026-11-20 08:00 to 09:00', utc('2026-11-20T08:00:00'), utc('2026-11-20T09:00:00')],
    ['2026-11-20', utc('2026-11-20T00:00:00'), utc('2026-11-21T00:00:00')], ['08:00 – 09:30', utc('2026-11-21T08:00:00'), utc('2026-11-21T09:30:00')], ['now-2d to now-1d', 'now-2d', 'now-1d'],
  ] as const) {
    it(`understands ${JSON.stringify(text)}`, () => assert.deepEqual(parseTyped(text, NOW, 'utc'), { from: String(from), to: String(to) }));
  }
  for (const text of ['', 'soon', '5', '09:00 to 08:00', '2026-11-20 to', '<script>']) {
    it(`refuses ${JSON.stringify(text)}`, () => assert.equal(parseTyped(text, NOW, 'utc'), null));
  }
  it('refuses ranges that end before they begin', () => assert.equal(resolve({ from: 'now', to: 'now-1h' }, NOW, 'utc'), null));
  it('describes', () => assert.deepEqual(
    [{ from: 'now-15m', to: 'now' }, { from: 'now/d', to: 'now' }, { from: String(utc('2026-11-20T08:00:00')), to: String(utc('2026-11-20T09:00:00')) }].map((range) => describeRange(range, NOW, 'utc')),
    ['last 15 min', 'today', '2026-11-20 08:00 – 09:00'],
  ));
  it('shifts by half and zooms out by two', () => {
    const span = { fromMs: 1_000_000, toMs: 2_000_000 };
    assert.deepEqual(shift(span, -1), { from: '500000', to: '1500000' });
    assert.deepEqual(zoomOut({ from: '1000000', to: '2000000' }, span), { from: '500000', to: '2500000' });
    assert.deepEqual(zoomOut({ from: 'now-1h', to: 'now' }, { fromMs: NOW - 3_600_000, toMs: NOW }), { from: 'now-2h', to: 'now' });
  });
  it('writes instants with a 24-hour clock', () => assert.equal(formatInstant(NOW, 'utc'), '2026-11-21 14:32:07'));
  it('labels ticks, with the date where the day changes', () => assert.deepEqual(tickLabels([utc('2026-11-20T23:55:00'), utc('2026-11-21T00:00:00'), utc('2026-11-21T00:05:00')], 300_000, 'utc'), ['23:55', '11-21', '00:05']));
});

describe('a young server', () => {
  const hour = { from: 'now-1h', to: 'now' };
  const span = { fromMs: NOW - 3_600_000, toMs: NOW };
  for (const [name, range, from, expected] of [
    ['has no data', hour, null, NOW - 3_600_000],
    ['has data for a second: half a minute is shown', hour, NOW - 1000, NOW - 30_000],
    ['has data for ten minutes', hour, NOW - 600_000, NOW - 600_000],
    ['has data for longer than the range', hour, NOW - 7_200_000, NOW - 3_600_000],
    ['is asked about the past', { from: 'now-1d/d', to: 'now/d' }, NOW - 1000, NOW - 3_600_000],
  ] as const) {
    it(name, () => assert.deepEqual(sinceData(range, span, from), { fromMs: expected, toMs: NOW }));
  }
});

describe('numbers', () => {
  for (const [value, unit, text] of [
    [1234, 'none', '1234'], [1_234_567, 'none', '1.235 M'], [0.000_344_8, 'none', '0.0003448'], [0, 'bytes', '0 B'], [1536, 'bytes', '1.5 KiB'], [6.55e9, 'bytes', '6.1 GiB'], [18.4e6, 'bits/s', '18.4 Mbit/s'],
    [0.231, 'ratio', '23.1 %'], [0.0031, 'seconds', '3.1 ms'], [4000, 'seconds', '66.67 min'], [-5, 'none', '−5'], [Infinity, 'none', '+Inf'], [NaN, 'bytes', 'NaN'], [1e-9, 'none', '1.00e−9'],
  ] as [number, Unit, string][]) {
    it(`shows ${value} ${unit}`, () => assert.equal(format(value, unit), text));
  }
  it('rounds to significant digits', () => assert.deepEqual([1.23456, 123.456, 123_456].map((value) => significant(value, 3)), ['1.23', '123', '123456']));
  it('groups thousands', () => assert.equal(grouped(1_234_567), '1\u202f234\u202f567'));
  it('reads values of the wire', () => assert.deepEqual(['+Inf', '-Inf', '1e3'].map(parseValue), [Infinity, -Infinity, 1000]));
});

describe('numbers that move', () => {
  for (const [value, unit, text] of [
    [0.999, 'ratio', '99.9 %'], [1, 'ratio', '100.0 %'], [0.00672, 'ratio', '0.7 %'], [0, 'ratio', '0.0 %'],
    [5.7, 'none', '5.70 '], [12.345, 'none', '12.35 '], [-0.5, 'none', '−0.50 '],
    [1.9 * 2 ** 30, 'bytes', '1.90 GiB'], [972 * 2 ** 20, 'bytes', '972 MiB'], [11_000, 'bits/s', '11.0 kbit/s'], [6800, 'bits/s', '6.80 kbit/s'], [0, 'bits/s', '0 bit/s'],
  ] as const) {
    it(`${value} ${unit}`, () => assert.equal(`${steady(value, unit).text} ${steady(value, unit).unit}`, text));
  }
});

describe('unit guess', () => {
  for (const [query, unit] of [
    ['node_memory_MemAvailable_bytes', 'bytes'], ['rate(node_network_receive_bytes_total[1m])', 'bytes/s'], ['sum by (mode) (rate(node_cpu_seconds_total[1m]))', 'none'], ['scrape_duration_seconds', 'seconds'],
    ['histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))', 'seconds'], ['count(node_memory_MemAvailable_bytes)', 'none'], ['a_bytes / b_bytes', 'none'], ['a_bytes - b_bytes', 'bytes'],
    ['process_start_time_seconds', 'none'], ['up', 'none'], ['x_ratio', 'ratio'], ['{__name__="a_bytes"}', 'none'],
  ] as const) {
    it(query, () => assert.equal(guessUnit(query), unit));
  }
});

describe('series', () => {
  it('writes PromQL', () => assert.equal(seriesText({ __name__: 'up', job: 'a"b', instance: 'x' }), 'up{instance="x", job="a\\"b"}'));
  it('quotes names outside the classic alphabet', () => assert.equal(seriesText({ __name__: 'my.metric', 'a.b': '1' }), '{"my.metric", "a.b"="1"}'));
  it('is keyed whatever the order', () => assert.equal(seriesKey({ a: '1', b: '2' }), seriesKey({ b: '2', a: '1' })));
  it('finds what all share', () => assert.deepEqual(commonLabels([{ a: '1', b: '2' }, { a: '1', b: '3' }]), { a: '1' }));
  it('keeps a color over reloads and gives ten different ones', () => {
    const list = Array.from({ length: 10 }, (_, n) => ({ n: String(n) }));
    assert.deepEqual(inks(list), inks(list));
    assert.equal(new Set(inks(list).map((ink) => ink.token)).size, 10);
    assert.deepEqual(inks([...list, { n: '10' }])[10]?.dash, [6, 3]);
    assert.equal(inks([{ code: '503' }])[0]?.token, '--crit');
  });
});

describe('frame', () => {
  it('keeps gaps and counts only samples', () => {
    const frame = frameOf([{ metric: { a: '1' }, values: [[0, '1'], [20, '3'], [30, 'NaN']] }, { metric: {}, histograms: [] }], 0, 30, 10);
    assert.deepEqual(frame.times, [0, 10, 20, 30]);
    assert.deepEqual(frame.columns[0]?.values, [1, null, 3, null]);
    assert.deepEqual(frame.columns[0]?.stats, { last: 3, mean: 2, min: 1, max: 3 });
    assert.equal(frame.skipped, 1);
  });
  it('chooses readable steps below the server’s limit', () => {
    assert.deepEqual([3_600_000, 900_000, 86_400_000, 90 * 86_400_000].map((length) => autoStep(length, 360)), [10, 5, 300, 21_600]);
    assert.ok(10 * 365 * 86_400 / autoStep(10 * 365 * 86_400_000, 20_000) < 11_000);
  });
});

describe('live tail', () => {
  it('asks for the whole first and for the end later', () => {
    assert.deepEqual(nextAsk(null, 1000.4, 60, 5), { startS: 945, endS: 1000, stepS: 5 });
    assert.deepEqual(nextAsk(995, 1003, 60, 5), { startS: 990, endS: 1000, stepS: 5 });
    assert.deepEqual(nextAsk(10, 1003, 60, 5), { startS: 945, endS: 1000, stepS: 5 });
  });
  it('joins old and new without doubles and drops what is too old', () => {
    const ask = { startS: 20, endS: 30, stepS: 5 };
    assert.deepEqual(extend({ times: [5, 10, 15, 20, 25], values: [1, 2, 3, 4, 5] }, { times: [20, 25, 30], values: [40, 50, 60] }, ask, 20), { times: [10, 15, 20, 25, 30], values: [2, 3, 40, 50, 60] });
    assert.deepEqual(extend(EMPTY, EMPTY, ask, 20), EMPTY);
  });
});

describe('small charts', () => {
  const box = { width: 100, height: 50, fromS: 0, toS: 10, low: 0, high: 1 };
  it('breaks at gaps', () => assert.equal(paths({ times: [0, 1, 9, 10], values: [0, 1, 1, 0] }, box, 2).stroke.match(/M/g)?.length, 2));
  it('draws nothing of nothing', () => assert.deepEqual(paths(EMPTY, box, 2), { stroke: '', fill: '' }));
  it('spans flat lines', () => assert.deepEqual(spanOf([{ times: [0], values: [0] }], null), { low: 0, high: 1 }));
});

describe('explore state', () => {
  const full: ExploreState = { queries: [{ expr: 'up{a="b&c"}', off: false }, { expr: 'rate(x[5m])', off: true }], tab: 'table', range: { from: 'now-3h', to: 'now' }, step: '30s', refresh: '10s', stacked: true, only: ['abc', 'x1'], sort: '-max' };
  it('survives the address bar', () => assert.deepEqual(readExplore(writeExplore(full)), full));
  it('is empty when blank', () => assert.equal(writeExplore(BLANK), ''));
  it('reads Prometheus’ links', () => {
    const read = readExplore('?g0.expr=up&g0.tab=0&g0.range_input=2h&g0.end_input=2026-11-20%2008:00:00&g0.step_input=30&g1.expr=down&g1.tab=1');
    const end = utc('2026-11-20T08:00:00');
    assert.deepEqual(read, { ...BLANK, queries: [{ expr: 'up', off: false }, { expr: 'down', off: false }], range: { from: String(end - 7_200_000), to: String(end) }, step: '30s' });
    assert.equal(readExplore('?g0.expr=up&g0.tab=1').tab, 'table');
    assert.deepEqual(readExplore('?g0.expr=up').range, { from: 'now-1h', to: 'now' });
  });
  it('ignores nonsense', () => assert.deepEqual(readExplore('?step=x&refresh=-1&off=z&tab=pie'), BLANK));
});

describe('query errors', () => {
  for (const [text, query, at, message] of [
    ['invalid parameter "query": 1:5: parse error: unexpected end of input', 'sum(', 4, 'unexpected end of input'], ['1:8: parse error: unexpected <by>', '"ä" + by', 6, 'unexpected <by>'],
    ['invalid parameter "query": 2:1: parse error: x', 'up +\n)', 5, 'x'], ['query timed out in expression evaluation', 'up', null, 'query timed out in expression evaluation'],
  ] as const) {
    it(text, () => assert.deepEqual(readQueryError(text, query), { message, at }));
  }
});

describe('no data', () => {
  it('finds selectors', () => assert.deepEqual(
    selectorsOf('sum by (job) (rate(http_requests_total{code=~"5..", job="a,b"}[5m])) / on (job) up offset 5m').map((selector) => selectorText(selector)),
    ['http_requests_total{code=~"5..", job="a,b"}', 'up'],
  ));
  it('takes no function or number for a metric', () => assert.deepEqual(selectorsOf('histogram_quantile(0.9, x_bucket) > 1e3 and vector(1)'), [{ metric: 'x_bucket', matchers: [] }]));
  it('finds the shortest window', () => assert.equal(shortestWindow('rate(a[5m]) + max_over_time(b[1m:10s])')?.text, '1m'));
  it('finds near names', () => {
    assert.deepEqual(nearest('node_cpu_second_total', ['up', 'node_cpu_seconds_total', 'go_goroutines'], 3), ['node_cpu_seconds_total']);
    assert.equal(distance('abc', 'abc', 3), 0);
    assert.equal(distance('abc', 'xyz', 2), 3);
  });
  it('matches words and letters', () => assert.deepEqual(match(['node_memory_MemAvailable_bytes', 'up', 'go_memstats'], 'mem avail', (name) => name), ['node_memory_MemAvailable_bytes']));
});

const target = (over: Partial<Target>): Target => ({ discoveredLabels: {}, labels: { job: 'a', instance: 'h:1' }, scrapePool: 'a', scrapeUrl: 'http://h:1/metrics', globalUrl: '', lastError: '', lastScrape: '', lastScrapeDuration: 0, health: 'up', scrapeInterval: '15s', scrapeTimeout: '10s', ...over });

describe('targets', () => {
  const list = [target({}), target({ health: 'down', lastError: 'connection refused', scrapePool: 'b' }), target({ scrapeUrl: 'http://h:0/metrics' })];
  it('filters by words, state and pool', () => {
    const none = new Set<Target['health']>();
    assert.equal(filterTargets(list, { text: 'refused job="a"', states: none, pool: '' }).length, 1);
    assert.equal(filterTargets(list, { text: '', states: new Set(['up'] as const), pool: '' }).length, 2);
    assert.equal(filterTargets(list, { text: '', states: none, pool: 'b' }).length, 1);
  });
  it('groups', () => assert.deepEqual(poolsOf(list).map((pool) => [pool.name, pool.up, pool.down]), [['a', 2, 0], ['b', 0, 1]]));
  it('links only web addresses', () => assert.deepEqual(['javascript:alert(1)', 'http://a'].map(safeHref), [null, 'http://a']));
});

describe('reasons', () => {
  const url = 'http://10.0.0.1:80/metrics';
  for (const [said, short] of [
    [`Get "${url}": dial tcp 10.0.0.1:80: connect: connection refused`, 'connection refused'],
    [`Get "${url}": dial tcp: lookup nowhere: no such host`, 'dial tcp: lookup nowhere: no such host'],
    [`Get "${url}": context deadline exceeded`, 'context deadline exceeded'],
    ['Get "http://elsewhere/": dial tcp 10.0.0.1:80: i/o timeout', 'Get "http://elsewhere/": dial tcp 10.0.0.1:80: i/o timeout'],
    ['dial tcp 10.0.0.1:80: i/o timeout', 'i/o timeout'], ['server returned HTTP status 404 Not Found', 'server returned HTTP status 404 Not Found'], ['', ''],
  ] as const) {
    it(JSON.stringify(said), () => assert.equal(shortError({ lastError: said, scrapeUrl: url }), short));
  }
});

describe('services', () => {
  const service = (over: Partial<Service>): Service => ({ name: 's', instances: 2, passing: 2, warning: 0, critical: 0, how: 'registry', scraped: true, targets_up: 0, targets_down: 0, tags: [], ...over });
  it('judges', () => assert.deepEqual(
    [service({}), service({ critical: 1 }), service({ critical: 2 }), service({ warning: 1 }), service({ targets_up: 1, targets_down: 1 }), service({ passing: 0 })].map((one) => judge(one).word),
    ['ok', 'failing', 'down', 'warning', 'partly down', 'unknown'],
  ));
  it('puts what fails first', () => assert.deepEqual(ordered([service({ name: 'b' }), service({ name: 'z', critical: 1 }), service({ name: 'a' })]).map((one) => one.name), ['z', 'a', 'b']));
  const entry: HealthEntry = { Node: { Node: 'n', Address: '10.0.0.1' }, Service: { ID: 's-1', Service: 's', Tags: null, Address: '', Port: 80 }, Checks: [{ CheckID: 'c', Name: '', Status: 'critical', Output: 'no', ServiceID: 's-1' }] };
  it('joins instances with their targets', () => {
    const byId = target({ discoveredLabels: { __meta_consul_service: 's', __meta_consul_service_id: 's-1', __address__: 'other' } });
    const [joinedOne] = fromRegistry([entry], [byId]);
    assert.equal(joinedOne?.target, byId);
    assert.deepEqual([joinedOne?.address, joinedOne?.state, joinedOne?.checks[0]?.name], ['10.0.0.1:80', 'crit', 'c']);
    assert.equal(fromRegistry([entry], [target({ discoveredLabels: { __address__: '10.0.0.1:80' } })])[0]?.target?.health, 'up');
  });
  it('does without a registry', () => assert.deepEqual(fromTargets('a', [target({}), target({ labels: { job: 'b' } })]).map((one) => one.word), ['up']));
});

describe('tiles', () => {
  const subject = { instance: 'h:9100', mountpoint: '/' };
  const line = (value: number) => ({ times: [1, 2], values: [value, value] });
  it('asks all in one query', () => assert.equal(joined(partQueries(subject), 'tile').match(/label_replace\(/g)?.length, 8));
  it('reads facts and chooses the disk', () => {
    const facts = readFacts([{ metric: { fact: 'memory' }, value: 100 }, { metric: { fact: 'size', mountpoint: '/' }, value: 10 }, { metric: { fact: 'avail', mountpoint: '/' }, value: 5 }, { metric: { fact: 'size', mountpoint: '/var' }, value: 10 }, { metric: { fact: 'avail', mountpoint: '/var' }, value: 1 }]);
    assert.equal(facts.memory, 100);
    assert.equal(chooseDisk(facts.disks)?.mountpoint, '/var');
    assert.equal(chooseDisk(facts.disks.slice(0, 1))?.mountpoint, '/');
    assert.equal(chooseDisk([]), null);
  });
  it('knows when a line has stopped', () => assert.deepEqual([behind(line(1), 20, 1), behind(line(1), 62, 5), behind(null, 9, 1)], [null, 60, null]));
  it('grades and falls back to disk time without pressure', () => {
    const tiles = tilesOf(new Map([['cpu', line(0.95)], ['busy', line(0.1)]]), { memory: null, cores: 2, bootS: null, disks: [] }, subject);
    assert.deepEqual(tiles.map((tile) => tile.id), ['cpu', 'memory', 'load', 'disk', 'network', 'busy']);
    assert.deepEqual([tiles[0]?.grade, tiles[0]?.value?.text, tiles[1]?.value], ['warn', '95.0', null]);
  });
});
