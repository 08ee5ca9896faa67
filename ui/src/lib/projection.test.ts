import { expect, it } from 'vitest';
import { borders, land } from 'virtual:world';
// @ts-expect-error the build's own copy has no types
import { project as drawn } from '../../build/project.mjs';
import { WORLD, fit, project } from './projection';

it('points stand where the countries are drawn', () => {
  for (const [lon, lat] of [[0, 0], [-8, 53], [179, -40], [-120, 70]] as const) {
    expect(project(lon, lat)).toEqual(drawn(lon, lat));
  }
  expect(project(0, 0)).toEqual([0, -0]);
  expect(project(180, 0)[0]).toBeCloseTo(500, 5);
  expect(project(0, 60)[1]).toBeLessThan(0);
});

it('the world is drawn inside of its box', () => {
  expect(land.length).toBeGreaterThan(20_000);
  expect(borders.length).toBeGreaterThan(5_000);
  const ys = [...land.matchAll(/[ML](-?[\d.]+) (-?[\d.]+)/g)].map((m) => Number(m[2]));
  expect(Math.min(...ys)).toBeGreaterThan(WORLD.y - 2);
  expect(Math.max(...ys)).toBeLessThan(WORLD.y + WORLD.h + 2);
});

it('a box fits its points', () => {
  const box = fit([[0, 0], [100, 40]]);
  expect(box.x).toBeLessThan(0);
  expect(box.x + box.w).toBeGreaterThan(100);
  expect(fit([])).toBe(WORLD);
  expect(fit([[5, 5]]).w).toBe(60);
});
