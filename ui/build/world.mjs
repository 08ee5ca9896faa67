// `virtual:world`: the outlines of countries as SVG paths in map units, made from Natural Earth's 1:110m data (public domain)
// as packed by world-atlas, when the UI is built.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { feature, mesh } from 'topojson-client';
import { project } from './project.mjs';

const ID = 'virtual:world';

/** Longitudes without jumps: a ring that crosses the antimeridian goes on beyond 180. */
function unwrapped(points) {
  let shift = 0;
  return points.map(([lon, lat], i) => {
    const step = i > 0 ? lon - points[i - 1][0] : 0;
    if (step > 180) shift -= 360;
    else if (step < -180) shift += 360;
    return [lon + shift, lat];
  });
}

/** The part of a ring on one side of a meridian (Sutherland and Hodgman). */
function clipped(points, meridian, side) {
  const inside = ([lon]) => (lon - meridian) * side <= 0;
  const cut = ([lon0, lat0], [lon1, lat1]) => [meridian, lat0 + ((lat1 - lat0) * (meridian - lon0)) / (lon1 - lon0)];
  return points.flatMap((to, i) => {
    const from = points.at(i - 1);
    if (inside(from) !== inside(to)) return inside(to) ? [cut(from, to), to] : [cut(from, to)];
    return inside(to) ? [to] : [];
  });
}

/** A ring as rings between -180 and 180. */
function cut(points) {
  const whole = unwrapped(points);
  return [-360, 0, 360]
    .map((shift) => whole.map(([lon, lat]) => [lon + shift, lat]))
    .map((moved) => clipped(clipped(moved, 180, 1), -180, -1))
    .filter((part) => part.length > 2);
}

function line(points, close) {
  let path = '';
  let before = '';
  let last = null;
  for (const [lon, lat] of points) {
    const [x, y] = project(lon, lat);
    const at = `${x.toFixed(1)} ${y.toFixed(1)}`;
    if (at === before) continue;
    const jump = last === null || Math.abs(lon - last) > 180;
    path += `${jump ? 'M' : 'L'}${at}`;
    before = at;
    last = lon;
  }
  return close ? `${path}Z` : path;
}

function paths() {
  const file = createRequire(import.meta.url).resolve('world-atlas/countries-110m.json');
  const atlas = JSON.parse(readFileSync(file, 'utf8'));
  // Antarctica takes a fifth of the map and has no devices.
  const geometries = atlas.objects.countries.geometries.filter((g) => g.id !== '010');
  const countries = { ...atlas.objects.countries, geometries };
  const land = feature(atlas, countries).features.flatMap(({ geometry }) =>
    geometry.type === 'Polygon' ? geometry.coordinates : geometry.coordinates.flat(),
  );
  const borders = mesh(atlas, countries, (a, b) => a !== b).coordinates;
  return {
    land: land.flatMap(cut).map((points) => line(points, true)).join(''),
    borders: borders.map((points) => line(points, false)).join(''),
  };
}

/** @returns {import('vite').Plugin} */
export function world() {
  return {
    name: 'world',
    resolveId: (id) => (id === ID ? `\0${ID}` : undefined),
    load(id) {
      if (id !== `\0${ID}`) return undefined;
      const { land, borders } = paths();
      return `export const land = ${JSON.stringify(land)};\nexport const borders = ${JSON.stringify(borders)};`;
    },
  };
}
