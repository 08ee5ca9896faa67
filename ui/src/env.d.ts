declare module 'virtual:world' {
  /** Outlines of countries, an SVG path in map units (see lib/projection.ts). */
  export const land: string;
  /** Borders between countries, an SVG path. */
  export const borders: string;
}
