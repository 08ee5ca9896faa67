/** The JSON API. */
import { useEffect, useState } from 'react';

export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

async function answer<T>(response: Response): Promise<T> {
  const body = (await response.json().catch(() => null)) as { error?: string } | null;
  if (!response.ok) throw new ApiError(response.status, body?.error ?? `the console answers ${response.status}`);
  return body as T;
}

export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return answer(await fetch(path, { signal: signal ?? null }));
}

export async function post<T>(path: string): Promise<T> {
  return answer(await fetch(path, { method: 'POST' }));
}

export type Loaded<T> = { data: T | null; error: string | null };

/** Loads `path` (null: nothing), again on each change of it and, after a failure, until it succeeds. */
export function useLoaded<T>(path: string | null, again = 0): Loaded<T> {
  const [loaded, setLoaded] = useState<Loaded<T>>({ data: null, error: null });
  useEffect(() => {
    if (path === null) return;
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const load = () =>
      get<T>(path, stop.signal).then(
        (data) => setLoaded({ data, error: null }),
        (problem: unknown) => {
          if (stop.signal.aborted) return;
          const known = problem instanceof ApiError;
          const error = known ? problem.message : 'the console does not answer; is bd running?';
          setLoaded({ data: null, error });
          if (!known || problem.status >= 500) timer = setTimeout(load, 2000);
        },
      );
    setLoaded({ data: null, error: null });
    void load();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [path, again]);
  return loaded;
}
