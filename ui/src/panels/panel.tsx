/** The frame of a panel: title, hint, actions; and what it shows, or why it shows nothing. */
import { memo, useState } from 'react';
import { Icon } from '../components/icon';
import type { Theme } from '../lib/theme';
import type { BarsData, LinesData, MapData, PanelDef, Part, StatData, TableData, TopData } from '../lib/types';
import { AsTable } from './as-table';
import { Bars } from './bars';
import { Stat } from './stat';
import { Table } from './table';
import { TimeSeries } from './timeseries';
import { Top } from './top';
import { WorldMap } from './world-map';

export type AnyData = LinesData & TopData & BarsData & StatData & TableData & MapData;

type Props = {
  def: PanelDef;
  part: Part<AnyData> | undefined;
  theme: Theme;
  skew: number;
  enlarged: boolean;
  onEnlarge: (id: string | null) => void;
};

export const Panel = memo(function Panel({ def, part, theme, skew, enlarged, onEnlarge }: Props) {
  const [asTable, setAsTable] = useState(false);
  const chart = def.kind !== 'table' && def.kind !== 'stat';
  const { x, y, w, h } = def.grid;
  const place = { '--x': x + 1, '--y': y + 1, '--w': w, '--h': h } as React.CSSProperties;
  const title = `${def.id}-title`;
  return (
    <section
      className={`panel ${def.kind}${w <= 3 && def.kind === 'stat' ? ' small' : ''}${enlarged ? ' enlarged' : ''}`}
      style={place}
      aria-labelledby={title}
      data-panel={def.id}
    >
      <header>
        <h2 id={title} title={`${def.hint ? `${def.hint} — ` : ''}${def.from}`}>{def.title}</h2>
        {part?.state === 'ok' && part.error && (
          <span className="stale-mark" title={part.error} role="img" aria-label={`Not up to date: ${part.error}`}>
            <Icon name="warn" />
          </span>
        )}
        {def.hint && def.kind !== 'stat' && <p className="hint">{def.hint}</p>}
        <div className="panel-tools">
          {chart && (
            <button className="icon" aria-pressed={asTable} onClick={() => setAsTable(!asTable)} aria-label={`${def.title}: show as ${asTable ? 'chart' : 'table'}`} title={asTable ? 'Chart' : 'Table'}>
              <Icon name={asTable ? 'chart' : 'table'} />
            </button>
          )}
          {(chart || enlarged || def.kind === 'table') && (
            <button className="icon" onClick={() => onEnlarge(enlarged ? null : def.id)} aria-label={`${def.title}: ${enlarged ? 'close' : 'enlarge'}`} title={enlarged ? 'Close (Esc)' : 'Enlarge'}>
              <Icon name={enlarged ? 'close' : 'expand'} />
            </button>
          )}
        </div>
      </header>
      <div className="panel-body">
        <Body def={def} part={part} theme={theme} skew={skew} asTable={asTable && chart} />
      </div>
    </section>
  );
});

type BodyProps = Pick<Props, 'def' | 'part' | 'theme' | 'skew'> & { asTable: boolean };

function Body({ def, part, theme, skew, asTable }: BodyProps) {
  if (part === undefined) return <div className={`panel-skeleton ${def.kind}`} aria-hidden="true"><span className="bone" /></div>;
  if (part.state === 'waiting') {
    return (
      <div className="panel-empty" role="status">
        <p className="what">{part.message}</p>
        {part.awaits && <p>{part.awaits}</p>}
      </div>
    );
  }
  if (part.state === 'error') {
    return (
      <div className="panel-empty failed" role="alert">
        <Icon name="warn" />
        <p className="what">{part.message}</p>
        <p>It is tried again by itself.</p>
      </div>
    );
  }
  if (asTable) return <AsTable def={def} data={part} />;
  switch (def.kind) {
    case 'timeseries':
      return <TimeSeries def={def} data={part} theme={theme} />;
    case 'top':
      return <Top def={def} data={part} />;
    case 'bars':
      return <Bars def={def} data={part} theme={theme} />;
    case 'stat':
      return <Stat def={def} data={part} skew={skew} />;
    case 'table':
      return <Table data={part} />;
    case 'map':
      return <WorldMap def={def} data={part} />;
  }
}
