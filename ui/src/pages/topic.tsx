/** The newest messages of a topic, live; or those from an offset on. */
import { type FormEvent, Fragment, useState } from 'react';
import { Icon } from '../components/icon';
import { Json } from '../components/json';
import { Link } from '../components/link';
import { Empty, Failed, LiveMark, Reconnecting, RowSkeleton, Stale } from '../components/states';
import { useRows } from '../components/use-rows';
import { useLoaded } from '../lib/api';
import { bytes, number, time } from '../lib/format';
import { useShortcuts } from '../lib/keys';
import { useStream } from '../lib/stream';
import type { Message, Messages, Part, Shown } from '../lib/types';
import { hrefOf, useParam } from '../lib/url';

export function TopicPage({ name }: { name: string }) {
  const [partition, setPartition] = useParam('partition');
  const [offset, setOffset] = useParam('offset');
  const [search, setSearch] = useParam('q');
  const [paused, setPaused] = useState(false);
  const [open, setOpen] = useState<string | null>(null);
  const { list, filter } = useRows();
  const at = partition !== '' && offset !== '';
  const where = `${encodeURIComponent(name)}/messages?n=50&partition=${partition}&offset=${offset}`;
  const loaded = useLoaded<Messages>(at ? `/api/topics/${where}` : null);
  const stream = `/api/stream?page=topic&name=${encodeURIComponent(name)}${partition && `&partition=${partition}`}`;
  const live = useStream(at ? null : stream, paused || open !== null);
  useShortcuts({ p: () => setPaused((now) => !now) });
  const streamed = live.parts.messages as Part<Messages> | undefined;
  const part: Part<Messages> | undefined = !at
    ? streamed
    : loaded.data
      ? { state: 'ok', ...loaded.data }
      : loaded.error
        ? { state: 'error', message: loaded.error }
        : undefined;
  const data = part?.state === 'ok' ? part : null;
  const bounds = data?.partitions ?? [];
  const records = bounds.reduce((sum, p) => sum + p.end - p.start, 0);
  const messages = (data?.messages ?? []).filter((m) => search === '' || contains(m, search.toLowerCase()));
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const text = String(new FormData(event.currentTarget).get('offset') ?? '');
    if (text !== '' && partition === '') setPartition('0');
    setOffset(text || null);
  };
  return (
    <div className="page">
      <div className="page-head">
        <div className="titles">
          <h1 className="mono">
            <Link to={hrefOf.topics()} className="back" aria-label="All topics"><Icon name="back" /></Link>
            {name}
          </h1>
          <p className="about">{data ? `${bounds.length} ${bounds.length === 1 ? 'partition' : 'partitions'} · ${number(records)} offsets` : '\u00a0'}</p>
        </div>
        {!at && <LiveMark status={live.status} paused={paused || open !== null} />}
        {!at && (
          <button className="button quiet" aria-pressed={paused} onClick={() => setPaused(!paused)} title="Pause (p)">
            <Icon name={paused ? 'play' : 'pause'} />
            {paused ? 'Go on' : 'Pause'}
          </button>
        )}
        <label className="field">
          Partition
          <select value={partition} onChange={(e) => setPartition(e.target.value || null)}>
            <option value="">all</option>
            {(bounds.length > 0 ? bounds.map((p) => String(p.partition)) : [partition].filter(Boolean)).map((p) => <option key={p}>{p}</option>)}
          </select>
        </label>
        <form onSubmit={submit}>
          <label className="field">
            From offset
            <input key={offset} name="offset" inputMode="numeric" pattern="[0-9]*" defaultValue={offset} placeholder="newest" size={9} />
          </label>
        </form>
        <input ref={filter} type="search" className="search" placeholder="Filter ( / )" aria-label="Filter messages" value={search} onChange={(e) => setSearch(e.target.value)} />
      </div>
      {!at && <Reconnecting status={live.status} />}
      {part?.state === 'ok' && part.error && <Stale message={part.error} />}
      {part === undefined && <RowSkeleton rows={12} />}
      {part?.state === 'error' && <Failed message={part.message} hint="It is tried again by itself." />}
      {data && messages.length === 0 && (
        <Empty title={search ? 'No message shown contains that' : 'No messages'} text={search ? 'The filter looks at the messages on this page only.' : 'The first one that is written shows here by itself.'} busy={!search && !at} />
      )}
      {messages.length > 0 && (
        <div className="card">
          <table className="list messages">
            <thead>
              <tr>
                <th scope="col" className="num wide">Partition</th>
                <th scope="col" className="num">Offset</th>
                <th scope="col" className="wide">Time</th>
                <th scope="col">Key</th>
                <th scope="col">Value</th>
              </tr>
            </thead>
            <tbody ref={list}>
              {messages.map((m) => {
                const id = `${m.partition}-${m.offset}`;
                return <MessageRow key={id} message={m} open={open === id} onToggle={() => setOpen(open === id ? null : id)} />;
              })}
            </tbody>
          </table>
        </div>
      )}
    </div>
  );
}

