// Invented data for working on the page without the binary: a few metrics, waves for values, PromQL only as far as names and `by`.

const NODE = { job: 'node', instance: '127.0.0.1:9100' };
const HANDLERS = ['/cart', '/search', '/product', '/login', '/checkout', '/health'];

export const METRICS = {
  up: { type: 'gauge', help: 'The target answered', series: [NODE, { job: 'isobar', instance: '127.0.0.1:9090' }, ...[1, 2, 3].map((n) => ({ job: 'shop', instance: `10.0.0.1${n}:8080` }))] },
  http_requests_total: { type: 'counter', help: 'Requests served', series: HANDLERS.map((handler) => ({ job: 'shop', instance: '10.0.0.11:8080', handler, code: handler === '/checkout' ? '503' : '200' })) },
  node_cpu_seconds_total: { type: 'counter', help: 'Seconds the CPUs spent in each mode', series: ['idle', 'user', 'system', 'iowait'].flatMap((mode) => [0, 1].map((cpu) => ({ ...NODE, cpu: String(cpu), mode }))) },
  node_load1: { type: 'gauge', help: '1m load average', series: [NODE] },
  node_memory_MemAvailable_bytes: { type: 'gauge', help: 'Memory information field MemAvailable_bytes', series: [NODE] },
  node_uname_info: { type: 'gauge', help: 'Labeled system information', series: [{ ...NODE, nodename: 'node-04', sysname: 'Linux' }] },
  scrape_duration_seconds: { type: 'gauge', help: 'Duration of the visit', series: [NODE, { job: 'shop', instance: '10.0.0.11:8080' }] },
  many_series: { type: 'gauge', help: 'Enough series to need a virtual list', series: Array.from({ length: 2000 }, (_, n) => ({ job: 'many', n: String(n) })) },
};

const seedOf = (text) => [...text].reduce((sum, sign) => (sum * 31 + sign.charCodeAt(0)) >>> 0, 7);

/** A calm wave between 0 and 1, the same for the same text and time. */
export function wave(text, t) {
  const seed = seedOf(text);
  const phase = (seed % 628) / 100;
  return 0.5 + 0.25 * Math.sin(t / (120 + (seed % 97)) + phase) + 0.12 * Math.sin(t / (17 + (seed % 13)) + phase * 2) + 0.06 * Math.sin(t / 3.1 + phase);
}

const TILES = { cpu: (w) => w * 0.6, memory: (w) => 6e9 + w * 5e8, load: (w) => w * 2, disk: () => 0.71, receive: (w) => w * 3e7, transmit: (w) => w * 8e6, stalled: (w) => w * 0.02, busy: (w) => w * 0.1 };
const FACTS = [['memory', {}, 24 * 2 ** 30], ['cores', {}, 2], ['boot', {}, Date.now() / 1000 - 273_600], ['size', { mountpoint: '/' }, 250e9], ['avail', { mountpoint: '/' }, 72e9]];

export class BadQuery extends Error {}

