/** What the console's JSON API gives; see crates/console. */

export type Kind = 'timeseries' | 'top' | 'bars' | 'stat' | 'table' | 'map';

export type PanelDef = {
  id: string;
  kind: Kind;
  title: string;
  hint: string | null;
  grid: { x: number; y: number; w: number; h: number };
  unit: string | null;
  decimals: number | null;
  /** A stat whose value is a moment, of which the age is shown. */
  age: boolean;
  stacked: boolean;
  /** Whether the time range applies to it. */
  ranged: boolean;
  from: string;
};

export type Dashboard = {
  name: string;
  title: string;
  description: string | null;
  range: string;
  refresh_ms: number;
  panels: PanelDef[];
};

export type Maybe = number | null;
export type Series = { key: string; name: string; values: Maybe[] };
export type Cell = string | number | boolean | null;

export type LinesData = { times: number[]; series: Series[] };
export type TopData = { bars: { key: string; name: string; value: Maybe }[] };
export type BarsData = { bars: string[]; parts: string[]; values: Maybe[][] };
export type StatData = { value: Maybe; spark?: { times: number[]; values: Maybe[] | null } };
export type Column = { title: string; bar: boolean; unit: string | null; decimals: number | null };
export type TableData = { columns: Column[]; rows: Cell[][]; total: number };
/** Longitude, latitude, documents, name. */
export type Place = [number, number, number, string];
export type MapData = { points: Place[]; total: number };

/** A part of a page; `error` stands beside data that was there before it. */
export type Part<T> =
  | ({ state: 'ok'; error?: string } & T)
  | { state: 'waiting'; message: string; awaits?: string | null }
  | { state: 'error'; message: string };

export type Topic = {
  name: string;
  partitions: number;
  offsets: number;
  rate: number | null;
  newest: number | null;
  internal: boolean;
};

export type Shown =
  | { format: 'json' | 'avro'; data: unknown; bytes: number; schema_id?: number }
  | { format: 'text' | 'hex'; text: string; bytes: number; cut: boolean; problem?: string };

export type Message = {
  partition: number;
  offset: number;
  timestamp: number;
  key: Shown | null;
  value: Shown | null;
  headers: [string, Shown | null][];
};

export type Messages = {
  topic: string;
  partitions: { partition: number; start: number; end: number }[];
  messages: Message[];
};

export type Task = { id: number; state: string; worker: string | null; trace: string | null };
export type Connector = {
  name: string;
  type: string | null;
  class: string | null;
  topics: string | null;
  state: string | null;
  worker: string | null;
  trace: string | null;
  tasks: Task[];
};

export type Query = {
  id: string;
  sql: string | null;
  type: string | null;
  state: string | null;
  sink: string | null;
  topic: string | null;
  error: string | null;
  records_in?: number;
  rows_out?: number;
  in_rate?: number;
  out_rate?: number;
  late_rows?: number;
  dead_letters?: number;
  dropped_rows?: number;
  processing_errors?: number;
  watermark_seconds?: number;
  state_rows?: number;
  state_bytes?: number;
};

export type QueryDetail = { id: string; plan: string | null; errors: { errorMessage?: string }[] | null };

export type Info = {
  version: string;
  cluster: string;
  roles: { engine: boolean; connect: boolean; search: boolean };
  dashboards: { name: string; title: string; description: string | null }[];
};
