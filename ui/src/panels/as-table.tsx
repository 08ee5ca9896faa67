/** A chart's numbers as a table: for those who do not see the chart, and for reading one off. */
import { number, time } from '../lib/format';
import type { PanelDef } from '../lib/types';
import type { AnyData } from './panel';

/** Headings and rows of what a panel shows, newest first for what runs over time. */
export function rowsOf(def: PanelDef, data: AnyData): { head: string[]; rows: string[][] } {
  const value = def.unit ?? 'value';
  switch (def.kind) {
    case 'timeseries': {
      const at = (i: number) => [time(data.times[i] ?? 0), ...data.series.map((s) => number(s.values[i], def.decimals))];
      return {
        head: ['time', ...data.series.map((s) => s.name || value)],
        rows: data.times.map((_, i) => at(data.times.length - 1 - i)),
      };
    }
    case 'top':
      return { head: ['', value], rows: data.bars.map((b) => [b.name, number(b.value, def.decimals)]) };
    case 'bars': {
      const bars = data.bars as unknown as string[];
      const row = (bar: string, i: number) => [bar, ...data.parts.map((_, j) => number(data.values[i]?.[j], def.decimals))];
      return { head: ['', ...data.parts], rows: bars.map(row) };
    }
    case 'map': {
      const places = [...data.points].sort((a, b) => b[2] - a[2]);
      const row = (p: (typeof places)[number]) => [p[3] || '–', number(p[2]), p[0].toFixed(1), p[1].toFixed(1)];
      return { head: ['place', value, 'longitude', 'latitude'], rows: places.map(row) };
    }
    default:
      return { head: [], rows: [] };
  }
}

export function AsTable({ def, data }: { def: PanelDef; data: AnyData }) {
  const { head, rows } = rowsOf(def, data);
  return (
    <div className="scroll" tabIndex={0} role="region" aria-label={`${def.title}, as a table`}>
      <table className="data">
        <thead>
          <tr>{head.map((name, i) => <th key={i} scope="col" className={i > 0 ? 'num' : ''}>{name}</th>)}</tr>
        </thead>
        <tbody>
          {rows.map((row, r) => (
            <tr key={r}>{row.map((cell, i) => <td key={i} className={i > 0 ? 'num' : ''}>{cell}</td>)}</tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
