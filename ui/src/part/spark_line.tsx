/** A small live chart without axes: one filled line, optionally a second thin one. */

import { createMemo, Show, type JSX } from 'solid-js';
import { paths, spanOf } from '../plain/spark.ts';
import type { Line } from '../plain/tail.ts';

const WIDTH = 240;
const HEIGHT = 44;

export function SparkLine(props: { line: Line; second?: Line | null; top: number | null; fromS: number; toS: number; gapS: number; label: string; tone: string }): JSX.Element {
  const box = createMemo(() => ({ width: WIDTH, height: HEIGHT, fromS: props.fromS, toS: props.toS, ...spanOf(props.second ? [props.line, props.second] : [props.line], props.top) }));
  const drawn = createMemo(() => paths(props.line, box(), props.gapS));
  return (
    <svg class={`spark ${props.tone}`} viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={props.label} data-points={props.line.times.length}>
      <path class="area" d={drawn().fill} />
      <Show when={props.second}>{(second) => <path class="stroke thin" d={paths(second(), box(), props.gapS).stroke} />}</Show>
      <path class="stroke" d={drawn().stroke} />
    </svg>
  );
}
