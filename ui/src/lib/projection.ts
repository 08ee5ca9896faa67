/** The map's width in its own units. */
export const WIDTH = 1000;
const SCALE = WIDTH / (2 * Math.PI * 0.8707);

/**
 * The Natural Earth projection (Šavrič et al., 2011): degrees to map units; y grows downwards, (0, 0) is in the middle.
 * build/project.mjs draws the countries by the same formula.
 */
export function project(lon: number, lat: number): [x: number, y: number] {
  const l = (lon * Math.PI) / 180;
  const p = (lat * Math.PI) / 180;
  const p2 = p * p;
  const p4 = p2 * p2;
  const x = l * (0.8707 - 0.131979 * p2 + p4 * (-0.013791 + p4 * (0.003971 * p2 - 0.001529 * p4)));
  const y = p * (1.007226 + p2 * (0.015085 + p4 * (-0.044475 + 0.028874 * p2 - 0.005916 * p4)));
  return [x * SCALE, -y * SCALE];
}

export type Box = { x: number; y: number; w: number; h: number };

/** The inhabited world. */
export const WORLD: Box = (() => {
  const top = project(0, 84)[1];
  const bottom = project(0, -56)[1];
  return { x: -WIDTH / 2, y: top, w: WIDTH, h: bottom - top };
})();

/** The box around points, widened by a margin, not smaller than `least` units and of the world's proportions at most. */
export function fit(points: readonly (readonly [number, number])[], least = 60): Box {
  if (points.length === 0) return WORLD;
  const xs = points.map((p) => p[0]);
  const ys = points.map((p) => p[1]);
  const [x0, x1, y0, y1] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const w = Math.max((x1 - x0) * 1.2, least);
  const h = Math.max((y1 - y0) * 1.2, least * 0.5);
  return { x: (x0 + x1 - w) / 2, y: (y0 + y1 - h) / 2, w, h };
}
