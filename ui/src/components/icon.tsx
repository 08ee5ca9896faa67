/** Line icons on a grid of 16. */
const PATHS = {
  sun: 'M8 5.200a2.800 2.800 0 1 0 0 5.600 2.800 2.800 0 0 0 0-5.600M8 1v1.700M8 13.300V15M1 8h1.700M13.300 8H15M3 3l1.200 1.200M11.800 11.800 13 13M13 3l-1.200 1.200M4.200 11.800 3 13',
  moon: 'M13.500 9.800A6 6 0 0 1 6.200 2.500a6 6 0 1 0 7.300 7.300Z',
  help: 'M8 14.500a6.500 6.500 0 1 0 0-13 6.500 6.500 0 0 0 0 13M6.200 6.200a1.900 1.900 0 1 1 2.700 1.700c-.6.300-.9.700-.9 1.400M8 11.600v.01',
  table: 'M2 3.500h12v9H2zM2 6.500h12M2 9.500h12M6 6.500v6',
  chart: 'M2 2.500v11h12M4.500 10l3-3.500 2.500 2 3.500-4.500',
  expand: 'M9.500 2.500h4v4M6.500 13.500h-4v-4M13.500 2.500 9 7M2.500 13.500 7 9',
  close: 'M3.500 3.500l9 9M12.500 3.500l-9 9',
  pause: 'M5.500 3v10M10.500 3v10',
  play: 'M5 3l8 5-8 5Z',
  back: 'M9.500 3.500 5 8l4.500 4.500',
  restart: 'M13 4v3h-3M13 7a5.300 5.300 0 1 0 .2 3',
  warn: 'M8 2 14.500 13.500h-13ZM8 6.500v3M8 11.600v.01',
  world: 'M8 14.500a6.500 6.500 0 1 0 0-13 6.500 6.500 0 0 0 0 13M1.500 8h13M8 1.500c2 2 2.800 4.200 2.800 6.500s-.8 4.500-2.800 6.500c-2-2-2.800-4.200-2.800-6.500S6 3.500 8 1.500',
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg className="glyph" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} fill="none" stroke="currentColor" strokeWidth="1.400" strokeLinecap="round" strokeLinejoin="round" />
    </svg>
  );
}
