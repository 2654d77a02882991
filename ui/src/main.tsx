/** Starts the page: takes the outline out of index.html and puts the application in its place. */

import { render } from 'solid-js/web';
import './style/tokens.css';
import './style/shell.css';
import './style/part.css';
import './style/overview.css';
import { App } from './app.tsx';
import { listenForKeys } from './keys.ts';
import { followLinks } from './route.ts';

followLinks();
// A chunk that is gone belongs to a server that was replaced: its page is newer than ours. Once, lest it loop.
addEventListener('vite:preloadError', (event) => {
  const key = 'isobar.reloaded';
  try {
    if (Date.now() - Number(sessionStorage.getItem(key) ?? 0) < 30_000) return;
    sessionStorage.setItem(key, String(Date.now()));
  } catch {
    return;
  }
  event.preventDefault();
  location.reload();
});
listenForKeys();
const host = document.getElementById('app');
if (host) {
  host.textContent = '';
  render(() => <App />, host);
}
