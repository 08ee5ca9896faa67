import { expect, it } from 'vitest';
import { sparkPath } from './stat';

it('a line is drawn through what is known', () => {
  expect(sparkPath([0, 10], 100, 12)).toBe('M0.0 11.0L100.0 1.0');
  expect(sparkPath([1, null, 1], 100, 12)).toBe('M0.0 1.0M100.0 1.0');
  expect(sparkPath([], 100, 12)).toBe('');
  expect(sparkPath([null], 100, 12)).toBe('');
});
