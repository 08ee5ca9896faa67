import { expect, it } from 'vitest';
import { WORLD } from '../lib/projection';
import { dots, widen } from './world-map';

it('dots have areas by their counts, the greatest first', () => {
  const [first, second] = dots([[0, 0, 1, 'a'], [10, 0, 4, 'b']]);
  expect(first?.place[3]).toBe('b');
  expect((first?.r ?? 0) - 3).toBeCloseTo(2 * ((second?.r ?? 0) - 3), 5);
  expect(dots([])).toEqual([]);
});

it('a box keeps its middle in any room', () => {
  const box = widen(WORLD, 400, 800);
  expect(box.w / box.h).toBeCloseTo(0.5, 5);
  expect(box.x + box.w / 2).toBeCloseTo(WORLD.x + WORLD.w / 2, 5);
  expect(box.w).toBeGreaterThanOrEqual(WORLD.w - 0.001);
});
