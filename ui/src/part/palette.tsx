/** ⌘K: pages, actions, services and metrics in one box. */

import { createEffect, createMemo, createResource, createSignal, For, onCleanup, onMount, Show, type JSX } from 'solid-js';
import { services } from '../catalog.ts';
import { metadata, metricNames } from '../prometheus.ts';
import { navigate } from '../route.ts';
import { setTheme, setZone, theme, zone } from '../settings.ts';
import { exploreHref } from '../plain/explore_state.ts';
import { match } from '../plain/match.ts';
import { serviceHref } from './service_table.tsx';
import { closeDialog, openHelp } from './palette_state.ts';

interface Item { readonly group: string; readonly text: string; readonly hint: string; readonly run: () => void }

const PER_GROUP = 8;

export function Palette(): JSX.Element {
  let dialog!: HTMLDialogElement;
  let list!: HTMLDivElement;
  const [text, setText] = createSignal('');
  const [at, setAt] = createSignal(0);
  const [catalog] = createResource(() => services().then((answer) => answer.services, () => []));
  const [metrics] = createResource(async () => {
    const [names, about] = await Promise.all([metricNames().catch(() => []), metadata().catch(() => ({}) as Awaited<ReturnType<typeof metadata>>)]);
    return names.map((name) => ({ name, help: about[name]?.[0]?.help ?? '' }));
  });
  const go = (href: string) => () => navigate(href);
  const fixed: Item[] = [
    { group: 'Pages', text: 'Overview', hint: 'g o', run: go('/') },
    { group: 'Pages', text: 'Services', hint: 'g s', run: go('/services') },
    { group: 'Pages', text: 'Explore', hint: 'g e', run: go('/explore') },
    { group: 'Pages', text: 'Targets', hint: 'g y', run: go('/system/targets') },
    { group: 'Pages', text: 'Targets that are down', hint: '', run: go('/system/targets?state=down') },
    { group: 'Actions', text: `Switch to the ${theme() === 'dark' ? 'light' : 'dark'} theme`, hint: '', run: () => setTheme(theme() === 'dark' ? 'light' : 'dark') },
    { group: 'Actions', text: 'Follow the system’s theme', hint: '', run: () => setTheme(null) },
    { group: 'Actions', text: zone() === 'utc' ? 'Show local time' : 'Show UTC', hint: '', run: () => setZone(zone() === 'utc' ? 'local' : 'utc') },
    { group: 'Actions', text: 'Keyboard help', hint: '?', run: () => openHelp() },
  ];
  const items = createMemo<Item[]>(() => {
    const wanted = text().trim();
    const found = [
      ...match(fixed, wanted, (item) => item.text),
      ...match((catalog() ?? []).map((service): Item => ({ group: 'Services', text: service.name, hint: service.how, run: go(serviceHref(service.name)) })), wanted, (item) => item.text).slice(0, PER_GROUP),
      ...(wanted === '' ? [] : match((metrics() ?? []).map((metric): Item => ({ group: 'Metrics', text: metric.name, hint: metric.help, run: go(exploreHref(metric.name)) })), wanted, (item) => item.text).slice(0, PER_GROUP * 2)),
    ];
    if (wanted !== '' && /[({[]/.test(wanted)) found.unshift({ group: 'Explore', text: wanted, hint: 'run this query', run: go(exploreHref(wanted)) });
    return found;
  });
  createEffect(() => {
    text();
    setAt(0);
  });
  createEffect(() => list.querySelector(`[data-at="${at()}"]`)?.scrollIntoView({ block: 'nearest' }));
  const choose = (item: Item | undefined): void => {
    if (!item) return;
    closeDialog();
    item.run();
  };
  const before = document.activeElement;
  onMount(() => dialog.showModal());
  onCleanup(() => {
    if (before instanceof HTMLElement && before.isConnected && document.activeElement === document.body) before.focus();
  });
  return (
    <dialog ref={dialog} class="palette" aria-label="Search everything" onClose={closeDialog} onClick={(event) => event.target === dialog && closeDialog()}>
      <input
        class="palette-input"
        role="combobox"
        aria-expanded="true"
        aria-controls="palette-list"
        aria-activedescendant={items().length > 0 ? `palette-${at()}` : undefined}
        aria-label="Search pages, services and metrics"
        placeholder="Pages, services, metrics, or a query"
        autocomplete="off"
        spellcheck={false}
        autofocus
        value={text()}
        onInput={(event) => setText(event.currentTarget.value)}
        onKeyDown={(event) => {
          const last = items().length - 1;
          if (event.key === 'ArrowDown') setAt(Math.min(last, at() + 1));
          else if (event.key === 'ArrowUp') setAt(Math.max(0, at() - 1));
          else if (event.key === 'Enter') choose(items()[at()]);
          else return;
          event.preventDefault();
        }}
      />
      <div ref={list} id="palette-list" class="palette-list" role="listbox" aria-label="Found">
        <For each={items()}>
          {(item, index) => (
            <>
              <Show when={item.group !== items()[index() - 1]?.group}><div class="palette-group" role="presentation">{item.group}</div></Show>
              <div id={`palette-${index()}`} data-at={index()} class="palette-item" role="option" aria-selected={index() === at()} onPointerMove={() => setAt(index())} onClick={() => choose(item)}>
                <span classList={{ mono: item.group === 'Metrics' || item.group === 'Explore' }}>{item.text}</span><span class="muted">{item.hint}</span>
              </div>
            </>
          )}
        </For>
      </div>
      <Show when={items().length === 0}><p class="palette-none muted" role="status">Nothing is called that</p></Show>
    </dialog>
  );
}
