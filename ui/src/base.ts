/** The path prefix the page is served under (`--web.route-prefix`), read off this script's own address; empty at the root. */

const script = new URL(import.meta.url).pathname;
const at = script.lastIndexOf('/assets/');

export const BASE: string = at > 0 ? script.slice(0, at) : '';

/** A path of ours as the browser must ask for it. */
export const to = (path: string): string => BASE + path;
