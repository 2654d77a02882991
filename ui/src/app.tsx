/** The shell: navigation, the banner when the server is away, the page, the dialogs. */

import { createEffect, createSignal, ErrorBoundary, For, lazy, Match, on, Show, Suspense, Switch, type JSX } from 'solid-js';
import { to } from './base.ts';
import { formatClock, zoneName } from './plain/clock.ts';
import { roughDuration } from './plain/duration.ts';
import { bindKeys } from './keys.ts';
import { isMissingCode } from './missing_code.ts';
import { navigate, path, search } from './route.ts';
import { epoch, probe, reach } from './server.ts';
import { folded, now, setFolded, zone } from './settings.ts';
import { Bar } from './part/bar.tsx';
import { Brand, Icon, type IconName } from './part/icon.tsx';
import { Empty, Shape, Waiting } from './part/mark.tsx';
import { closeDialog, openDialog, openHelp, openPalette } from './part/palette_state.ts';
import { OverviewPage } from './page/overview.tsx';
import { summary, updated } from './summary.ts';

const loadExplore = () => import('./page/explore.tsx');
const ExplorePage = lazy(() => loadExplore().then((module) => ({ default: module.ExplorePage })));
const ServicesPage = lazy(() => import('./page/services.tsx').then((module) => ({ default: module.ServicesPage })));
const ServicePage = lazy(() => import('./page/services.tsx').then((module) => ({ default: module.ServicePage })));
const TargetsPage = lazy(() => import('./page/targets.tsx').then((module) => ({ default: module.TargetsPage })));
const Palette = lazy(() => import('./part/palette.tsx').then((module) => ({ default: module.Palette })));
const KeyHelp = lazy(() => import('./part/key_help.tsx').then((module) => ({ default: module.KeyHelp })));

interface Entry { readonly href: string; readonly text: string; readonly icon: IconName; readonly keys: string; readonly holds: (path: string) => boolean }

const ENTRIES: readonly Entry[] = [
  { href: '/', text: 'Overview', icon: 'overview', keys: 'g o', holds: (at) => at === '/' },
  { href: '/services', text: 'Services', icon: 'services', keys: 'g s', holds: (at) => at.startsWith('/services') },
  { href: '/explore', text: 'Explore', icon: 'explore', keys: 'g e', holds: (at) => at === '/explore' },
  { href: '/system/targets', text: 'Targets', icon: 'system', keys: 'g y', holds: (at) => at.startsWith('/system') },
];

/** What Explore showed last, so that its entry leads back to it. */
const [explored, setExplored] = createSignal('');

function NavLink(props: { entry: Entry }): JSX.Element {
  const href = () => (props.entry.href === '/explore' ? `/explore${explored()}` : props.entry.href);
  return (
    <a href={to(href())} data-page aria-current={props.entry.holds(path()) ? 'page' : undefined}>
      <Icon name={props.entry.icon} />
      <span>{props.entry.text}</span>
    </a>
  );
}

function Side(): JSX.Element {
  return (
    <nav class="side" aria-label="Pages">
      <a class="brand" href={to('/')} data-page aria-label="Isobar, overview"><Brand /><span>Isobar</span></a>
      <For each={ENTRIES}>{(entry) => (
        <>
          <Show when={entry.icon === 'system'}><span class="side-group" aria-hidden="true">System</span></Show>
          <NavLink entry={entry} />
        </>
      )}</For>
      <div class="foot">
        <p class="foot-text">
          <Show when={summary()}>{(known) => <><b>{known().hostname}</b><br />isobar {known().version}<br /></>}</Show>
          {formatClock(now(), zone())} {zoneName(zone(), now())}
        </p>
        <div class="foot-buttons">
          <button type="button" class="plain" onClick={openHelp} aria-label="Keyboard help"><Icon name="help" /></button>
          <button type="button" class="plain" onClick={() => setFolded(!folded())} aria-label={folded() ? 'Unfold the side bar' : 'Fold the side bar'}><Icon name="fold" /></button>
        </div>
      </div>
    </nav>
  );
}

function BottomBar(): JSX.Element {
  return (
    <nav class="bottom" aria-label="Pages, short">
      <For each={ENTRIES}>{(entry) => <NavLink entry={entry} />}</For>
      <button type="button" onClick={openPalette}><Icon name="search" /><span>Search</span></button>
    </nav>
  );
}

function ReachBanner(): JSX.Element {
  const away = () => {
    const state = reach();
    return state.state === 'ok' ? null : state;
  };
  return (
    <div role="status" class="banner-place">
      <Show when={away()}>
        {(state) => (
          <div class="banner">
            <Shape state="warn" />
            <span>
              {state().state === 'starting' ? 'The server is starting.' : `The server does not answer since ${formatClock(state().sinceMs, zone())}.`} Showing the last data.
              <span aria-hidden="true"> Trying again {state().nextMs > now() ? `in ${roughDuration(Math.ceil((state().nextMs - now()) / 1000) * 1000)}` : 'now'}.</span>
            </span>
            <button type="button" class="chip small" onClick={() => void probe()}>Try now</button>
          </div>
        )}
      </Show>
    </div>
  );
}

