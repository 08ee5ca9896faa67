import { expect, it } from 'vitest';
import { tokens } from './json';

it('keys, texts, numbers and words are told apart', () => {
  const json = '{"a": "b \\" 1", "n": [-1.5e3, true, null]}';
  const found = tokens(json);
  expect(found.map(([text]) => text).join('')).toBe(json);
  expect(found.filter(([, kind]) => kind !== '')).toEqual([
    ['"a"', 'key'], ['"b \\" 1"', 'text'], ['"n"', 'key'], ['-1.5e3', 'figure'], ['true', 'word'], ['null', 'word'],
  ]);
});
