/** All shortcuts. */
import { Dialog } from './dialog';

const GROUPS: [string, [string, string][]][] = [
  ['Go to', [['g d', 'dashboards'], ['g t', 'topics'], ['g c', 'connectors'], ['g q', 'queries']]],
  ['Dashboards', [['[', 'shorter time range'], [']', 'longer time range'], ['p', 'pause, go on'], ['Esc', 'close an enlarged panel']]],
  ['Lists', [['/', 'filter'], ['j', 'next row'], ['k', 'row before'], ['Enter', 'open']]],
  ['Everywhere', [['t', 'light or dark'], ['?', 'this overview']]],
];

export function Help({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title="Keyboard shortcuts" onClose={onClose}>
      <div className="keys">
        {GROUPS.map(([group, keys]) => (
          <section key={group}>
            <h3>{group}</h3>
            <dl>
              {keys.map(([key, what]) => (
                <div key={key}>
                  <dt>{key.split(' ').map((k) => <kbd key={k}>{k}</kbd>)}</dt>
                  <dd>{what}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
      <div className="actions">
        <button className="button" onClick={onClose} autoFocus>Close</button>
      </div>
    </Dialog>
  );
}