/** Label sets with a function from time to value. */
export function evaluate(query) {
  if (query.includes('"tile"')) return Object.entries(TILES).map(([tile, f]) => ({ metric: { tile }, at: (t) => f(wave(tile, t)) }));
  if (query.includes('"fact"')) return FACTS.map(([fact, labels, value]) => ({ metric: { fact, ...labels }, at: () => value }));
  let depth = 0;
  for (const sign of query.replace(/"[^"]*"/g, '')) depth += sign === '(' ? 1 : sign === ')' ? -1 : 0;
  if (depth !== 0) throw new BadQuery(`invalid parameter "query": 1:${query.length + 1}: parse error: unclosed left parenthesis`);
  if (/^\s*\d+(\s*\+\s*\d+)?\s*$/.test(query)) return [{ metric: {}, at: () => query.split('+').reduce((sum, part) => sum + Number(part), 0) }];
  const name = Object.keys(METRICS).find((metric) => new RegExp(`\\b${metric}\\b`).test(query));
  if (!name) return [];
  const by = /\bby\s*\(([^)]*)\)/.exec(query)?.[1]?.split(',').map((part) => part.trim());
  const wanted = [...query.matchAll(/([a-zA-Z_]\w*)\s*=\s*"([^"]*)"/g)].map((match) => [match[1], match[2]]);
  const aggregated = by !== undefined || /\b(sum|count|max|min|avg)\s*\(/.test(query);
  const found = new Map();
  for (const labels of METRICS[name].series) {
    if (wanted.some(([label, value]) => label !== '__name__' && labels[label] !== value)) continue;
    const metric = aggregated ? Object.fromEntries((by ?? []).filter((label) => labels[label] !== undefined).map((label) => [label, labels[label]])) : { ...(/\brate\(/.test(query) ? {} : { __name__: name }), ...labels };
    const key = JSON.stringify(metric);
    const scale = name === 'up' ? () => 1 : (w) => w * 480;
    if (!found.has(key)) found.set(key, { metric, at: (t) => scale(wave(key, t)) });
  }
  return [...found.values()];
}

export const OVERVIEW = {
  machine: { hostname: 'node-04', os: 'Debian GNU/Linux 12', cores: 2, memory_bytes: 24 * 2 ** 30, instance: null },
  server: {
    version: '0.1.0', started_ms: Date.now(), data_from_ms: Date.now() - 86_400_000, registry: true,
    warnings: [{ role: 'server', text: 'remote_write: nothing is sent yet (prometheus.yml line 14)' }, { role: 'server', text: 'rule_files: 2 files are not evaluated yet' }],
    parts: [{ name: 'registry', state: 'running', error: null, restarts: 0, address: '127.0.0.1:8500' }, { name: 'exporter node', state: 'running', error: null, restarts: 0, address: '127.0.0.1:9100' }, { name: 'server', state: 'running', error: null, restarts: 0, address: '127.0.0.1:9090' }],
  },
  services: [
    ['checkout', 1, 0, 0, 1, 'registry', true, 0, 1, ['metrics']], ['shop', 3, 2, 0, 1, 'registry', true, 2, 1, ['metrics', 'v2.4', 'eu']], ['postgres', 1, 1, 0, 0, 'registry', true, 1, 0, ['metrics']],
    ['nginx', 2, 2, 0, 0, 'registry', true, 2, 0, ['metrics', 'edge']], ['kafka', 3, 2, 1, 0, 'registry', false, 0, 0, ['eu']], ['node', 1, 1, 0, 0, 'registry', true, 1, 0, ['metrics']],
  ].map(([name, instances, passing, warning, critical, how, scraped, targets_up, targets_down, tags]) => ({ name, instances, passing, warning, critical, how, scraped, targets_up, targets_down, tags })),
  ports: [['127.0.0.1', 6379, 812, 'redis-server', 'redis'], ['0.0.0.0', 8081, null, null, 'port-8081'], ['127.0.0.1', 2379, 990, 'etcd', 'etcd']].map(([address, port, pid, program, name]) => ({
    address, port, pid, program, line: `curl -X PUT http://127.0.0.1:8500/v1/agent/service/register -d '{"Name":"${name}","Port":${port},"Tags":["metrics"]}'`,
  })),
};

export function health(service) {
  if (service === 'shop') {
    return ['passing', 'passing', 'critical'].map((status, n) => ({
      Node: { Node: 'node-04', Address: '10.0.0.4' },
      Service: { ID: `shop-${n + 1}`, Service: 'shop', Tags: ['v2.4', 'eu'], Address: `10.0.0.1${n + 1}`, Port: 8080 },
      Checks: [{ CheckID: 'serfHealth', Name: 'Serf Health Status', Status: 'passing', Output: 'Agent alive and reachable', ServiceID: '' }, { CheckID: `service:shop-${n + 1}`, Name: 'http', Status: status, Output: status === 'critical' ? 'Get "http://10.0.0.13:8080/health": dial tcp 10.0.0.13:8080: connect: connection refused' : 'HTTP GET http://10.0.0.11:8080/health: 200 OK', ServiceID: `shop-${n + 1}` }],
    }));
  }
  const known = OVERVIEW.services.find((one) => one.name === service);
  return Array.from({ length: known?.instances ?? 0 }, (_, n) => ({ Node: { Node: 'node-04', Address: '10.0.0.4' }, Service: { ID: `${service}-${n + 1}`, Service: service, Tags: known.tags, Address: '', Port: 9000 + n }, Checks: [] }));
}

export function targets(count) {
  const active = METRICS.up.series.map((labels, n) => target(labels, n, labels.instance === '10.0.0.13:8080'));
  for (let n = 0; n < count; n += 1) active.push(target({ job: 'fleet', instance: `10.1.${n >> 8}.${n & 255}:9100`, rack: `r${n % 40}` }, n, n % 97 === 3));
  return { activeTargets: active, droppedTargets: [{ discoveredLabels: { __address__: '10.0.0.9:22', job: 'shop' }, scrapePool: 'shop' }], droppedTargetCounts: { shop: 1 } };
}

function target(labels, n, down) {
  const url = `http://${labels.instance}/metrics`;
  const service = labels.job === 'shop' ? { __meta_consul_service: 'shop', __meta_consul_service_id: `shop-${labels.instance.charAt(7)}` } : {};
  return {
    discoveredLabels: { __address__: labels.instance, __scheme__: 'http', __metrics_path__: '/metrics', ...service }, labels, scrapePool: labels.job, scrapeUrl: url, globalUrl: url,
    lastError: down ? `Get "${url}": dial tcp ${labels.instance}: connect: connection refused` : '',
    lastScrape: new Date(Date.now() - 1000 - (n % 14) * 1000).toISOString(), lastScrapeDuration: 0.002 + (n % 7) / 1000, health: down ? 'down' : 'up', scrapeInterval: '15s', scrapeTimeout: '10s',
  };
}
