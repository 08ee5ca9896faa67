/** What stands where there is nothing (yet), and how the connection is. */
import type { ReactNode } from 'react';
import type { Status } from '../lib/stream';
import { Icon } from './icon';

type EmptyProps = { title: string; text?: string | null; busy?: boolean; children?: ReactNode };

export function Empty({ title, text, busy = false, children }: EmptyProps) {
  return (
    <div className="empty" role="status">
      {busy && <span className="pulse" aria-hidden="true" />}
      <p className="what">{title}</p>
      {text && <p>{text}</p>}
      {children}
    </div>
  );
}

export function Failed({ message, hint }: { message: string; hint?: string }) {
  return (
    <div className="empty failed" role="alert">
      <Icon name="warn" />
      <p className="what">{message}</p>
      {hint && <p>{hint}</p>}
    </div>
  );
}

/** Data that is not fresh any more, and why. */
export function Stale({ message }: { message: string }) {
  return (
    <p className="notice" role="alert">
      <Icon name="warn" />
      <span>{message} What is shown is from before.</span>
    </p>
  );
}

/** Rows that are being loaded, as many as there is room for. */
export function RowSkeleton({ rows = 8 }: { rows?: number }) {
  return (
    <div className="rows-skeleton" aria-hidden="true">
      {Array.from({ length: rows }, (_, i) => <span key={i} className="bone" />)}
    </div>
  );
}

const WORDS: Record<Status, string> = { connecting: 'Connecting', live: 'Live', reconnecting: 'Reconnecting' };

export function LiveMark({ status, paused = false }: { status: Status; paused?: boolean }) {
  const shown = paused && status === 'live' ? 'paused' : status;
  return (
    <span className={`live ${shown}`} role="status">
      <i aria-hidden="true" />
      {shown === 'paused' ? 'Paused' : WORDS[status]}
    </span>
  );
}

/** Over the page's content; what is below stays. */
export function Reconnecting({ status }: { status: Status }) {
  if (status !== 'reconnecting') return null;
  return (
    <p className="notice" role="alert">
      <Icon name="warn" />
      <span>The connection to the console is lost. Reconnecting; what is shown is from before.</span>
    </p>
  );
}
