/** A dashboard: panels on a grid, live. */
import { useCallback, useState } from 'react';
import { Icon } from '../components/icon';
import { Empty, Failed, LiveMark, Reconnecting } from '../components/states';
import { useLoaded } from '../lib/api';
import { useShortcuts } from '../lib/keys';
import { useStream } from '../lib/stream';
import { useTheme } from '../lib/theme';
import type { Dashboard, Info, Part } from '../lib/types';
import { go, hrefOf, useParam } from '../lib/url';
import { type AnyData, Panel } from '../panels/panel';

const RANGES = ['5m', '15m', '1h', '24h', 'all'];

type Props = { name: string; others: Info['dashboards'] };

export function DashboardPage({ name, others }: Props) {
  const path = `/api/dashboards/${encodeURIComponent(name)}`;
  const { data: dashboard, error } = useLoaded<Dashboard>(path);
  const [theme] = useTheme();
  const [chosen, setRange] = useParam('range');
  const [enlarged, setEnlarged] = useParam('panel');
  const [paused, setPaused] = useState(false);
  const range = chosen || dashboard?.range || '15m';
  const stream = dashboard && `/api/stream?page=dashboard&name=${encodeURIComponent(name)}&range=${encodeURIComponent(range)}`;
  const { parts, status, skew } = useStream(stream, paused);
  const pick = useCallback(
    (to: string) => setRange(to === dashboard?.range ? null : to),
    [setRange, dashboard?.range],
  );
  const enlarge = useCallback((id: string | null) => setEnlarged(id), [setEnlarged]);
  const ranges = RANGES.includes(range) ? RANGES : [range, ...RANGES];
  const step = (by: number) => {
    const to = ranges[ranges.indexOf(range) + by];
    if (to) pick(to);
  };
  useShortcuts({
    '[': () => step(-1),
    ']': () => step(1),
    p: () => setPaused((now) => !now),
    Escape: () => setEnlarged(null),
  });
  if (error) return <Failed message={error} hint="It is tried again by itself." />;
  return (
    <div className={`page dashboard${enlarged ? ' has-enlarged' : ''}`}>
      <div className="page-head">
        <div className="titles">
          {others.length > 1 ? (
            <h1>
              <select aria-label="Dashboard" value={name} onChange={(event) => go(hrefOf.dashboard(event.target.value))}>
                {others.map((o) => <option key={o.name} value={o.name}>{o.title}</option>)}
              </select>
            </h1>
          ) : (
            <h1>{dashboard?.title ?? <span className="bone word" />}</h1>
          )}
          <p className="about">{dashboard?.description ?? '\u00a0'}</p>
        </div>
        <LiveMark status={status} paused={paused} />
        <button className="button quiet" aria-pressed={paused} onClick={() => setPaused(!paused)} title="Pause (p)">
          <Icon name={paused ? 'play' : 'pause'} />
          {paused ? 'Go on' : 'Pause'}
        </button>
        <fieldset className="segments">
          <legend className="unseen">Time range</legend>
          {ranges.map((r) => (
            <button key={r} aria-pressed={r === range} onClick={() => pick(r)} title={r === 'all' ? 'All there is' : `The last ${r}`}>
              {r}
            </button>
          ))}
        </fieldset>
      </div>
      <Reconnecting status={status} />
      <div className="grid">
        {dashboard
          ? dashboard.panels.map((def) => (
              <Panel
                key={def.id}
                def={def}
                part={parts[def.id] as Part<AnyData> | undefined}
                theme={theme}
                skew={skew}
                enlarged={enlarged === def.id}
                onEnlarge={enlarge}
              />
            ))
          : <GridSkeleton />}
      </div>
      {dashboard?.panels.length === 0 && <Empty title="This dashboard has no panels" text="They are listed under panels in its file." />}
    </div>
  );
}

/** A dashboard of which nothing is known yet. */
export function DashboardSkeleton() {
  return (
    <div className="page dashboard" aria-busy="true">
      <div className="page-head"><span className="unseen" role="status">Connecting</span></div>
      <div className="grid"><GridSkeleton /></div>
    </div>
  );
}

function GridSkeleton() {
  const places = [[1, 1, 3, 3], [4, 1, 3, 3], [7, 1, 3, 3], [10, 1, 3, 3], [1, 4, 6, 7], [7, 4, 6, 7]];
  return places.map(([x, y, w, h], i) => (
    <div key={i} className="panel" style={{ '--x': x, '--y': y, '--w': w, '--h': h } as React.CSSProperties} aria-hidden="true">
      <div className="panel-skeleton"><span className="bone" /></div>
    </div>
  ));
}
