/**
 * "No data" says why, and what to press.
 *
 * Asked in order, the first that explains it is shown: the metric is unknown (nearest names) · a matcher leaves nothing
 * (which one) · there are no samples in the range (since when) · the window is shorter than two visits.
 */

import { createResource, For, Show, type JSX } from 'solid-js';
import { formatInstant } from '../plain/clock.ts';
import { formatDuration, parseDuration, roughDuration } from '../plain/duration.ts';
import { nearest } from '../plain/match.ts';
import { selectorsOf, selectorText, shortestWindow, type Selector } from '../plain/no_data.ts';
import { absolute, LAST_HOUR, type Span, type TimeRange } from '../plain/time_range.ts';
import { metricNames, query, seriesOf, targets, vector } from '../prometheus.ts';
import { serverNow } from '../server.ts';
import { zone } from '../settings.ts';
import { Empty } from '../part/mark.tsx';

interface Reason {
  readonly title: string;
  readonly text: string;
  readonly exprs: readonly { readonly label: string; readonly expr: string }[];
  readonly range: TimeRange | null;
}

/** How far back the last sample is looked for. */
const LOOK_BACK_MS = 30 * 86_400_000;

/** A range that ended this long ago ends now. */
const JUST_NOW_MS = 60_000;

async function seriesCount(selector: string, span: Span): Promise<number> {
  const [one] = await vector(`count(count_over_time(${selector}[${formatDuration(Math.max(1000, Math.round(span.toMs - span.fromMs)))}]))`, undefined, span.toMs / 1000);
  return one?.value ?? 0;
}

/** The newest sample before the range, in steps of an hour. */
async function lastSeen(selector: string, span: Span): Promise<number | null> {
  const window = formatDuration(LOOK_BACK_MS);
  const { data } = await query(`max(max_over_time(timestamp(${selector})[${window}:1h]))`, span.toMs / 1000);
  return data.resultType === 'vector' && data.result[0]?.value ? Number(data.result[0].value[1]) * 1000 : null;
}

async function whyOf(selector: Selector, expr: string, span: Span): Promise<Reason | null> {
  const blank = { exprs: [], range: null };
  if (selector.metric !== '') {
    const names = await metricNames();
    if (names.length === 0) return { ...blank, title: 'Nothing is stored yet', text: 'Samples come with the first visit of a target.' };
    if (!names.includes(selector.metric)) {
      const near = nearest(selector.metric, names, 5);
      return { ...blank, title: `No metric is called ${selector.metric}`, text: near.length > 0 ? 'The nearest names:' : 'Nothing here has a name like it.', exprs: near.map((name) => ({ label: name, expr: expr.replaceAll(selector.metric, name) })) };
    }
  }
  for (let count = selector.metric === '' ? 1 : 0; count <= selector.matchers.length; count += 1) {
    const text = selectorText(selector, count);
    const number = await seriesCount(text, span);
    if (number > 0) continue;
    if (count > (selector.metric === '' ? 1 : 0)) {
      const before = await seriesCount(selectorText(selector, count - 1), span);
      return { ...blank, title: `The matcher ${selector.matchers[count - 1] ?? ''} leaves nothing`, text: `Without it there are ${before} series.`, exprs: [{ label: `show ${selectorText(selector, count - 1)}`, expr: selectorText(selector, count - 1) }] };
    }
    const seen = await lastSeen(text, span).catch(() => null);
    if (seen !== null) {
      const half = (span.toMs - span.fromMs) / 2;
      return { ...blank, title: `${text} has no samples in this range`, text: `The last ones are from about ${formatInstant(Math.round(seen / 1000) * 1000, zone())}, ${roughDuration(span.toMs - seen)} before its end.`, range: absolute({ fromMs: seen - half, toMs: seen + half }) };
    }
    const [later] = await vector(`count(${text})`).catch(() => []);
    if (later && serverNow() - span.toMs < JUST_NOW_MS) return { ...blank, title: `${text} is younger than a step`, text: 'Its first samples came after the last point of the graph.', exprs: [{ label: 'run again', expr }] };
    if (later) return { ...blank, title: `${text} has no samples in this range`, text: 'There are samples now.', range: LAST_HOUR };
    const exists = (await seriesOf(text).catch(() => [])).length > 0;
    return { ...blank, title: `${text} has no samples in this range`, text: exists ? 'Series of that name exist outside it.' : 'Nor in the 30 days before.' };
  }
  return null;
}

async function windowReason(expr: string): Promise<Reason | null> {
  const window = shortestWindow(expr);
  if (window === null) return null;
  const { activeTargets } = await targets('active');
  const slowest = Math.max(0, ...activeTargets.map((target) => parseDuration(target.scrapeInterval) ?? 0));
  if (slowest === 0 || window.ms >= slowest * 2) return null;
  const better = formatDuration(slowest * 4);
  return { title: `The window [${window.text}] is shorter than two visits`, text: `Targets are visited every ${formatDuration(slowest)}; a rate needs two samples.`, exprs: [{ label: `use [${better}]`, expr: expr.replaceAll(`[${window.text}]`, `[${better}]`) }], range: null };
}

async function diagnose(expr: string, span: Span): Promise<Reason> {
  for (const selector of selectorsOf(expr).slice(0, 4)) {
    const reason = await whyOf(selector, expr, span);
    if (reason) return reason;
  }
  return (await windowReason(expr)) ?? {
    title: 'The query answers nothing',
    text: /[<>]=?|[!=]=(?!~)/.test(expr.replace(/\{[^}]*\}/g, '')) ? 'Its parts have data; the comparison leaves none of it.' : 'Its parts have data; together they match nothing.',
    exprs: [], range: null,
  };
}

export function NoData(props: { expr: string; span: Span; run: (expr: string) => void; go: (range: TimeRange) => void }): JSX.Element {
  const [reason] = createResource(() => ({ expr: props.expr, span: props.span }), ({ expr, span }) => diagnose(expr, span).catch((): Reason => ({ title: 'No data', text: 'The reason could not be found out.', exprs: [], range: null })));
  return (
    <Show when={reason.latest} fallback={<Empty title="No data"><p>Looking for the reason …</p></Empty>}>
      {(known) => (
        <Empty title={known().title}>
          <p>{known().text}</p>
          <div class="empty-actions">
            <For each={known().exprs}>{(one) => <button type="button" class="chip mono" onClick={() => props.run(one.expr)}>{one.label}</button>}</For>
            <Show when={known().range}>{(range) => <button type="button" class="chip" onClick={() => props.go(range())}>Go there</button>}</Show>
          </div>
        </Empty>
      )}
    </Show>
  );
}