function MessageRow({ message: m, open, onToggle }: { message: Message; open: boolean; onToggle: () => void }) {
  return (
    <Fragment>
      <tr className={`link-row${open ? ' open' : ''}`} onClick={onToggle}>
        <td className="num wide dim">{m.partition}</td>
        <td className="num">
          <button data-row className="plain mono" aria-expanded={open} aria-label={`Message ${m.partition}-${m.offset}`} onClick={(e) => { e.stopPropagation(); onToggle(); }}>
            {m.offset}
          </button>
        </td>
        <td className="wide dim nowrap">{time(m.timestamp, Date.now(), true)}</td>
        <td className="mono key">{m.key === null ? <span className="dim">–</span> : line(m.key)}</td>
        <td className="mono preview">{m.value === null ? <span className="badge calm">tombstone</span> : line(m.value)}</td>
      </tr>
      {open && (
        <tr className="detail">
          <td colSpan={5}>
            <dl className="facts">
              <div><dt>Partition</dt><dd>{m.partition}</dd></div>
              <div><dt>Time</dt><dd>{time(m.timestamp, 0, true)}</dd></div>
              <div><dt>Key</dt><dd>{kind(m.key)}</dd></div>
              <div><dt>Value</dt><dd>{kind(m.value)}</dd></div>
            </dl>
            {m.key && <Whole shown={m.key} name="Key" />}
            {m.value && <Whole shown={m.value} name="Value" />}
            {m.headers.length > 0 && (
              <table className="data headers">
                <thead><tr><th scope="col">Header</th><th scope="col">Value</th></tr></thead>
                <tbody>{m.headers.map(([name, value], i) => <tr key={i}><td className="mono">{name}</td><td className="mono">{value ? line(value) : '–'}</td></tr>)}</tbody>
              </table>
            )}
          </td>
        </tr>
      )}
    </Fragment>
  );
}

function Whole({ shown, name }: { shown: Shown; name: string }) {
  return (
    <section>
      <h3>{name}</h3>
      <pre tabIndex={0}>{'data' in shown ? <Json value={shown.data} /> : shown.text}</pre>
      {'cut' in shown && shown.cut && <p className="dim">Cut: the whole has {bytes(shown.bytes)}.</p>}
      {'problem' in shown && shown.problem && <p className="dim">{shown.problem}</p>}
    </section>
  );
}

/** On one line. */
function line(shown: Shown): string {
  const text = 'data' in shown ? JSON.stringify(shown.data) : shown.text;
  return text.length > 400 ? `${text.slice(0, 400)}…` : text;
}

function kind(shown: Shown | null): string {
  if (shown === null) return 'none';
  const schema = 'schema_id' in shown && shown.schema_id !== undefined ? `, schema ${shown.schema_id}` : '';
  return `${shown.format}${schema}, ${bytes(shown.bytes)}`;
}

function contains(message: Message, text: string): boolean {
  return [message.key, message.value].some((shown) => shown !== null && line(shown).toLowerCase().includes(text));
}
