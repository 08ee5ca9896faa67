/** The greatest, as bars behind their names. */
import { compact, number } from '../lib/format';
import type { PanelDef, TopData } from '../lib/types';

export function Top({ def, data }: { def: PanelDef; data: TopData }) {
  const most = Math.max(...data.bars.map((b) => b.value ?? 0), 1e-9);
  return (
    <ol className="top-list scroll" tabIndex={0} aria-label={def.title}>
      {data.bars.map((bar) => (
        <li key={bar.key}>
          <span className="fill" style={{ width: `${(100 * Math.max(bar.value ?? 0, 0)) / most}%` }} aria-hidden="true" />
          <span className="name" title={bar.name}>{bar.name}</span>
          <span className="num" title={number(bar.value)}>
            {compact(bar.value, def.decimals)}
            {def.unit && <span className="unit">{def.unit}</span>}
          </span>
        </li>
      ))}
    </ol>
  );
}
