/** Moving through rows by keys: j, k (or arrows within) and Enter are left to the focused row itself. */
import { useRef } from 'react';
import { useShortcuts } from '../lib/keys';

/** Gives a ref for the element whose `[data-row]` are the rows, and one for the filter. */
export function useRows<T extends HTMLElement = HTMLTableSectionElement>() {
  const list = useRef<T>(null);
  const filter = useRef<HTMLInputElement>(null);
  const move = (by: number) => {
    const rows = [...(list.current?.querySelectorAll<HTMLElement>('[data-row]') ?? [])];
    const at = rows.findIndex((row) => row === document.activeElement || row.contains(document.activeElement));
    const next = rows[Math.min(Math.max(at === -1 ? (by > 0 ? 0 : rows.length - 1) : at + by, 0), rows.length - 1)];
    next?.focus();
    next?.scrollIntoView({ block: 'nearest' });
  };
  useShortcuts({
    j: () => move(1),
    k: () => move(-1),
    ArrowDown: () => move(1),
    ArrowUp: () => move(-1),
    '/': () => filter.current?.focus(),
    Escape: () => (document.activeElement as HTMLElement | null)?.blur(),
  });
  return { list, filter };
}
