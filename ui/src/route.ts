/**
 * Where the reader is: the address bar as a signal.
 *
 * The address is the only store of what a page shows, so that a link, a reload and the back button all agree.
 */

import { createSignal } from 'solid-js';
import { BASE, to } from './base.ts';

interface Place { readonly path: string; readonly search: string }

/** Paths of Prometheus' page that may reach us without the server's redirect. */
const OLD_PATHS: Record<string, string> = { '/graph': '/explore', '/query': '/explore', '/targets': '/system/targets', '/system': '/system/targets' };

function withoutBase(path: string): string {
  return BASE !== '' && path.startsWith(BASE) ? path.slice(BASE.length) : path;
}

function here(): Place {
  const path = withoutBase(location.pathname).replace(/\/+$/, '') || '/';
  return { path: OLD_PATHS[path] ?? path, search: location.search };
}

const [place, setPlace] = createSignal<Place>(here(), { equals: (a, b) => a.path === b.path && a.search === b.search });

export const path = (): string => place().path;
export const search = (): string => place().search;

/** Goes to a path of the page. `replace` leaves no step for the back button. */
export function navigate(href: string, options: { replace?: boolean } = {}): void {
  const wanted = to(href);
  if (wanted !== location.pathname + location.search) history[options.replace === true ? 'replaceState' : 'pushState'](null, '', wanted);
  const before = place().path;
  setPlace(here());
  if (before !== place().path) scrollTo(0, 0);
}

/** Takes over clicks on links to our own pages; call once. */
export function followLinks(): void {
  addEventListener('popstate', () => setPlace(here()));
  document.addEventListener('click', (event) => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = event.composedPath().find((node): node is HTMLAnchorElement => node instanceof HTMLAnchorElement);
    if (!link || link.target !== '' || link.hasAttribute('download') || link.origin !== location.origin || link.hash !== '' || !link.hasAttribute('data-page')) return;
    event.preventDefault();
    navigate(withoutBase(link.pathname) + link.search);
  });
}
