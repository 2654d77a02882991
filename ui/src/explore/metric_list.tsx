/** The metrics browser: every name with its type and help; a click puts it into the query. */

import { createMemo, createResource, createSignal, For, Show, type JSX } from 'solid-js';
import { match } from '../plain/match.ts';
import { grouped } from '../plain/number.ts';
import { metadata, metricNames, type MetricMetadata } from '../prometheus.ts';
import { epoch } from '../server.ts';
import { Empty, Waiting } from '../part/mark.tsx';

/** Rows drawn; the filter narrows the rest. */
const SHOWN = 100;

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
  const [metrics] = createResource(epoch, async (): Promise<Metric[]> => {
    const [names, known] = await Promise.all([metricNames(), metadata().catch(() => ({}))]);
    return names.map((name) => ({ name, about: aboutOf(name, known) }));
  });
  const all = () => (metrics.error === undefined ? metrics.latest ?? [] : []);
  const found = createMemo(() => match(all(), text(), (metric) => metric.name));
  return (
    <aside class="panel metrics" aria-label="Metrics">
      <div class="metrics-search">
        <input class="search" type="search" aria-label="Find a metric" placeholder={metrics.loading ? 'metrics' : `${grouped(all().length)} metrics`} value={text()} onInput={(event) => setText(event.currentTarget.value)} />
      </div>
      <Show when={metrics.error === undefined} fallback={<Empty title="The metrics could not be listed" />}>
        <Show when={metrics.latest} fallback={<Waiting rows={8} />}>
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
