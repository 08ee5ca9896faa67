/** Documents as rows; a column may have bars behind its numbers. */
import { number } from '../lib/format';
import type { Cell, TableData } from '../lib/types';

export function Table({ data }: { data: TableData }) {
  const numeric = data.columns.map((_, i) => data.rows.some((row) => typeof row[i] === 'number'));
  const most = data.columns.map((column, i) =>
    column.bar ? Math.max(...data.rows.map((row) => Number(row[i]) || 0), 1e-9) : 0,
  );
  return (
    <div className="scroll" tabIndex={0} role="region" aria-label="Table">
      <table className="data">
        <thead>
          <tr>{data.columns.map((column, i) => <th key={i} className={numeric[i] ? 'num' : ''} scope="col">{column.title}</th>)}</tr>
        </thead>
        <tbody>
          {data.rows.map((row, r) => (
            <tr key={r}>
              {data.columns.map((column, i) => {
                const cell = row[i] ?? null;
                const width = column.bar ? `${(100 * Math.max(Number(cell) || 0, 0)) / (most[i] ?? 1)}%` : '0';
                return (
                  <td key={i} className={`${numeric[i] ? 'num' : ''}${column.bar ? ' with-bar' : ''}`}>
                    {column.bar && <span className="cell-bar" aria-hidden="true"><span style={{ width }} /></span>}
                    <span>{shown(cell, column.decimals, i === 0)}{column.unit && <span className="unit">{column.unit}</span>}</span>
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** A number in the first column is an id: without group marks. */
function shown(cell: Cell, decimals: number | null, id: boolean): string {
  if (cell === null) return '–';
  if (typeof cell === 'number') return id && decimals === null ? String(cell) : number(cell, decimals);
  return String(cell);
}
