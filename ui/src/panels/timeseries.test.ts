import { expect, it, vi } from 'vitest';

vi.mock('uplot', () => ({ default: class {} }));
const { stack } = await import('./timeseries');

it('stacked lines are sums, and gaps stay gaps', () => {
  expect(stack([[1, 2, null], [3, null, 4]])).toEqual([[1, 2, null], [4, null, 4]]);
  expect(stack([])).toEqual([]);
});
