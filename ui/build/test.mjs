// Bundles the tests of one folder for Node and runs them: `node build/test.mjs test|browser [name…]`.
//
// Node 20 does not read TypeScript; the same compiler that builds the page prepares its tests.
import { access, readdir, rm } from 'node:fs/promises';
import { spawn } from 'node:child_process';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';
import { root } from './config.mjs';

const [folder = 'test', ...wanted] = process.argv.slice(2);
const home = fileURLToPath(root);
if (folder === 'browser') {
  const browser = process.env.CHROMIUM ?? '/usr/bin/chromium';
  const found = await access(browser).then(() => true, () => false);
  if (!found) {
    console.log(`SKIP browser: ${browser} is not there (apt-get install chromium, or name another in CHROMIUM)`);
    process.exit(0);
  }
}
const out = join(home, '.generated', folder);
const names = (await readdir(join(home, folder)))
  .filter((name) => name.endsWith('.test.ts'))
  .filter((name) => wanted.length === 0 || wanted.includes(basename(name, '.test.ts')));
if (names.length === 0) throw new Error(`no test in ${folder}/ is called ${wanted.join(' or ')}`);
await rm(out, { recursive: true, force: true });
await build({
  root: home,
  configFile: false,
  logLevel: 'warn',
  publicDir: false,
  build: {
    ssr: true,
    outDir: out,
    emptyOutDir: true,
    minify: false,
    rollupOptions: {
      input: Object.fromEntries(names.map((name) => [basename(name, '.ts'), join(home, folder, name)])),
      external: ['playwright-core', 'axe-core'],
      output: { entryFileNames: '[name].js' },
    },
  },
});
const files = names.map((name) => join(out, name.replace(/\.ts$/, '.js')));
const run = spawn(process.execPath, ['--test', '--test-concurrency=1', '--test-reporter=spec', ...files], { stdio: 'inherit', cwd: home });
run.on('exit', (code) => process.exit(code ?? 1));
