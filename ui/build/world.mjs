// `virtual:world`: the outlines of countries as SVG paths in map units, made from Natural Earth's 1:110m data (public domain)
// as packed by world-atlas, when the UI is built.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { feature, mesh } from 'topojson-client';
import { project } from './project.mjs';

const ID = 'virtual:world';

function ring(points, close) {
  let path = '';
  let before = '';
  for (const [lon, lat] of points) {
    const [x, y] = project(lon, lat);
    const at = `${x.toFixed(1)} ${y.toFixed(1)}`;
    if (at === before) continue;
    path += `${path === '' ? 'M' : 'L'}${at}`;
    before = at;
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
    land: land.map((points) => ring(points, true)).join(''),
    borders: borders.map((points) => ring(points, false)).join(''),
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
