/**
 * The six tiles of "this machine": what they ask and how the answer reads.
 *
 * All tiles travel in one query: each part is one number a step, told apart by the label `tile`, and `or` joins them.
 * The facts (totals, file systems, boot time) change slowly and are asked on their own.
 */

import { format, steady, type Shown } from './number.ts';
import { quote, type Labels } from './series.ts';
import type { Line } from './tail.ts';

export type Grade = 'ok' | 'warn' | 'crit';

/** Two samples must fall in, also at one scrape a minute. */
const WINDOW = '[3m]';
const NO_DEVICES = 'device!~"lo|veth.*|docker.*|br-.*|cni.*|virbr.*|dummy.*"';
const NO_FILE_SYSTEMS = 'fstype!~"tmpfs|ramfs|devtmpfs|squashfs|iso9660|fuse.*|nsfs|autofs"';

export type PartName = 'cpu' | 'memory' | 'load' | 'disk' | 'receive' | 'transmit' | 'stalled' | 'busy';

/** Which machine: the `instance` of its exporter, and the mount point whose fill is drawn. */
export interface Subject { readonly instance: string; readonly mountpoint: string }

export function partQueries(subject: Subject): Record<PartName, string> {
  const at = `instance=${quote(subject.instance)}`;
  const mount = `${at},mountpoint=${quote(subject.mountpoint)}`;
  return {
    cpu: `1 - avg(irate(node_cpu_seconds_total{${at},mode="idle"}${WINDOW}))`,
    memory: `sum(node_memory_MemTotal_bytes{${at}} - node_memory_MemAvailable_bytes{${at}})`,
    load: `sum(node_load1{${at}})`,
    disk: `max(1 - node_filesystem_avail_bytes{${mount}} / node_filesystem_size_bytes{${mount}})`,
    receive: `sum(irate(node_network_receive_bytes_total{${at},${NO_DEVICES}}${WINDOW})) * 8`,
    transmit: `sum(irate(node_network_transmit_bytes_total{${at},${NO_DEVICES}}${WINDOW})) * 8`,
    stalled: `sum(irate(node_pressure_io_waiting_seconds_total{${at}}${WINDOW}))`,
    busy: `max(irate(node_disk_io_time_seconds_total{${at}}${WINDOW}))`,
  };
}

/** Parts joined into one query, each marked with its name in `label`. */
export function joined(parts: Readonly<Record<string, string>>, label: string): string {
  return Object.entries(parts)
    .map(([name, query]) => `label_replace(${query}, ${quote(label)}, ${quote(name)}, "", "")`)
    .join(' or ');
}

export function factQuery(instance: string): string {
  const at = `instance=${quote(instance)}`;
  return joined({
    memory: `sum(node_memory_MemTotal_bytes{${at}})`,
    cores: `count(node_cpu_seconds_total{${at},mode="idle"})`,
    boot: `max(node_boot_time_seconds{${at}})`,
    size: `max by (mountpoint) (node_filesystem_size_bytes{${at},${NO_FILE_SYSTEMS}})`,
    avail: `max by (mountpoint) (node_filesystem_avail_bytes{${at},${NO_FILE_SYSTEMS}})`,
  }, 'fact');
}

export interface FileSystem { readonly mountpoint: string; readonly size: number; readonly avail: number }

export interface Facts { readonly memory: number | null; readonly cores: number | null; readonly bootS: number | null; readonly disks: readonly FileSystem[] }

export const NO_FACTS: Facts = { memory: null, cores: null, bootS: null, disks: [] };

export function readFacts(vector: readonly { metric: Labels; value: number }[]): Facts {
  const single = (name: string): number | null => vector.find((one) => one.metric.fact === name)?.value ?? null;
  const disks: FileSystem[] = [];
  for (const one of vector) {
    if (one.metric.fact !== 'size' || !(one.value > 0)) continue;
    const mountpoint = one.metric.mountpoint ?? '';
    const avail = vector.find((other) => other.metric.fact === 'avail' && other.metric.mountpoint === mountpoint);
    if (avail) disks.push({ mountpoint, size: one.value, avail: avail.value });
  }
  return { memory: single('memory'), cores: single('cores'), bootS: single('boot'), disks };
}

const DISK_WARN = 0.85;
const DISK_CRIT = 0.95;

/** The root, unless another file system is nearly full and fuller. */
export function chooseDisk(disks: readonly FileSystem[]): FileSystem | null {
  const used = (disk: FileSystem): number => 1 - disk.avail / disk.size;
  const fullest = disks.reduce<FileSystem | null>((best, disk) => (best === null || used(disk) > used(best) ? disk : best), null);
  const root = disks.find((disk) => disk.mountpoint === '/') ?? null;
  if (root === null || fullest === null) return fullest;
  return used(fullest) >= DISK_WARN && used(fullest) > used(root) ? fullest : root;
}

