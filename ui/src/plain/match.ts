/** Which entries a few typed letters mean, best first. */

/** Higher is better; null is no match. All words must occur, or the letters in order within one short stretch. */
export function score(text: string, wanted: string): number | null {
  const low = text.toLowerCase();
  const words = wanted.toLowerCase().split(/\s+/).filter((word) => word !== '');
  if (words.length === 0) return 0;
  let total = 0;
  for (const word of words) {
    const at = low.indexOf(word);
    if (at < 0) return words.length === 1 ? scattered(low, word) : null;
    const starts = at === 0 ? 40 : /[^a-z0-9]/.test(low[at - 1] ?? '') ? 20 : 0;
    total += 100 + starts;
  }
  return total - Math.min(50, low.length / 4);
}

/** `nmema` finds `node_memory_MemAvailable`: letters in order, far jumps cost. */
function scattered(low: string, letters: string): number | null {
  let from = 0;
  let cost = 0;
  for (const letter of letters) {
    const at = low.indexOf(letter, from);
    if (at < 0) return null;
    cost += at - from;
    from = at + 1;
  }
  return letters.length < 3 ? null : Math.max(1, 60 - cost);
}

export function match<T>(entries: readonly T[], wanted: string, textOf: (entry: T) => string): T[] {
  if (wanted.trim() === '') return [...entries];
  const found: { entry: T; score: number }[] = [];
  for (const entry of entries) {
    const value = score(textOf(entry), wanted);
    if (value !== null) found.push({ entry, score: value });
  }
  return found.sort((a, b) => b.score - a.score).map((one) => one.entry);
}

/** The names nearest to a misspelt one, at most `most`: within a third of its length in edits. */
export function nearest(name: string, names: readonly string[], most: number): string[] {
  const limit = Math.max(2, Math.floor(name.length / 3));
  return names
    .map((other) => ({ other, distance: other.includes(name) ? 1 : distance(name, other, limit) }))
    .filter((one) => one.distance <= limit)
    .sort((a, b) => a.distance - b.distance || a.other.length - b.other.length)
    .slice(0, most)
    .map((one) => one.other);
}

/** Edits between two words; gives up above `limit`. */
export function distance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1;
  let before = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let row = 1; row <= a.length; row += 1) {
    const line = [row];
    let best = row;
    for (let column = 1; column <= b.length; column += 1) {
      const change = (before[column - 1] ?? 0) + (a[row - 1] === b[column - 1] ? 0 : 1);
      const value = Math.min(change, (before[column] ?? 0) + 1, (line[column - 1] ?? 0) + 1);
      line.push(value);
      if (value < best) best = value;
    }
    if (best > limit) return limit + 1;
    before = line;
  }
  return before[b.length] ?? limit + 1;
}
