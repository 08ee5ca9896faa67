/** Shortcuts: single keys, or two after each other (`g t`). */
import { useEffect, useRef } from 'react';

export type Shortcuts = Record<string, () => void>;

function typing(target: EventTarget | null): boolean {
  const element = target instanceof HTMLElement ? target : null;
  return element !== null && (element.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(element.tagName));
}

/** Calls what a key stands for, unless the user is typing or a dialog is open (`Escape` always counts outside of dialogs). */
export function useShortcuts(shortcuts: Shortcuts): void {
  const current = useRef(shortcuts);
  current.current = shortcuts;
  useEffect(() => {
    let before = '';
    let at = 0;
    const listener = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      if (document.querySelector('dialog[open]')) return;
      if (typing(event.target) && event.key !== 'Escape') return;
      const chain = event.timeStamp - at < 1200 ? `${before} ${event.key}` : '';
      const action = current.current[chain] ?? current.current[event.key];
      before = event.key;
      at = event.timeStamp;
      if (!action) return;
      before = '';
      event.preventDefault();
      action();
    };
    window.addEventListener('keydown', listener);
    return () => window.removeEventListener('keydown', listener);
  }, []);
}
