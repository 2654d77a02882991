/** The metrics browser: every name with its type and help; a click puts it into the query. */

import { createMemo, createSignal, For, Show, type JSX } from 'solid-js';
import { match } from '../plain/match.ts';
import { grouped } from '../plain/number.ts';
import { metadata, metricNames, type MetricMetadata } from '../prometheus.ts';
import { createPoll } from '../poll.ts';
import { now } from '../settings.ts';
import { summary } from '../summary.ts';
import { Empty, Waiting } from '../part/mark.tsx';

/** Rows drawn; the filter narrows the rest. */
const SHOWN = 100;
/** How long after its first sample a server is young, and how often it is asked then. */
const YOUNG_MS = 60_000;
const YOUNG_EVERY_MS = 3000;

interface Metric { readonly name: string; readonly about: MetricMetadata | null }

/** Histograms and summaries carry their metadata under the base name. */
function aboutOf(name: string, known: Record<string, MetricMetadata[]>): MetricMetadata | null {
  return known[name]?.[0] ?? known[name.replace(/_(bucket|sum|count)$/, '')]?.[0] ?? known[name.replace(/_total$/, '')]?.[0] ?? null;
}

/** What a metric usually wants to be asked as. */
export function firstQuery(name: string, type: string): string {
  if (/_bucket$/.test(name)) return `histogram_quantile(0.95, sum by (le) (rate(${name}[5m])))`;
  if (type === 'counter' || /_total$|_sum$|_count$/.test(name)) return `rate(${name}[5m])`;
  return name;
}

export function MetricList(props: { choose: (name: string, type: string) => void; inUse: string }): JSX.Element {
  const [text, setText] = createSignal('');
  // A young server learns names with every target's first visit.
  const young = createMemo(() => now() - (summary()?.dataFromMs ?? now()) < YOUNG_MS);
  const metrics = createPoll(
    () => 'metrics',
    async (_, signal): Promise<Metric[]> => {
      const [names, known] = await Promise.all([metricNames(signal), metadata(signal).catch(() => ({}))]);
      const before = new Map(all().map((metric) => [metric.name, metric]));
      return names.map((name) => {
        const about = aboutOf(name, known);
        const old = before.get(name);
        // An unchanged row keeps its element, and with it the focus.
        return old !== undefined && old.about?.help === about?.help && old.about?.type === about?.type ? old : { name, about };
      });
    },
    () => (young() ? YOUNG_EVERY_MS : null),
  );
  const all = () => metrics.data() ?? [];
  const found = createMemo(() => match(all(), text(), (metric) => metric.name));
  return (
    <aside class="panel metrics" aria-label="Metrics">
      <div class="metrics-search">
        <input class="search" type="search" aria-label="Find a metric" placeholder={metrics.data() === undefined ? 'metrics' : `${grouped(all().length)} metrics`} value={text()} onInput={(event) => setText(event.currentTarget.value)} />
      </div>
      <Show when={metrics.error() === undefined || metrics.data() !== undefined} fallback={<Empty title="The metrics could not be listed" />}>
        <Show when={metrics.data()} fallback={<Waiting rows={8} />}>
          <ul class="metrics-list">
            <For each={found().slice(0, SHOWN)}>
              {(metric) => (
                <li>
                  <button type="button" class="metric" data-row classList={{ on: props.inUse.includes(metric.name) }} title={metric.about?.help ?? ''} onClick={() => props.choose(metric.name, metric.about?.type ?? '')}>
                    <span class="metric-name mono"><For each={metric.name.split(/(?<=_)/)}>{(part) => <>{part}<wbr /></>}</For></span>
                    <Show when={metric.about}>{(about) => <span class="metric-about"><span class="metric-type">{about().type}</span>{about().help === '' ? '' : ` · ${about().help}`}</span>}</Show>
                  </button>
                </li>
              )}
            </For>
          </ul>
          <Show when={found().length > SHOWN}><p class="more muted">{grouped(found().length - SHOWN)} more: type to narrow</p></Show>
          <Show when={found().length === 0}><Empty title={all().length === 0 ? 'No metric is stored yet' : 'No metric is called that'} /></Show>
        </Show>
      </Show>
    </aside>
  );
}
