// Builds the page into dist/: bundle, precompress, check the budget.
//
//   dist/index.html            sent for every page path, never cached
//   dist/favicon.svg, theme.js
//   dist/assets/NAME-HASH.EXT  immutable
//   dist/licenses.md           notices of what is bundled
//   each file also as FILE.gz, and as FILE.br unless it is a font
import { mkdir, writeFile } from 'node:fs/promises';
import { build } from 'vite';
import { compressTree } from './compress.mjs';
import { checkBudget } from './budget.mjs';
import { makeFont } from './font.mjs';
import { config, root } from './config.mjs';

await mkdir(new URL('.generated/', root), { recursive: true });
await writeFile(new URL('.generated/inter.woff2', root), await makeFont());
await build(config());
const dist = new URL('dist/', root);
await compressTree(dist);
await checkBudget(dist);
