/** SQL with its keywords told apart. */
import { Fragment } from 'react';

const WORDS =
  'CREATE|STREAM|TABLE|OR|REPLACE|AS|SELECT|FROM|WHERE|GROUP|BY|HAVING|PARTITION|EMIT|CHANGES|FINAL|JOIN|LEFT|RIGHT|FULL|OUTER|INNER|CROSS|ON|WITHIN|WITH|WINDOW|OVER|ORDER|AND|NOT|IN|IS|NULL|BETWEEN|CASE|WHEN|THEN|ELSE|END|INTERVAL|UNNEST|PRIMARY|KEY|CAST|LIKE|LIMIT|UNION|ALL|DISTINCT|TUMBLING|HOPPING|SESSION|SIZE|ADVANCE|GRACE|PERIOD';
const TOKENS = new RegExp(`('(?:''|[^'])*')|(--[^\\n]*)|\\b(${WORDS})\\b`, 'gi');

export function Sql({ text }: { text: string }) {
  const parts: [string, string][] = [];
  let from = 0;
  for (const match of text.matchAll(TOKENS)) {
    parts.push([text.slice(from, match.index), '']);
    parts.push([match[0], match[1] ? 'text' : match[2] ? 'note' : 'key']);
    from = match.index + match[0].length;
  }
  parts.push([text.slice(from), '']);
  return <pre className="sql" tabIndex={0}>{parts.map(([part, kind], i) => (kind ? <span key={i} className={`j-${kind}`}>{part}</span> : <Fragment key={i}>{part}</Fragment>))}</pre>;
}
