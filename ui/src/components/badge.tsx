/** The state of a connector, task or query, in a word and a colour. */
const TONES: Record<string, string> = {
  RUNNING: 'good',
  COMPLETED: 'calm',
  PAUSED: 'calm',
  STOPPED: 'calm',
  UNASSIGNED: 'warn',
  RESTARTING: 'warn',
  STARTING: 'warn',
  FAILED: 'bad',
  ERROR: 'bad',
  DESTROYED: 'bad',
};

export function Badge({ state }: { state: string | null }) {
  const name = (state ?? 'UNKNOWN').toUpperCase();
  const word = name.charAt(0) + name.slice(1).toLowerCase();
  return <span className={`badge ${TONES[name] ?? 'calm'}`}>{word}</span>;
}
