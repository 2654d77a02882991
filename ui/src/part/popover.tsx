/** A button and the small dialog it opens below itself. Escape and a click elsewhere close it; focus comes back. */

import { createSignal, createUniqueId, onCleanup, Show, type JSX } from 'solid-js';

const EDGE = 8;

export interface PopoverControl { open: () => void; close: () => void }

export function Popover(props: { label: string; button: JSX.Element; class?: string; control?: (control: PopoverControl) => void; children: (close: () => void) => JSX.Element }): JSX.Element {
  const id = createUniqueId();
  const [shown, setShown] = createSignal(false);
  let button!: HTMLButtonElement;
  let panel!: HTMLDivElement;

  const place = (): void => {
    const anchor = button.getBoundingClientRect();
    const width = panel.offsetWidth;
    // Below the button's left edge; where that leaves the screen, below its right edge.
    const wanted = anchor.left + width <= innerWidth - EDGE ? anchor.left : anchor.right - width;
    const left = Math.max(EDGE, Math.min(wanted, innerWidth - width - EDGE));
    const below = anchor.bottom + 4;
    panel.style.setProperty('left', `${left}px`);
    panel.style.setProperty('top', `${below}px`);
    panel.style.setProperty('max-height', `${Math.max(160, innerHeight - below - EDGE)}px`);
  };
  const close = (): void => panel.hidePopover();
  const open = (): void => panel.showPopover();
  props.control?.({ open, close });
  // A phone's keyboard resizes the page too: follow, do not close.
  const follow = (): void => {
    if (shown()) place();
  };
  addEventListener('resize', follow);
  onCleanup(() => removeEventListener('resize', follow));

  return (
    <>
      <button ref={button} type="button" class={`chip ${props.class ?? ''}`} aria-haspopup="dialog" aria-expanded={shown()} aria-label={props.label} onClick={() => (shown() ? close() : open())}>
        {props.button}
      </button>
      <div
        ref={panel}
        id={id}
        class="popover"
        role="dialog"
        aria-label={props.label}
        popover="auto"
        onToggle={(event: ToggleEvent) => {
          const opened = event.newState === 'open';
          setShown(opened);
          if (!opened) {
            if (document.activeElement === document.body || panel.contains(document.activeElement)) button.focus();
            return;
          }
          place();
          panel.querySelector<HTMLElement>('[data-first]')?.focus();
        }}
      >
        <Show when={shown()}>{props.children(close)}</Show>
      </div>
    </>
  );
}
