/** Places on a world map, drawn from outlines that come with the page. */
import { memo, useMemo, useRef, useState } from 'react';
import { borders, land } from 'virtual:world';
import { Icon } from '../components/icon';
import { useSize } from '../components/size';
import { number } from '../lib/format';
import { type Box, WORLD, fit, project } from '../lib/projection';
import type { MapData, PanelDef, Place } from '../lib/types';

type Dot = { x: number; y: number; r: number; place: Place };

/** Dots with areas by their counts, the greatest first so that small ones stay on top; radii in pixels. */
export function dots(points: readonly Place[]): Dot[] {
  const most = Math.max(...points.map((p) => p[2]), 1);
  return points
    .map((place) => {
      const [x, y] = project(place[0], place[1]);
      return { x, y, r: 3 + 11 * Math.sqrt(place[2] / most), place };
    })
    .sort((a, b) => b.r - a.r);
}

/** Widens a box to the proportions of the room it is shown in. */
export function widen(box: Box, width: number, height: number): Box {
  const scale = Math.min(width / box.w, height / box.h) || 1;
  const [w, h] = [width / scale, height / scale];
  return { x: box.x + (box.w - w) / 2, y: box.y + (box.h - h) / 2, w, h };
}

export const WorldMap = memo(function WorldMap({ def, data }: { def: PanelDef; data: MapData }) {
  const ref = useRef<HTMLDivElement>(null);
  const { width, height } = useSize(ref);
  const all = useMemo(() => dots(data.points), [data.points]);
  const [choice, setChoice] = useState<'fit' | 'world' | null>(null);
  const [over, setOver] = useState<Dot | null>(null);
  const fitted = useMemo(() => fit(all.map((d) => [d.x, d.y])), [all]);
  // Where all places are in one part of the world, that part is shown.
  const view = choice ?? (fitted.w < 260 ? 'fit' : 'world');
  const box = widen(view === 'fit' ? fitted : WORLD, width || 1, height || 1);
  const scale = (width || 1) / box.w;
  const total = data.points.reduce((sum, p) => sum + p[2], 0);
  const unit = def.unit ?? 'documents';
  const nearest = (event: React.PointerEvent) => {
    const rect = event.currentTarget.getBoundingClientRect();
    const x = box.x + (event.clientX - rect.left) / scale;
    const y = box.y + (event.clientY - rect.top) / scale;
    const away = (d: Dot) => Math.hypot(d.x - x, d.y - y) * scale - d.r;
    const near = all.reduce<Dot | null>((best, d) => (best === null || away(d) < away(best) ? d : best), null);
    setOver(near && away(near) < 8 ? near : null);
  };
  return (
    <div className="map-body" ref={ref}>
      <svg
        width={width}
        height={height}
        viewBox={`${box.x} ${box.y} ${box.w} ${box.h}`}
        role="img"
        aria-label={`${def.title}: ${number(total)} ${unit} at ${number(data.points.length)} places`}
        onPointerMove={nearest}
        onPointerLeave={() => setOver(null)}
      >
        <Countries scale={scale} />
        <g className="dots">
          {all.map((d) => (
            <circle key={`${d.place[0]} ${d.place[1]} ${d.place[3]}`} cx={d.x} cy={d.y} r={d.r / scale} strokeWidth={1 / scale} className={d === over ? 'over' : ''} />
          ))}
        </g>
      </svg>
      {over && (
        <div className="tip" style={{ left: Math.min(Math.max((over.x - box.x) * scale, 60), width - 60), top: (over.y - box.y) * scale - over.r }}>
          <strong>{over.place[3] || `${over.place[1].toFixed(1)}°, ${over.place[0].toFixed(1)}°`}</strong> {number(over.place[2])} {unit}
        </div>
      )}
      <div className="map-foot">
        <span>{number(total)} {unit} · {number(data.points.length)} places</span>
        <button className="icon" aria-pressed={view === 'world'} onClick={() => setChoice(view === 'world' ? 'fit' : 'world')} aria-label={view === 'world' ? 'Zoom to the places' : 'Show the whole world'} title={view === 'world' ? 'Zoom to the places' : 'Whole world'}>
          <Icon name={view === 'world' ? 'expand' : 'world'} />
        </button>
      </div>
    </div>
  );
});

const Countries = memo(function Countries({ scale }: { scale: number }) {
  return (
    <g>
      <path className="land" d={land} />
      <path className="borders" d={borders} strokeWidth={0.7 / scale} />
    </g>
  );
});
