/** One number, with a small line below it. */
import { useRef } from 'react';
import { useNow } from '../components/clock';
import { useSize } from '../components/size';
import { age, compact, number } from '../lib/format';
import type { Maybe, PanelDef, StatData } from '../lib/types';

export function Stat({ def, data, skew }: { def: PanelDef; data: StatData; skew: number }) {
  const values = data.spark?.values;
  return (
    <div className="stat-body">
      {def.age && data.value !== null ? (
        <Age at={data.value} skew={skew} />
      ) : (
        <p className="value" title={number(data.value)}>
          {data.value !== null && Math.abs(data.value) < 1e6 ? number(data.value, def.decimals) : compact(data.value, def.decimals)}
          {def.unit && <span className="unit">{def.unit}</span>}
        </p>
      )}
      {values && values.length > 1 && <Spark values={values} />}
    </div>
  );
}

function Age({ at, skew }: { at: number; skew: number }) {
  const now = useNow(200, skew);
  const ms = Math.max(now - at, 0);
  const [value, unit] = age(ms);
  const tone = ms < 5000 ? 'good' : ms < 60_000 ? '' : 'warn';
  return (
    <p className={`value ${tone}`}>
      {value}
      <span className="unit">{unit}</span>
    </p>
  );
}

/** The points of a line through the values, in a box; gaps are left out. */
export function sparkPath(values: readonly Maybe[], width: number, height: number): string {
  const known = values.filter((v): v is number => v !== null);
  const most = Math.max(...known, 1e-9);
  const least = Math.min(0, ...known);
  const step = width / Math.max(values.length - 1, 1);
  let path = '';
  let pen = 'M';
  values.forEach((value, i) => {
    if (value === null) {
      pen = 'M';
      return;
    }
    const y = height - 1 - ((value - least) / (most - least)) * (height - 2);
    path += `${pen}${(i * step).toFixed(1)} ${y.toFixed(1)}`;
    pen = 'L';
  });
  return path;
}

function Spark({ values }: { values: readonly Maybe[] }) {
  const ref = useRef<HTMLDivElement>(null);
  const { width, height } = useSize(ref);
  const line = width > 0 && height > 0 ? sparkPath(values, width, height) : '';
  return (
    <div className="spark" ref={ref} aria-hidden="true">
      <svg width={width} height={height}>
        <path d={line} fill="none" stroke="currentColor" strokeWidth="1.5" strokeLinejoin="round" />
      </svg>
    </div>
  );
}
