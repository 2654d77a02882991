/** Starts the page: takes the outline out of index.html and puts the application in its place. */

import { render } from 'solid-js/web';
import './style/tokens.css';
import './style/shell.css';
import './style/part.css';
import './style/overview.css';
import { App } from './app.tsx';
import { listenForKeys } from './keys.ts';
import { noticeMissingCode } from './missing_code.ts';
import { followLinks } from './route.ts';

followLinks();
noticeMissingCode();
listenForKeys();
const host = document.getElementById('app');
if (host) {
  host.textContent = '';
  render(() => <App />, host);
}