function NotFound(): JSX.Element {
  return (
    <>
      <Bar title="No such page" />
      <main id="main" tabindex="-1">
        <div class="panel">
          <Empty title={`There is no page at ${path()}`}>
            <p><a href={to('/')} data-page>Overview</a> · <a href={to('/explore')} data-page>Explore</a> · <a href={to('/services')} data-page>Services</a> · <a href={to('/system/targets')} data-page>Targets</a></p>
          </Empty>
        </div>
      </main>
    </>
  );
}

function Loading(): JSX.Element {
  const title = () => ENTRIES.find((entry) => entry.holds(path()))?.text ?? '';
  return (
    <>
      <Bar title={title()} />
      <main id="main" tabindex="-1"><Waiting rows={4} /></main>
    </>
  );
}

/** A page that failed still lets the reader go on. Code that could not be fetched comes with the server. */
function Broken(props: { error: Error; reset: () => void }): JSX.Element {
  const missing = () => isMissingCode(props.error) && reach().state !== 'ok';
  let wasMissing = false;
  createEffect(() => (wasMissing ||= missing()));
  createEffect(on(path, () => props.reset(), { defer: true }));
  createEffect(on(epoch, () => wasMissing && location.reload(), { defer: true }));
  return (
    <>
      <Bar title={ENTRIES.find((entry) => entry.holds(path()))?.text ?? 'This page failed'} />
      <main id="main" tabindex="-1">
        <div class="panel">
          <Empty title={missing() ? 'This page needs the server' : props.error.message}>
            <Show when={missing()}><p>It opens as soon as the server answers again.</p></Show>
            <div class="empty-actions"><button type="button" class="chip" onClick={() => props.reset()}>Try again</button><button type="button" class="chip" onClick={() => location.reload()}>Reload</button></div>
          </Empty>
        </div>
      </main>
    </>
  );
}

/** The server behind this page is another version than the page was loaded from. */
function UpdateBanner(): JSX.Element {
  return (
    <Show when={updated()}>
      <div class="banner" role="status">
        <Shape state="ok" /><span>The server now runs {summary()?.version}.</span>
        <button type="button" class="chip small" onClick={() => location.reload()}>Load its page</button>
      </div>
    </Show>
  );
}

/** j and k walk the rows of a page's lists. */
function walkRows(step: 1 | -1): void {
  const rows = [...document.querySelectorAll<HTMLElement>('main [data-row]')].filter((row) => row.offsetParent !== null);
  const at = rows.findIndex((row) => row === document.activeElement);
  const next = rows[at < 0 ? (step > 0 ? 0 : rows.length - 1) : at + step];
  next?.focus();
  next?.scrollIntoView({ block: 'nearest' });
}

export function App(): JSX.Element {
  bindKeys([
    { keys: 'mod+k', what: 'Search everything', run: openPalette },
    { keys: '/', what: 'Search everything', run: openPalette },
    ...ENTRIES.map((entry) => ({ keys: entry.keys, what: `Go to ${entry.text}`, run: () => navigate(entry.href === '/explore' ? `/explore${explored()}` : entry.href) })),
    { keys: '[', what: 'Fold or unfold the side bar', run: () => setFolded(!folded()) },
    { keys: 'j', what: 'Next row', run: () => walkRows(1) },
    { keys: 'k', what: 'Previous row', run: () => walkRows(-1) },
    { keys: '?', what: 'This help', run: openHelp },
  ]);
  // A new page starts at its content, also for the keyboard.
  createEffect(on(path, () => {
    closeDialog();
    queueMicrotask(() => document.getElementById('main')?.focus({ preventScroll: true }));
  }, { defer: true }));
  const service = () => {
    const found = /^\/services\/(.+)$/.exec(path())?.[1];
    try {
      return found === undefined ? undefined : decodeURIComponent(found);
    } catch {
      return found;
    }
  };
  createEffect(() => {
    if (path() === '/explore') setExplored(search());
  });
  setTimeout(() => void loadExplore().catch(() => undefined), 1500);
  return (
    <div class="app">
      <a class="skip" href="#main">Skip to content</a>
      <Side />
      <div class="page">
        <ReachBanner />
        <UpdateBanner />
        <ErrorBoundary fallback={(error: unknown, reset) => <Broken error={error instanceof Error ? error : new Error(String(error))} reset={reset} />}>
          <Suspense fallback={<Loading />}>
            <Switch fallback={<NotFound />}>
              <Match when={path() === '/'}><OverviewPage /></Match>
              <Match when={path() === '/explore'}><ExplorePage search={search()} /></Match>
              <Match when={path() === '/services'}><ServicesPage /></Match>
              <Match when={service()} keyed>{(name) => <ServicePage name={name} />}</Match>
              <Match when={path() === '/system/targets'}><TargetsPage /></Match>
            </Switch>
          </Suspense>
        </ErrorBoundary>
      </div>
      <BottomBar />
      <Suspense>
        <Show when={openDialog() === 'palette'}><Palette /></Show>
        <Show when={openDialog() === 'help'}><KeyHelp /></Show>
      </Suspense>
    </div>
  );
}
