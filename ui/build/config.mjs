// The one Vite configuration: what the build and the tests share.
import { fileURLToPath } from 'node:url';
import solid from 'vite-plugin-solid';

export const root = new URL('../', import.meta.url);

export function config() {
  return {
    root: fileURLToPath(root),
    configFile: false,
    logLevel: 'warn',
    plugins: [solid()],
    publicDir: 'public',
    // Files find each other relative to themselves, so that a path prefix needs a change in index.html alone.
    experimental: { renderBuiltUrl: (name, { hostType }) => (hostType === 'html' ? `/${name}` : { relative: true }) },
    build: {
      outDir: 'dist',
      emptyOutDir: true,
      target: ['chrome111', 'firefox113', 'safari16.4'],
      // The policy allows no inline data: everything is a file of its own.
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      license: { fileName: 'licenses.md' },
      reportCompressedSize: false,
      rolldownOptions: { checks: { pluginTimings: false } },
    },
  };
}
