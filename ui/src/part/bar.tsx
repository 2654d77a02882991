/** The one row above every page: where you are, what the page offers, search and theme. */

import { createEffect, type JSX } from 'solid-js';
import { to } from '../base.ts';
import { keyText } from '../keys.ts';
import { setTheme, theme } from '../settings.ts';
import { openPalette } from './palette_state.ts';
import { Icon } from './icon.tsx';

export function Bar(props: { title: string; crumb?: { text: string; href: string }; children?: JSX.Element }): JSX.Element {
  createEffect(() => {
    document.title = props.title === 'Overview' ? 'Isobar' : `${props.title} · Isobar`;
  });
  return (
    <header class="bar">
      <h1>
        {props.crumb && <><a href={to(props.crumb.href)} data-page>{props.crumb.text}</a><span class="slash" aria-hidden="true"> / </span></>}
        {props.title}
      </h1>
      <span class="grow" />
      {props.children}
      <button type="button" class="chip wide" onClick={openPalette}>
        <Icon name="search" />Search <kbd>{keyText('mod+k')}</kbd>
      </button>
      <button type="button" class="chip square" aria-label={`Switch to the ${theme() === 'dark' ? 'light' : 'dark'} theme`} onClick={() => setTheme(theme() === 'dark' ? 'light' : 'dark')}>
        <Icon name="theme" />
      </button>
    </header>
  );
}
