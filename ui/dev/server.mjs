// A server for working on the page without the binary: dist/ with the binary's headers, and data that is invented
// (data.mjs) or comes from a real Prometheus (`ISOBAR_UPSTREAM=http://127.0.0.1:9090`).
//
//   npm run dev -- [port]        also used by the browser tests when ISOBAR_URL is not set
import { createServer, request } from 'node:http';
import { readFile } from 'node:fs/promises';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { BadQuery, evaluate, health, METRICS, OVERVIEW, targets } from './data.mjs';

const DIST = fileURLToPath(new URL('../dist/', import.meta.url));
export const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8', '.svg': 'image/svg+xml', '.woff2': 'font/woff2', '.md': 'text/plain; charset=utf-8' };
const PAGES = /^\/($|explore$|services($|\/)|system\/targets$)/;
const PREFIX = process.env.ISOBAR_DEV_PREFIX ?? '';
const OLD = { '/graph': '/explore', '/query': '/explore', '/targets': '/system/targets' };

const json = (response, body, status = 200) => {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  response.end(JSON.stringify(body));
};
const success = (response, data) => json(response, { status: 'success', data });

async function sendFile(incoming, response, path) {
  const file = join(DIST, normalize(path));
  const accepted = String(incoming.headers['accept-encoding'] ?? '');
  for (const [coding, suffix] of [['br', '.br'], ['gzip', '.gz'], ['', '']]) {
    if (coding !== '' && !accepted.includes(coding)) continue;
    if (PREFIX !== '' && path === '/index.html' && coding !== '') continue;
    let bytes = await readFile(file + suffix).catch(() => null);
    if (bytes === null) continue;
    if (PREFIX !== '' && path === '/index.html') bytes = Buffer.from(bytes.toString().replaceAll('="/', `="${PREFIX}/`));
    response.writeHead(200, {
      'content-type': TYPES[extname(file)] ?? 'application/octet-stream', 'content-security-policy': POLICY, 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer',
      'cache-control': path.startsWith('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache', ...(coding === '' ? {} : { 'content-encoding': coding }), vary: 'accept-encoding',
    });
    return response.end(bytes);
  }
  response.writeHead(404, { 'content-type': 'text/plain' });
  response.end('not found\n');
}

function forward(upstream, incoming, response) {
  const target = new URL(incoming.url, upstream);
  const out = request(target, { method: incoming.method, headers: { ...incoming.headers, host: target.host } }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(response);
  });
  out.on('error', () => response.destroy());
  incoming.pipe(out);
}

async function parameters(incoming, url) {
  const params = new URLSearchParams(url.search);
  if (incoming.method === 'POST') {
    let body = '';
    for await (const part of incoming) body += part;
    for (const [name, value] of new URLSearchParams(body)) params.append(name, value);
  }
  return params;
}

async function api(path, incoming, response, url) {
  const params = await parameters(incoming, url);
  const label = /^label\/([^/]+)\/values$/.exec(path)?.[1];
  const all = Object.entries(METRICS).flatMap(([name, metric]) => metric.series.map((labels) => ({ __name__: name, ...labels })));
  try {
    if (path === 'query_range') {
      const [start, end, step] = ['start', 'end', 'step'].map((name) => Number(params.get(name)));
      const times = Array.from({ length: Math.floor((end - start) / step + 1e-6) + 1 }, (_, n) => start + n * step);
      const result = evaluate(params.get('query') ?? '').map(({ metric, at }) => ({ metric, values: times.map((t) => [t, String(at(t))]) }));
      return success(response, { resultType: 'matrix', result });
    }
    if (path === 'query') {
      const t = Number(params.get('time') ?? Date.now() / 1000);
      return success(response, { resultType: 'vector', result: evaluate(params.get('query') ?? '').map(({ metric, at }) => ({ metric, value: [t, String(at(t))] })) });
    }
  } catch (error) {
    if (error instanceof BadQuery) return json(response, { status: 'error', errorType: 'bad_data', error: error.message }, 400);
    throw error;
  }
  if (label !== undefined) return success(response, [...new Set(all.map((labels) => labels[label]).filter((value) => value !== undefined))].sort());
  if (path === 'labels') return success(response, [...new Set(all.flatMap((labels) => Object.keys(labels)))].sort());
  if (path === 'series') return success(response, all.slice(0, 100));
  if (path === 'metadata') return success(response, Object.fromEntries(Object.entries(METRICS).map(([name, { type, help }]) => [name, [{ type, help, unit: '' }]])));
  if (path === 'targets') return success(response, targets(Number(process.env.ISOBAR_DEV_TARGETS ?? 12)));
  if (path === 'status/runtimeinfo') return success(response, { startTime: new Date().toISOString(), storageRetention: '15d', reloadConfigSuccess: true, lastConfigTime: new Date(Date.now() - 90_000).toISOString() });
  if (path === 'status/tsdb') return success(response, { headStats: { numSeries: 1284 } });
  return json(response, { status: 'error', errorType: 'not_found', error: 'not invented' }, 404);
}

export function start(port, upstream = process.env.ISOBAR_UPSTREAM) {
  const server = createServer(async (incoming, response) => {
    const url = new URL(incoming.url ?? '/', 'http://localhost');
    if (!url.pathname.startsWith(`${PREFIX}/`)) return json(response, { status: 'error', error: 'outside the prefix' }, 404);
    url.pathname = url.pathname.slice(PREFIX.length);
    const path = url.pathname;
    if (path === '/-/ready') return response.end('ready\n');
    if (path === '/ui/overview') return json(response, OVERVIEW);
    if (path === '/ui/services') return json(response, { registry: true, services: OVERVIEW.services });
    if (path.startsWith('/v1/health/service/')) return json(response, health(decodeURIComponent(path.slice(19))));
    if (path.startsWith('/api/v1/')) return upstream ? forward(upstream, incoming, response) : api(path.slice(8), incoming, response, url);
    if (OLD[path]) {
      response.writeHead(302, { location: PREFIX + OLD[path] + url.search });
      return response.end();
    }
    return sendFile(incoming, response, PAGES.test(path) ? '/index.html' : path);
  });
  return new Promise((resolve) => server.listen(port, '127.0.0.1', () => resolve(server)));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const port = Number(process.argv[2] ?? 5173);
  await start(port);
  console.log(`http://127.0.0.1:${port}`);
}
