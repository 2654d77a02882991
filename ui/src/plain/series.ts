/** Series as label sets: names for people, keys for maps, what a group has in common. */

export type Labels = Readonly<Record<string, string>>;

const PLAIN_NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const PLAIN_LABEL = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

/** A quoted PromQL string. */
export function quote(value: string): string {
  return `"${value.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')}"`;
}

/** Label names in reading order, the metric's name left out. */
export function labelNames(labels: Labels): string[] {
  return Object.keys(labels).filter((name) => name !== '__name__').sort();
}

/** `name{a="1",b="2"}`; names outside the classic alphabet are quoted, as PromQL reads them. */
export function seriesText(labels: Labels, without?: ReadonlySet<string>): string {
  const name = without?.has('__name__') === true ? '' : (labels.__name__ ?? '');
  const pairs = labelNames(labels)
    .filter((label) => without?.has(label) !== true)
    .map((label) => `${PLAIN_LABEL.test(label) ? label : quote(label)}=${quote(labels[label] ?? '')}`);
  if (name !== '' && !PLAIN_NAME.test(name)) return `{${[quote(name), ...pairs].join(', ')}}`;
  if (pairs.length === 0) return name === '' ? '{}' : name;
  return `${name}{${pairs.join(', ')}}`;
}

/** Equal for equal label sets, whatever their order. */
export function seriesKey(labels: Labels): string {
  return Object.keys(labels).sort().map((name) => `${name}\u0001${labels[name] ?? ''}`).join('\u0002');
}

/** Labels (the name included) that every set holds with one value. One set alone has nothing in common. */
export function commonLabels(sets: readonly Labels[]): Record<string, string> {
  const [first, ...rest] = sets;
  if (first === undefined || rest.length === 0) return {};
  const common: Record<string, string> = { ...first };
  for (const labels of rest) {
    for (const name of Object.keys(common)) {
      if (labels[name] !== common[name]) delete common[name];
    }
  }
  return common;
}
