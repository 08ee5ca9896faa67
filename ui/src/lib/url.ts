/** The page and its state live in the URL. */
import { useCallback, useMemo, useSyncExternalStore } from 'react';

export type Route =
  | { page: 'home' }
  | { page: 'dashboard'; name: string }
  | { page: 'topics' }
  | { page: 'topic'; name: string }
  | { page: 'connectors' }
  | { page: 'queries' }
  | { page: 'unknown' };

export function parseRoute(pathname: string): Route {
  let parts: string[];
  try {
    parts = pathname.split('/').filter(Boolean).map(decodeURIComponent);
  } catch {
    return { page: 'unknown' };
  }
  const [head, name, ...rest] = parts;
  if (head === undefined) return { page: 'home' };
  if (rest.length > 0) return { page: 'unknown' };
  if (head === 'dashboards') return name === undefined ? { page: 'home' } : { page: 'dashboard', name };
  if (head === 'topics') return name === undefined ? { page: 'topics' } : { page: 'topic', name };
  if (name === undefined && (head === 'connectors' || head === 'queries')) return { page: head };
  return { page: 'unknown' };
}

export const hrefOf = {
  dashboard: (name: string) => `/dashboards/${encodeURIComponent(name)}`,
  topics: () => '/topics',
  topic: (name: string) => `/topics/${encodeURIComponent(name)}`,
  connectors: () => '/connectors',
  queries: () => '/queries',
};

const listeners = new Set<() => void>();
const tell = () => listeners.forEach((listener) => listener());

function subscribe(listener: () => void): () => void {
  if (listeners.size === 0) window.addEventListener('popstate', tell);
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) window.removeEventListener('popstate', tell);
  };
}

/** Goes to a path of this site. */
export function go(to: string, replace = false): void {
  if (to === location.pathname + location.search) return;
  if (replace) history.replaceState(null, '', to);
  else history.pushState(null, '', to);
  tell();
}

export function useRoute(): Route {
  const path = useSyncExternalStore(subscribe, () => location.pathname);
  return useMemo(() => parseRoute(path), [path]);
}

/** A parameter of the URL's query; setting it to null or its default takes it away. */
export function useParam(name: string, fallback = ''): [string, (value: string | null) => void] {
  const search = useSyncExternalStore(subscribe, () => location.search);
  const value = new URLSearchParams(search).get(name) ?? fallback;
  const set = useCallback(
    (to: string | null) => {
      const params = new URLSearchParams(location.search);
      if (to === null || to === fallback) params.delete(name);
      else params.set(name, to);
      const query = params.toString();
      go(location.pathname + (query ? `?${query}` : ''), true);
    },
    [name, fallback],
  );
  return [value, set];
}
