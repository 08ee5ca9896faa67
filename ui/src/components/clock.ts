/** The time, again and again. */
import { useEffect, useState } from 'react';

/** `Date.now()` plus `skew`, anew every `every` ms. */
export function useNow(every: number, skew = 0): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), every);
    return () => clearInterval(timer);
  }, [every]);
  return now + skew;
}
