/** JSON, indented, with its parts told apart by colour. */
import { Fragment } from 'react';

const TOKENS = /("(?:\\.|[^"\\])*")(\s*:)?|\b(true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/** Texts with the class of each: `key`, `text`, `word`, `figure`, or none. */
export function tokens(json: string): [text: string, kind: string][] {
  const found: [string, string][] = [];
  let from = 0;
  for (const match of json.matchAll(TOKENS)) {
    if (match.index > from) found.push([json.slice(from, match.index), '']);
    if (match[1] !== undefined) {
      found.push([match[1], match[2] === undefined ? 'text' : 'key']);
      if (match[2] !== undefined) found.push([match[2], '']);
    } else {
      found.push([match[0], match[3] === undefined ? 'figure' : 'word']);
    }
    from = match.index + match[0].length;
  }
  if (from < json.length) found.push([json.slice(from), '']);
  return found;
}

export function Json({ value }: { value: unknown }) {
  const text = JSON.stringify(value, null, 2);
  return tokens(text).map(([part, kind], i) => (kind ? <span key={i} className={`j-${kind}`}>{part}</span> : <Fragment key={i}>{part}</Fragment>));
}
