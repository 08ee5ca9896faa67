/** Bars of stacked parts, lying. */
import { compact, number } from '../lib/format';
import { color } from '../lib/colors';
import type { Theme } from '../lib/theme';
import type { BarsData, PanelDef } from '../lib/types';

export function Bars({ def, data, theme }: { def: PanelDef; data: BarsData; theme: Theme }) {
  const sums = data.values.map((row) => row.reduce<number>((sum, v) => sum + (v ?? 0), 0));
  const most = Math.max(...sums, 1e-9);
  const unit = def.unit ? ` ${def.unit}` : '';
  return (
    <div className="bars-body" role="img" aria-label={`${def.title}: ${data.bars.map((bar, i) => `${bar} ${number(sums[i], def.decimals)}${unit}`).join(', ')}`}>
      <div className="bars-list">
        {data.bars.map((bar, i) => (
          <div className="bar-row" key={bar}>
            <span className="name">{bar}</span>
            <span className="track">
              {data.parts.map((part, j) => {
                const value = data.values[i]?.[j] ?? 0;
                const style = { width: `${(100 * value) / most}%`, background: color(theme, j) };
                return <span key={part} style={style} title={`${bar}, ${part}: ${number(value, def.decimals)}${unit}`} />;
              })}
            </span>
            <span className="num">{compact(sums[i], def.decimals)}</span>
          </div>
        ))}
      </div>
      <ul className="keys-line" aria-hidden="true">
        {data.parts.map((part, j) => (
          <li key={part}><i style={{ background: color(theme, j) }} />{part}</li>
        ))}
        {def.unit && <li className="unit-note">{def.unit}</li>}
      </ul>
    </div>
  );
}
