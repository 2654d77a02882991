// What the page may weigh, checked at every build.
//
//   first screen  index.html and all it names (scripts, styles, font), compressed   ≤  90 kB
//   lazy chunk    each other script, gzip                                           ≤ 160 kB
//   whole         everything as stored in the binary                                ≤ 1.5 MB
import { readFile, stat } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { filesOf } from './compress.mjs';

const FIRST_SCREEN = 90_000;
const LAZY_CHUNK = 160_000;
const WHOLE = 1_500_000;

async function sizeAsSent(file, suffix) {
  const compressed = await stat(file + suffix).catch(() => stat(file));
  return compressed.size;
}

export async function checkBudget(url) {
  const dist = fileURLToPath(url);
  const files = await filesOf(dist);
  const html = await readFile(join(dist, 'index.html'), 'utf8');
  const named = [...html.matchAll(/(?:src|href)="\/([^"]+)"/g)].map((match) => join(dist, match[1]));
  const scripts = files.filter((file) => file.endsWith('.js'));
  // A style names the font; an entry script imports its neighbours.
  const first = new Set([join(dist, 'index.html'), ...named.filter((file) => files.includes(file))]);
  for (const file of [...first]) {
    if (!/\.(js|css)$/.test(file)) continue;
    const text = await readFile(file, 'utf8');
    const imports = [...text.matchAll(/(?:from|import)\s*["']\.\/([\w.-]+)["']|url\(["']?[./]*(?:assets\/)?([\w.-]+\.woff2)/g)];
    for (const match of imports) {
      const name = match[1] ?? match[2];
      const found = files.find((candidate) => basename(candidate) === name);
      if (found) first.add(found);
    }
  }
  let firstBytes = 0;
  for (const file of first) firstBytes += await sizeAsSent(file, '.gz');
  const problems = [];
  const lines = [`first screen ${firstBytes} B gzip of ${FIRST_SCREEN} (${[...first].map((file) => basename(file)).join(' ')})`];
  if (firstBytes > FIRST_SCREEN) problems.push(`first screen is ${firstBytes} B, budget ${FIRST_SCREEN}`);
  for (const file of scripts) {
    if (first.has(file)) continue;
    const size = await sizeAsSent(file, '.gz');
    lines.push(`lazy ${relative(dist, file)} ${size} B gzip`);
    if (size > LAZY_CHUNK) problems.push(`${relative(dist, file)} is ${size} B, budget ${LAZY_CHUNK}`);
  }
  let whole = 0;
  for (const file of files) whole += (await stat(file)).size;
  lines.push(`whole ${whole} B of ${WHOLE}`);
  if (whole > WHOLE) problems.push(`the page weighs ${whole} B, budget ${WHOLE}`);
  console.log(lines.join('\n'));
  if (problems.length > 0) throw new Error(`over budget: ${problems.join('; ')}`);
}
