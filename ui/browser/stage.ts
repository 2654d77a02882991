/** A browser and a server for the tests: the one `ISOBAR_URL` names, or `dev/server.mjs` over invented data. */

import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';

const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

export const SHAPES = [
  { name: 'dark wide', theme: 'dark', width: 1440, height: 900 },
  { name: 'light wide', theme: 'light', width: 1440, height: 900 },
  { name: 'dark 390', theme: 'dark', width: 390, height: 844 },
  { name: 'light 390', theme: 'light', width: 390, height: 844 },
] as const;
export type Shape = (typeof SHAPES)[number];

/** Every page; {@link Stage.pages} adds a service that exists. */
const PAGES = ['/', '/services', '/services/nothing-is-called-so', '/explore', '/explore?q=up&tab=graph', '/explore?q=up&tab=table', '/system/targets', '/system/targets?show=dropped'] as const;

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

/** `isobar up` over an empty folder, from the moment it answers. */
export async function startFresh(binary: string): Promise<{ url: string; stop: () => Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'isobar-browser-'));
  const [web, registry, exporter] = [await freePort(), await freePort(), await freePort()];
  const url = `http://127.0.0.1:${web}`;
  const child = spawn(binary, ['up', `--data-dir=${folder}/data`, `--web.listen-address=127.0.0.1:${web}`, `--registry.listen-address=127.0.0.1:${registry}`, `--exporter.listen-address=127.0.0.1:${exporter}`], { stdio: 'ignore' });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL');
    await ended;
    await rm(folder, { recursive: true, force: true });
  };
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const answer = await fetch(`${url}/-/ready`).catch(() => null);
    if (answer?.ok === true) return { url, stop };
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await stop();
  throw new Error(`${binary} up does not answer`);
}

export class Stage {
  private constructor(readonly url: string, readonly browser: Browser, private child: ChildProcess | null) {}

  static async open(prefix = ''): Promise<Stage> {
    const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS });
    const given = process.env.ISOBAR_URL;
    if (given !== undefined && given !== '' && prefix === '') return new Stage(given.replace(/\/$/, ''), browser, null);
    const port = await freePort();
    const stage = new Stage(`http://127.0.0.1:${port}${prefix}`, browser, null);
    await stage.startServer();
    return stage;
  }

  /** Every page, with something on it. */
  async pages(): Promise<string[]> {
    const answer = await fetch(`${this.url}/ui/services`);
    const { services } = (await answer.json()) as { services: { name: string }[] };
    return [...PAGES, ...services.slice(0, 1).map((service) => `/services/${encodeURIComponent(service.name)}`)];
  }

  /** True when the server is ours to stop. */
  get owned(): boolean {
    return this.child !== null;
  }

  async startServer(): Promise<void> {
    this.child = spawn(process.execPath, ['dev/server.mjs', new URL(this.url).port], { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, ISOBAR_UPSTREAM: '', ISOBAR_DEV_PREFIX: new URL(this.url).pathname.replace(/\/$/, '') } });
    await new Promise<void>((resolve, reject) => {
      this.child?.stdout?.once('data', () => resolve());
      this.child?.once('exit', (code) => reject(new Error(`dev/server.mjs ended with ${code}`)));
    });
  }

  async stopServer(): Promise<void> {
    const child = this.child;
    if (!child) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.removeAllListeners('exit');
    child.once('exit', () => undefined);
    child.kill('SIGKILL');
    await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 500))]);
  }

  /** A fresh profile. Whatever the page complains about, and whatever leaves our origin, is in `complaints`. */
  async visitor(shape: Shape = SHAPES[0]): Promise<{ context: BrowserContext; page: Page; complaints: string[] }> {
    const phone = shape.width < 500;
    const context = await this.browser.newContext({ viewport: { width: shape.width, height: shape.height }, colorScheme: shape.theme, isMobile: phone, hasTouch: phone, reducedMotion: 'reduce' });
    context.setDefaultTimeout(30_000);
    const page = await context.newPage();
    const complaints: string[] = [];
    page.on('pageerror', (error) => complaints.push(`error: ${error.message}`));
    page.on('console', (message) => {
      if (/Content Security Policy|Refused to/.test(message.text())) complaints.push(message.text());
    });
    page.on('request', (request) => {
      if (!request.url().startsWith(this.url) && !request.url().startsWith('data:') && !request.url().startsWith('blob:')) complaints.push(`foreign request: ${request.url()}`);
    });
    return { context, page, complaints };
  }

  /** Opens a path and waits until the page has said what it knows. */
  async open(page: Page, path: string): Promise<void> {
    await page.goto(this.url + path);
    await page.locator('main#main').waitFor();
    await page.waitForFunction(() => document.querySelector('main .waiting') === null && document.querySelector('h1')?.textContent !== '');
    if (path.startsWith('/explore')) await page.locator('.editor-host.ready').first().waitFor();
    if (path.includes('q=up&tab=graph')) await page.locator('.chart canvas').waitFor();
    await page.waitForTimeout(150);
  }

  async close(): Promise<void> {
    await this.browser.close();
    await this.stopServer();
  }
}