export interface Tile {
  readonly id: string;
  readonly title: string;
  /** What stands at the right of the title. */
  readonly note: string;
  readonly grade: Grade;
  /** null while there is no sample. */
  readonly value: Shown | null;
  readonly line: Line | null;
  /** A second, thinner line. */
  readonly second: Line | null;
  /** Top of the vertical axis, or null for the data's own. */
  readonly top: number | null;
  /** What Explore shows for it. */
  readonly query: string;
}

/** Seconds by which a line's end lies behind `nowS`, when that is more than its rhythm explains; else null. */
export function behind(line: Line | null, nowS: number, stepS: number): number | null {
  const last = line?.times[line.times.length - 1];
  if (last === undefined) return null;
  const age = nowS - last;
  return age > Math.max(30, stepS * 3) ? age : null;
}

const newest = (line: Line | undefined): number | null => line?.values[line.values.length - 1] ?? null;

function grade(value: number | null, warn: number, crit: number): Grade {
  if (value === null || value < warn) return 'ok';
  return value < crit ? 'warn' : 'crit';
}

/** The tiles in reading order. Thresholds are the usual ones of hosts: 90 % CPU, 90/95 % memory, twice the cores, 85/95 % disk. */
export function tilesOf(lines: ReadonlyMap<string, Line>, facts: Facts, subject: Subject): Tile[] {
  const queries = partQueries(subject);
  const cpu = newest(lines.get('cpu'));
  const memory = newest(lines.get('memory'));
  const load = newest(lines.get('load'));
  const disk = newest(lines.get('disk'));
  const receive = newest(lines.get('receive'));
  const transmit = newest(lines.get('transmit'));
  const hasPressure = lines.has('stalled');
  const stalled = newest(lines.get(hasPressure ? 'stalled' : 'busy'));
  const share = memory !== null && facts.memory !== null ? memory / facts.memory : null;
  const chosen = facts.disks.find((one) => one.mountpoint === subject.mountpoint);
  const cores = facts.cores ?? 1;
  const value = (number: number | null, unit: Parameters<typeof steady>[1]): Shown | null => (number === null ? null : steady(number, unit));
  /** What is wrong stands where otherwise the context stands. */
  const note = (at: Grade, calm: string, wrong = GRADE_WORD[at]): string => (at === 'ok' ? calm : wrong);
  const cpuGrade = grade(cpu, 0.9, 0.98);
  const loadGrade = grade(load, cores * 2, cores * 4);
  const stalledGrade = hasPressure ? grade(stalled, 0.2, 0.5) : grade(stalled, 0.9, 0.98);
  return [
    { id: 'cpu', title: 'CPU busy', note: note(cpuGrade, facts.cores === null ? '' : `of ${facts.cores} ${facts.cores === 1 ? 'core' : 'cores'}`), grade: cpuGrade, value: value(cpu === null ? null : Math.max(0, cpu), 'ratio'), line: lines.get('cpu') ?? null, second: null, top: 1, query: queries.cpu },
    { id: 'memory', title: 'Memory', note: share === null ? '' : `${format(share, 'ratio', 2)} of ${format(facts.memory ?? 0, 'bytes', 3)}`, grade: grade(share, 0.9, 0.95), value: value(memory, 'bytes'), line: lines.get('memory') ?? null, second: null, top: facts.memory, query: queries.memory },
    { id: 'load', title: 'Load', note: note(loadGrade, '1 min', `${format((load ?? 0) / cores, 'none', 2)} per core`), grade: loadGrade, value: value(load, 'none'), line: lines.get('load') ?? null, second: null, top: null, query: queries.load },
    { id: 'disk', title: `Disk ${subject.mountpoint}`, note: chosen === undefined ? '' : `${format(chosen.avail, 'bytes', 3)} free`, grade: grade(disk, DISK_WARN, DISK_CRIT), value: value(disk, 'ratio'), line: lines.get('disk') ?? null, second: null, top: 1, query: queries.disk },
    { id: 'network', title: 'Network in', note: transmit === null ? '' : `out ${format(transmit, 'bits/s', 3)}`, grade: 'ok', value: value(receive, 'bits/s'), line: lines.get('receive') ?? null, second: lines.get('transmit') ?? null, top: null, query: queries.receive },
    hasPressure
      ? { id: 'stalled', title: 'Stalled on IO', note: note(stalledGrade, 'pressure'), grade: stalledGrade, value: value(stalled, 'ratio'), line: lines.get('stalled') ?? null, second: null, top: null, query: queries.stalled }
      : { id: 'busy', title: 'Disk busy', note: note(stalledGrade, 'share of time'), grade: stalledGrade, value: value(stalled, 'ratio'), line: lines.get('busy') ?? null, second: null, top: null, query: queries.busy },
  ];
}

/** A grade in words. */
export const GRADE_WORD: Record<Grade, string> = { ok: '', warn: 'high', crit: 'very high' };
