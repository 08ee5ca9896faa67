/** One event stream a page: the parts of the page as they are now, and whether the connection lives. */
import { useEffect, useRef, useState } from 'react';

export type Status = 'connecting' | 'live' | 'reconnecting';
export type Parts = Readonly<Record<string, unknown>>;
export type Live = {
  parts: Parts;
  status: Status;
  /** The server's clock minus the browser's, ms. */
  skew: number;
};

type Body = { at: number; parts: Record<string, unknown> };

/** The server sends at least a beat every 5 s. */
const SILENCE = 12_000;
/** A page that nobody sees lets its connection go after so long: browsers allow six to a server. */
const HIDDEN = 30_000;

/**
 * What a message makes of the parts. Parts that it does not name keep their identity; also those that a first `state` does not
 * name yet, so that what was shown stays until there is something newer.
 */
export function apply(parts: Parts, body: Body): Parts {
  return Object.keys(body.parts).length === 0 ? parts : { ...parts, ...body.parts };
}

/** How long to wait before the n-th attempt, ms. */
export function backoff(attempt: number): number {
  return Math.min(500 * 2 ** attempt, 5000);
}

/** Opens streams, one after the other. */
class Connection {
  private source: EventSource | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private attempt = 0;
  private ended = false;

  constructor(
    private readonly url: string,
    private readonly onEvent: (event: 'state' | 'change' | 'beat', body: Body) => void,
    private readonly onLost: () => void,
  ) {
    this.open();
    document.addEventListener('visibilitychange', this.visibility);
  }

  private open(): void {
    this.letGo();
    if (this.ended) return;
    const source = new EventSource(this.url);
    this.source = source;
    for (const name of ['state', 'change', 'beat'] as const) {
      source.addEventListener(name, (event) => {
        this.attempt = 0;
        this.watch(SILENCE);
        this.onEvent(name, JSON.parse((event as MessageEvent<string>).data) as Body);
      });
    }
    source.onerror = () => this.again();
    this.watch(SILENCE);
  }

  private again(): void {
    this.letGo();
    this.onLost();
    this.timer = setTimeout(() => this.open(), backoff(this.attempt));
    this.attempt += 1;
  }

  private watch(ms: number): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.again(), ms);
  }

  private letGo(): void {
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
  }

  private readonly visibility = () => {
    if (document.hidden) this.watch(HIDDEN);
    else if (!this.source) this.open();
  };

  close(): void {
    this.ended = true;
    document.removeEventListener('visibilitychange', this.visibility);
    this.letGo();
  }
}

const NOTHING: Parts = {};

/** The live parts of a page. With `paused`, they stay as they are. A new `url` starts anew but keeps showing what was there. */
export function useStream(url: string | null, paused = false): Live {
  const [live, setLive] = useState<Live>({ parts: NOTHING, status: 'connecting', skew: 0 });
  const held = useRef(paused);
  const latest = useRef<Parts>(NOTHING);
  useEffect(() => {
    held.current = paused;
    if (!paused) setLive((before) => ({ ...before, parts: latest.current }));
  }, [paused]);
  useEffect(() => {
    if (url === null) return;
    setLive((before) => ({ ...before, status: 'connecting' }));
    const connection = new Connection(
      url,
      (event, body) => {
        const skew = body.at - Date.now();
        if (event !== 'beat') latest.current = apply(latest.current, body);
        setLive((before) => {
          const parts = held.current ? before.parts : latest.current;
          const drift = Math.abs(before.skew - skew) > 250 ? skew : before.skew;
          if (parts === before.parts && before.status === 'live' && drift === before.skew) return before;
          return { parts, status: 'live', skew: drift };
        });
      },
      () => setLive((before) => ({ ...before, status: 'reconnecting' })),
    );
    return () => connection.close();
  }, [url]);
  return live;
}
