/**
 * Parts of the page whose code could not be fetched.
 *
 * If the server answers, it was replaced, and its page is newer than ours: that is loaded. If it does not, this page with its
 * last data is all there is: it stays, and says that the server is away.
 */

import { probe, reach } from './server.ts';

/** Lest a page that lacks its code for another reason loads itself for ever. */
const AGAIN_MS = 30_000;

const missing = new WeakSet<object>();

/** Was this error thrown because code could not be fetched? */
export const isMissingCode = (error: Error): boolean => missing.has(error);

/** Call once. */
export function noticeMissingCode(): void {
  addEventListener('vite:preloadError', (event) => {
    missing.add(event.payload);
    void loadNewer();
  });
}

async function loadNewer(): Promise<void> {
  await probe();
  if (reach().state !== 'ok') return;
  const key = 'isobar.reloaded';
  try {
    if (Date.now() - Number(sessionStorage.getItem(key) ?? 0) < AGAIN_MS) return;
    sessionStorage.setItem(key, String(Date.now()));
  } catch {
    return;
  }
  location.reload();
}
