/** A line to paste into a shell, and the button that copies it. */

import { createSignal, type JSX } from 'solid-js';

/** The clipboard needs HTTPS or localhost; a plain address of the network gets the older way. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement('textarea');
    area.value = text;
    area.className = 'offscreen';
    document.body.append(area);
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    return done;
  }
}

export function CommandLine(props: { text: string; what: string }): JSX.Element {
  const [said, setSaid] = createSignal('Copy');
  let timer: ReturnType<typeof setTimeout> | undefined;
  const copy = async (): Promise<void> => {
    setSaid((await copyText(props.text)) ? 'Copied' : 'Not allowed');
    clearTimeout(timer);
    timer = setTimeout(() => setSaid('Copy'), 1600);
  };
  return (
    <>
      <code class="command" title={props.text} tabindex="0" role="textbox" aria-readonly="true" aria-label={`Command: ${props.what}`}>{props.text}</code>
      <button type="button" class="chip small" onClick={() => void copy()} aria-label={`${said()} the command: ${props.what}`}>
        <span aria-live="polite">{said()}</span>
      </button>
    </>
  );
}
