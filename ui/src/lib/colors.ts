/** Colours of series: told apart in both themes, and for most colour-blind eyes. */
import type { Theme } from './theme';

const COLORS: Record<Theme, readonly string[]> = {
  light: [
    '#2f62d0', '#d9731a', '#1d8f6d', '#c23b57', '#7a4fc0', '#8a6d2f',
    '#c24f97', '#4f6d85', '#6f8f14', '#1488a8', '#9c4a22', '#4747b5',
  ],
  dark: [
    '#7aa2ff', '#f2a45c', '#52c9a1', '#f27d90', '#b795f2', '#cdb074',
    '#e88fc8', '#9db4c8', '#b3cf58', '#58c3de', '#e39468', '#9c9cf5',
  ],
};

export function color(theme: Theme, i: number): string {
  const colors = COLORS[theme];
  return colors[i % colors.length] ?? '#888';
}

/** Keeps a colour for each key for as long as it lives, whatever order keys come in. */
export class Palette {
  private readonly places = new Map<string, number>();

  place(key: string): number {
    let place = this.places.get(key);
    if (place === undefined) {
      place = this.places.size;
      this.places.set(key, place);
    }
    return place;
  }
}
