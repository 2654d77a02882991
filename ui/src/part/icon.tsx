/** Line icons on a 16-unit grid; always beside a word or inside a labeled control. */

import type { JSX } from 'solid-js';

const PATHS = {
  overview: 'M2.5 8.2 8 3l5.5 5.2M4 7.2V13h3V9.8h2V13h3V7.2',
  services: 'M3 2.5h4v4H3zM9.500 9.500h4v4h-4zM5 6.500v3.200a2 2 0 0 0 2 2h2.500',
  explore: 'M2 12.500 6 7.500l3 3 5-6.500M10.500 4H14v3.500',
  system: 'M2 4.500h7M12 4.500h2M2 11.500h2M7 11.500h7M9 2.800v3.400M4 9.800v3.400',
  search: 'M7 12a5 5 0 1 0 0-10 5 5 0 0 0 0 10ZM10.700 10.700 14 14',
  close: 'M4 4l8 8M12 4l-8 8',
  plus: 'M8 3v10M3 8h10',
  history: 'M3 3v3h3M3.300 6A5.200 5.200 0 1 1 3 9M8 5.500V8l2 1.500',
  theme: 'M8 2.500a5.500 5.500 0 1 0 0 11z M8 2.500a5.500 5.500 0 0 1 0 11',
  help: 'M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM6.300 6.300a1.700 1.700 0 1 1 2.500 1.500c-.5.300-.8.600-.8 1.200M8 11.200v.1',
  clock: 'M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM8 4.800V8l2.200 1.500',
  fold: 'M2.500 3h11v10h-11zM6.200 3v10',
} as const;

export type IconName = keyof typeof PATHS;

export function Icon(props: { name: IconName }): JSX.Element {
  return (
    <svg class="icon" viewBox="0 0 16 16" aria-hidden="true">
      <path d={PATHS[props.name]} />
    </svg>
  );
}

export function Brand(): JSX.Element {
  return (
    <svg class="brand-mark" viewBox="0 0 20 20" aria-hidden="true">
      <path d="M2 12c3-6 6-6 8-2s5 4 8-2" />
      <path d="M2 16c3-6 6-6 8-2s5 4 8-2" opacity=".55" />
      <path d="M2 8c3-6 6-6 8-2s5 4 8-2" opacity=".3" />
    </svg>
  );
}
