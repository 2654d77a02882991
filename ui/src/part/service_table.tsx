/** Services as rows: state, name, how found, instances, targets, tags. */

import { For, Index, Show, type JSX } from 'solid-js';
import { to } from '../base.ts';
import { judge, type Service } from '../plain/service.ts';
import { StateMark } from './mark.tsx';

export const serviceHref = (name: string): string => `/services/${encodeURIComponent(name)}`;

export function ServiceTable(props: { services: readonly Service[] }): JSX.Element {
  return (
    <div class="scroll" role="region" aria-label="Services" tabindex="0">
      <table>
        <thead>
          <tr><th scope="col">State</th><th scope="col">Service</th><th scope="col" class="wide">Found by</th><th scope="col" class="num">Passing</th><th scope="col" class="num">Targets up</th><th scope="col" class="wide">Tags</th></tr>
        </thead>
        <tbody>
          <Index each={props.services}>
            {(service) => {
              const judged = () => judge(service());
              const targets = () => service().targets_up + service().targets_down;
              return (
                <tr>
                  <td><StateMark state={judged().state} word={judged().word} /></td>
                  <td><a class="row-link" href={to(serviceHref(service().name))} data-page data-row>{service().name}</a></td>
                  <td class="wide muted">{service().how}</td>
                  <td class="num"><Show when={service().passing + service().warning + service().critical > 0} fallback={<span class="muted">–</span>}>{service().passing} / {service().instances}</Show></td>
                  <td class="num"><Show when={targets() > 0} fallback={<span class="muted"><span class="wide">not scraped</span><span class="narrow">–</span></span>}>{service().targets_up} / {targets()}</Show></td>
                  <td class="wide"><span class="labels"><For each={service().tags}>{(tag) => <span class="label">{tag}</span>}</For></span></td>
                </tr>
              );
            }}
          </Index>
        </tbody>
      </table>
    </div>
  );
}
