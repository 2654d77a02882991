/** Where in a query the server's complaint points: `1:5: parse error: unexpected …`. */

export interface QueryError {
  readonly message: string;
  /** Offset into the query in UTF-16 units, when the message names a place. */
  readonly at: number | null;
}

export function readQueryError(text: string, query: string): QueryError {
  const match = /(?:^|\s|")(\d+):(\d+):\s*(?:parse error:\s*)?([\s\S]*)$/.exec(text);
  if (!match) return { message: text.replace(/^invalid parameter "query":\s*/, ''), at: null };
  const line = Number(match[1]);
  const column = Number(match[2]);
  const lines = query.split('\n');
  let at = 0;
  for (let index = 0; index < line - 1; index += 1) at += (lines[index] ?? '').length + 1;
  // Columns count bytes of UTF-8 from 1.
  const wanted = column - 1;
  let bytes = 0;
  for (const sign of lines[line - 1] ?? '') {
    if (bytes >= wanted) break;
    bytes += new TextEncoder().encode(sign).length;
    at += sign.length;
  }
  return { message: (match[3] ?? '').trim() || text, at: Math.min(at, query.length) };
}
