/** A modal dialog, the browser's own: traps focus, closes by Escape and by a click outside. */
import { type ReactNode, useEffect, useRef } from 'react';

type Props = { title: string; onClose: () => void; children: ReactNode };

export function Dialog({ title, onClose, children }: Props) {
  const ref = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const dialog = ref.current;
    if (dialog && !dialog.open) dialog.showModal();
    return () => dialog?.close();
  }, []);
  return (
    <dialog
      ref={ref}
      aria-label={title}
      onClose={onClose}
      onCancel={onClose}
      onClick={(event) => event.target === ref.current && onClose()}
    >
      <div className="sheet">
        <h2>{title}</h2>
        {children}
      </div>
    </dialog>
  );
}
