// The page's typeface: Inter variable, cut to the characters and weights the page uses.
//
// In:  the Latin file of @fontsource-variable/inter (48 kB, weights 100–900).
// Out: one woff2 with ASCII, Latin-1 and the signs below, weights 400–600.
// The font counts against the first screen's 90 kB, hence the cut.
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import subsetFont from 'subset-font';

const SIGNS = '–—‘’“”…•′″−≈≤≥≠×÷µ±°·∞→←↑↓€';

export async function makeFont() {
  const require = createRequire(import.meta.url);
  const source = await readFile(require.resolve('@fontsource-variable/inter/files/inter-latin-wght-normal.woff2'));
  let text = SIGNS;
  for (let code = 0x20; code < 0x7f; code += 1) text += String.fromCharCode(code);
  for (let code = 0xa0; code < 0x100; code += 1) text += String.fromCharCode(code);
  return subsetFont(source, text, {
    targetFormat: 'woff2',
    variationAxes: { wght: { min: 400, max: 600 } },
    keepFeatures: ['kern', 'tnum', 'calt', 'ccmp', 'mark'],
  });
}
