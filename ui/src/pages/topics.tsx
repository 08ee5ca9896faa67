/** All topics. */
import { useNow } from '../components/clock';
import { Link } from '../components/link';
import { Empty, Failed, LiveMark, Reconnecting, RowSkeleton, Stale } from '../components/states';
import { useRows } from '../components/use-rows';
import { ago, number } from '../lib/format';
import { useStream } from '../lib/stream';
import type { Part, Topic } from '../lib/types';
import { go, hrefOf, useParam } from '../lib/url';

export function TopicsPage() {
  const { parts, status, skew } = useStream('/api/stream?page=topics');
  const part = parts.topics as Part<{ topics: Topic[] }> | undefined;
  const [search, setSearch] = useParam('q');
  const [internal, setInternal] = useParam('internal');
  const { list, filter } = useRows();
  const now = useNow(1000, skew);
  const all = part?.state === 'ok' ? part.topics : [];
  const hidden = all.filter((t) => t.internal).length;
  const shown = all.filter((t) => (internal === '1' || !t.internal) && t.name.toLowerCase().includes(search.toLowerCase()));
  return (
    <div className="page">
      <div className="page-head">
        <div className="titles">
          <h1>Topics</h1>
          <p className="about">{part?.state === 'ok' ? `${number(shown.length)} shown${internal !== '1' && hidden ? `, ${hidden} internal hidden` : ''}` : '\u00a0'}</p>
        </div>
        <LiveMark status={status} />
        <label className="check"><input type="checkbox" checked={internal === '1'} onChange={(e) => setInternal(e.target.checked ? '1' : null)} /> Internal</label>
        <input ref={filter} type="search" className="search" placeholder="Filter ( / )" aria-label="Filter topics" value={search} onChange={(e) => setSearch(e.target.value)} />
      </div>
      <Reconnecting status={status} />
      {part?.state === 'ok' && part.error && <Stale message={part.error} />}
      {part === undefined && <RowSkeleton />}
      {part?.state === 'error' && <Failed message={part.message} hint="It is tried again by itself." />}
      {part?.state === 'ok' && shown.length === 0 && (
        <Empty
          title={search ? 'No topic has that name' : 'There are no topics yet'}
          text={search ? `Nothing contains “${search}”.` : 'They come with the first connector, statement or producer.'}
        />
      )}
      {shown.length > 0 && (
        <div className="card">
          <table className="list">
            <thead>
              <tr>
                <th scope="col">Topic</th>
                <th scope="col" className="num wide">Partitions</th>
                <th scope="col" className="num" title="Ends minus starts of all partitions; markers of transactions count too">Offsets</th>
                <th scope="col" className="num" title="Offsets a second">Rate</th>
                <th scope="col" className="num wide">Newest</th>
              </tr>
            </thead>
            <tbody ref={list}>
              {shown.map((topic) => (
                <tr key={topic.name} className="link-row" onClick={() => go(hrefOf.topic(topic.name))}>
                  <td><Link data-row to={hrefOf.topic(topic.name)} onClick={(e) => e.stopPropagation()} className="mono">{topic.name}</Link></td>
                  <td className="num wide">{topic.partitions}</td>
                  <td className="num">{number(topic.offsets)}</td>
                  <td className={`num ${topic.rate ? '' : 'dim'}`}>{topic.rate === null ? '–' : <>{number(topic.rate)}<span className="unit">/s</span></>}</td>
                  <td className="num wide dim">{topic.newest === null ? '–' : ago(now - topic.newest)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </div>
  );
}
