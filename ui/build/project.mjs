// The Natural Earth projection (Šavrič et al., 2011: a polynomial by Patterson), scaled so that the world is 1000 wide.
// The same as src/lib/projection.ts, which a test holds it to.

export const WIDTH = 1000;
const SCALE = WIDTH / (2 * Math.PI * 0.8707);

/** Degrees to map units; y grows downwards, (0, 0) is in the middle. */
export function project(lon, lat) {
  const l = (lon * Math.PI) / 180;
  const p = (lat * Math.PI) / 180;
  const p2 = p * p;
  const p4 = p2 * p2;
  const x = l * (0.8707 - 0.131979 * p2 + p4 * (-0.013791 + p4 * (0.003971 * p2 - 0.001529 * p4)));
  const y = p * (1.007226 + p2 * (0.015085 + p4 * (-0.044475 + 0.028874 * p2 - 0.005916 * p4)));
  return [x * SCALE, -y * SCALE];
}
