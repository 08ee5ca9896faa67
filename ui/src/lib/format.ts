/** Numbers and times as people read them. */

const cache = new Map<string, Intl.NumberFormat>();

function formatter(options: Intl.NumberFormatOptions): Intl.NumberFormat {
  const key = JSON.stringify(options);
  let found = cache.get(key);
  if (!found) {
    found = new Intl.NumberFormat(undefined, options);
    cache.set(key, found);
  }
  return found;
}

/** With group marks; as many decimals as asked for, or as the number is worth (three digits). */
export function number(value: number | null | undefined, decimals?: number | null): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–';
  if (decimals !== null && decimals !== undefined) {
    return formatter({ minimumFractionDigits: decimals, maximumFractionDigits: decimals }).format(value);
  }
  const size = Math.abs(value);
  const digits = Number.isInteger(value) || size >= 100 ? 0 : size >= 10 ? 1 : 2;
  return formatter({ maximumFractionDigits: digits }).format(value);
}

/** The same in little room: 12.3K, 4.56M. */
export function compact(value: number | null | undefined, decimals?: number | null): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–';
  if (Math.abs(value) < 10_000) return number(value, decimals);
  return formatter({ notation: 'compact', minimumSignificantDigits: 3, maximumSignificantDigits: 3 }).format(value);
}

/** Bytes: 1.5 MB. */
export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined) return '–';
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  let size = value;
  let unit = 0;
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${number(size, unit === 0 || size >= 100 ? 0 : 1)} ${units[unit]}`;
}

/** Ms as an age: number and unit apart, so that they can be set apart. */
export function age(ms: number): [string, string] {
  const s = Math.max(ms, 0) / 1000;
  if (s < 10) return [s.toFixed(1), 's'];
  if (s < 100) return [s.toFixed(0), 's'];
  const m = s / 60;
  if (m < 100) return [m.toFixed(0), 'min'];
  const h = m / 60;
  return h < 48 ? [h.toFixed(0), 'h'] : [(h / 24).toFixed(0), 'days'];
}

/** An age in one text: "3 s ago". */
export function ago(ms: number): string {
  if (ms < 1000) return 'just now';
  const [value, unit] = age(Math.floor(ms / 1000) * 1000);
  return `${value.replace(/\.0$/, '')} ${unit} ago`;
}

const two = (n: number) => String(n).padStart(2, '0');

/** The time of day, and the day where it is not today's. */
export function time(ms: number, now = Date.now(), fraction = false): string {
  const at = new Date(ms);
  if (Number.isNaN(at.getTime())) return '–';
  const today = new Date(now).toDateString() === at.toDateString();
  const day = today ? '' : `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} `;
  const part = fraction ? `.${String(at.getMilliseconds()).padStart(3, '0')}` : '';
  return `${day}${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}${part}`;
}

/** The last part of a class name. */
export function shortClass(name: string | null): string {
  return name?.split('.').pop() ?? '–';
}
