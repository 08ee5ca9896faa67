/** Lines over time by uPlot, with a legend of values: at the cursor, else the newest. */
import { memo, useEffect, useMemo, useRef, useState } from 'react';
import uPlot from 'uplot';
import { useSize } from '../components/size';
import { Palette, color } from '../lib/colors';
import { compact, number, time } from '../lib/format';
import type { Theme } from '../lib/theme';
import type { LinesData, Maybe, PanelDef } from '../lib/types';

type Props = { def: PanelDef; data: LinesData; theme: Theme };

/** Lines on top of each other: each is the sum of itself and those before it. */
export function stack(lines: readonly (readonly Maybe[])[]): Maybe[][] {
  const sums: number[] = [];
  return lines.map((line) =>
    line.map((value, i) => {
      sums[i] = (sums[i] ?? 0) + (value ?? 0);
      return value === null ? null : sums[i];
    }),
  );
}

export const TimeSeries = memo(function TimeSeries({ def, data, theme }: Props) {
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const [cursor, setCursor] = useState<number | null>(null);
  const palette = useRef(new Palette());
  const shown = data.series.filter((s) => !hidden.has(s.key));
  const newest = (values: readonly Maybe[]) => values.findLast((v) => v !== null) ?? null;
  const at = cursor === null ? null : (data.times[cursor] ?? null);
  const summary = data.series.map((s) => `${s.name || def.title} ${number(newest(s.values), def.decimals)}`).join(', ');
  const toggle = (key: string, only: boolean) => {
    const others = data.series.map((s) => s.key).filter((k) => k !== key);
    const isolated = others.length > 0 && others.every((k) => hidden.has(k)) && !hidden.has(key);
    if (only) setHidden(new Set(isolated ? [] : others));
    else setHidden(new Set(hidden.has(key) ? [...hidden].filter((k) => k !== key) : [...hidden, key]));
  };
  const legend = data.series.length > 1;
  return (
    <div className={`lines${legend ? ' with-legend' : ''}`}>
      <div className="plot" role="img" aria-label={`${def.title}, now: ${summary}`}>
        <Plot def={def} times={data.times} series={shown} colors={shown.map((s) => color(theme, palette.current.place(s.key)))} theme={theme} onCursor={setCursor} />
      </div>
      {legend && (
        <div className="legend">
          <p className="legend-time">{at === null ? 'now' : time(at)}</p>
          <ul className="scroll">
            {data.series.map((s) => (
              <li key={s.key}>
                <button
                  aria-pressed={!hidden.has(s.key)}
                  title="Click: only this one. Shift and click: without this one."
                  onClick={(event) => toggle(s.key, !event.shiftKey)}
                >
                  <i style={{ background: color(theme, palette.current.place(s.key)) }} aria-hidden="true" />
                  <span className="name">{s.name}</span>
                  <span className="num">{compact(cursor === null ? newest(s.values) : s.values[cursor], def.decimals)}</span>
                </button>
              </li>
            ))}
          </ul>
        </div>
      )}
    </div>
  );
});

type PlotProps = {
  def: PanelDef;
  times: readonly number[];
  series: LinesData['series'];
  colors: string[];
  theme: Theme;
  onCursor: (i: number | null) => void;
};

function Plot({ def, times, series, colors, theme, onCursor }: PlotProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const { width, height } = useSize(box);
  const values = useMemo((): uPlot.AlignedData => {
    const lines = def.stacked ? stack(series.map((s) => s.values)) : series.map((s) => s.values);
    return [times.map((t) => t / 1000), ...lines] as uPlot.AlignedData;
  }, [times, series, def.stacked]);
  const latest = useRef(values);
  latest.current = values;
  const shape = `${theme} ${series.map((s) => s.key).join('\u0000')} ${colors.join(' ')}`;
  const ready = width > 0 && height > 0;
  useEffect(() => {
    const element = box.current;
    if (!element || !ready) return;
    const size = { width: element.clientWidth, height: element.clientHeight };
    const made = new uPlot({ ...size, ...options(def, series.map((s) => s.name), colors, theme, onCursor) }, latest.current, element);
    plot.current = made;
    return () => {
      made.destroy();
      plot.current = null;
    };
    // The shape holds all that the options are made of.
    // eslint-disable-next-line
  }, [shape, ready, def]);
  useEffect(() => plot.current?.setData(values), [values]);
  useEffect(() => {
    if (ready) plot.current?.setSize({ width, height });
  }, [width, height, ready]);
  return <div ref={box} className="plot-box" />;
}

function options(
  def: PanelDef,
  names: string[],
  colors: string[],
  theme: Theme,
  onCursor: (i: number | null) => void,
): Omit<uPlot.Options, 'width' | 'height'> {
  const ink = theme === 'dark' ? '#8b98a8' : '#66717f';
  const grid = { stroke: theme === 'dark' ? '#232b35' : '#eceff2', width: 1 };
  const font = '11px system-ui, sans-serif';
  const alone = names.length === 1;
  return {
    legend: { show: false },
    cursor: {
      y: false,
      points: { size: 7, width: 2 },
      sync: { key: 'time' },
      drag: { x: false, y: false },
    },
    scales: { x: { time: true }, y: { range: (_, __, most) => [0, most > 0 ? most * 1.08 : 1] } },
    axes: [
      { stroke: ink, font, grid: { show: false }, ticks: { ...grid, size: 4 }, size: 26, gap: 4, space: 70, values: clock },
      {
        stroke: ink,
        font,
        grid,
        ticks: { show: false },
        gap: 6,
        space: 34,
        size: (_, labels) => 14 + 6.4 * Math.max(2, ...(labels ?? []).map((l) => l.length)),
        values: (_, ticks) => ticks.map((tick) => compact(tick)),
      },
    ],
    series: [
      {},
      ...names.map((label, i): uPlot.Series => ({
        label,
        stroke: colors[i] ?? ink,
        width: 1.6,
        spanGaps: false,
        ...(def.stacked || alone ? { fill: `${colors[i]}${def.stacked ? '55' : '1f'}` } : {}),
        points: { show: (u, s) => (u.data[s] ?? []).filter((v) => v !== null && v !== undefined).length < 3, size: 5 },
      })),
    ],
    // Later series are drawn over earlier ones; in a stack the lower must be over the higher.
    ...(def.stacked ? { bands: names.slice(1).map((_, i): uPlot.Band => ({ series: [i + 2, i + 1] })) } : {}),
    hooks: { setCursor: [(u) => onCursor(u.cursor.idx ?? null)] },
  };
}

const two = (n: number) => String(n).padStart(2, '0');

/** Times of day; the day where it is midnight. */
function clock(_: uPlot, ticks: number[], __: number, ___: number, step: number): string[] {
  return ticks.map((tick) => {
    const at = new Date(tick * 1000);
    const day = `${two(at.getMonth() + 1)}-${two(at.getDate())}`;
    if (step >= 86_400) return day;
    const hour = `${two(at.getHours())}:${two(at.getMinutes())}`;
    if (step < 60) return `${hour}:${two(at.getSeconds())}`;
    return hour === '00:00' ? day : hour;
  });
}
