import { expect, it } from 'vitest';
import { apply, backoff } from './stream';

it('a message replaces only the parts it names', () => {
  const before = { p0: { a: 1 }, p1: { a: 2 } };
  const after = apply(before, { at: 0, parts: { p1: { a: 3 } } });
  expect(after.p0).toBe(before.p0);
  expect(after.p1).toEqual({ a: 3 });
  expect(apply(before, { at: 0, parts: {} })).toBe(before);
});

it('attempts come less and less often, but never rarely', () => {
  expect([0, 1, 2, 3, 10].map(backoff)).toEqual([500, 1000, 2000, 4000, 5000]);
});
