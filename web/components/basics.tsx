/**
 * The small parts of all views.
 *
 * @module
 */
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { UnreachableError } from "../api.ts";
import { ago, dateTime } from "../format.ts";
import { Icon, type IconName } from "./icon.tsx";

/** The title of a view, with its actions. */
export function Heading(
  { title, note, back, children }: {
    title: ComponentChildren;
    note?: ComponentChildren;
    back?: { href: string; name: string };
    children?: ComponentChildren;
  },
) {
  const heading = useRef<HTMLHeadingElement>(null);
  // Users of a keyboard or screen reader start at the title.
  useEffect(() => heading.current?.focus({ preventScroll: true }), []);
  return (
    <header class="heading">
      <div class="heading-text">
        {back !== undefined && <a class="back" href={back.href}>{back.name}</a>}
        <h1 tabIndex={-1} ref={heading}>{title}</h1>
        {note !== undefined && <p class="soft">{note}</p>}
      </div>
      {children !== undefined && <div class="actions">{children}</div>}
    </header>
  );
}

/** A button with a picture before its name. */
export function Button(
  { icon, kind = "plain", busy = false, children, ...rest }: {
    icon?: IconName;
    kind?: "plain" | "primary" | "danger" | "quiet";
    busy?: boolean;
    disabled?: boolean;
    type?: "button" | "submit";
    title?: string;
    onClick?: () => void;
    children: ComponentChildren;
  },
) {
  return (
    <button
      type={rest.type ?? "button"}
      class={`button ${kind}`}
      title={rest.title}
      disabled={busy || rest.disabled === true}
      aria-busy={busy}
      onClick={rest.onClick}
    >
      {icon !== undefined && <Icon name={icon} />}
      <span>{children}</span>
    </button>
  );
}

/** A part of a view with a title of its own. */
export function Card(
  { title, note, actions, children, flush = false }: {
    title?: ComponentChildren;
    note?: ComponentChildren;
    actions?: ComponentChildren;
    children: ComponentChildren;
    /** Whether the content reaches the edges. */
    flush?: boolean;
  },
) {
  return (
    <section class={`card${flush ? " flush" : ""}`}>
      {title !== undefined && (
        <div class="card-title">
          <div>
            <h2>{title}</h2>
            {note !== undefined && <p class="soft small">{note}</p>}
          </div>
          {actions}
        </div>
      )}
      {children}
    </section>
  );
}

/** Names and values side by side. */
export function Figures({ figures }: { figures: [string, ComponentChildren][] }) {
  return (
    <dl class="figures">
      {figures.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** The message of an empty view, with the next step. */
export function Empty(
  { icon, title, children }: { icon: IconName; title: string; children?: ComponentChildren },
) {
  return (
    <div class="empty">
      <span class="empty-icon">
        <Icon name={icon} />
      </span>
      <h2>{title}</h2>
      {children}
    </div>
  );
}

/** A placeholder for an answer; it appears late, as most answers come sooner. */
export function Loading({ rows = 4 }: { rows?: number }) {
  return (
    <div class="loading" role="status">
      <span class="hidden">Loading</span>
      {Array.from({ length: rows }, (_, i) => <div key={i} class="bone" />)}
    </div>
  );
}

/** The reason why something is missing. */
export function Failure({ error, retry }: { error: Error; retry?: () => void }) {
  // The line at the top of the page already says that the server is gone.
  if (error instanceof UnreachableError) return <Loading />;
  return (
    <div class="note danger" role="alert">
      <Icon name="warning" />
      <p>{error.message.replace(/^[a-z]/, (first) => first.toUpperCase())}</p>
      {retry !== undefined && <Button kind="quiet" onClick={retry}>Try again</Button>}
    </div>
  );
}

/** A remark in a box. */
export function Note(
  { kind = "info", children }: {
    kind?: "info" | "warning" | "danger";
    children: ComponentChildren;
  },
) {
  return (
    <div class={`note ${kind}`}>
      {kind !== "info" && <Icon name="warning" />}
      <div>{children}</div>
    </div>
  );
}

/** A command to copy. */
export function Command({ text }: { text: string }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setCopied(true);
    setTimeout(() => setCopied(false), 2000);
  };
  return (
    <div class="command">
      <code tabIndex={0} role="region" aria-label="Command">{text}</code>
      <button type="button" class="button quiet" onClick={() => void copy()}>
        <Icon name={copied ? "check" : "copy"} />
        <span class="hidden" aria-live="polite">{copied ? "Copied" : "Copy the command"}</span>
      </button>
    </div>
  );
}

/** How long ago something was, with the exact time on demand. */
export function When({ time }: { time: string }) {
  const [, setNow] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 10_000);
    return () => clearInterval(timer);
  }, []);
  return <time dateTime={time} title={dateTime(time)}>{ago(time)}</time>;
}

/** A progress bar. */
export function Meter(
  { value, label, kind = "accent" }: { value: number; label: string; kind?: string },
) {
  const share = Math.min(1, Math.max(0, value));
  return (
    <div
      class={`meter ${kind}`}
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.round(share * 100)}
    >
      <span style={{ width: `${share * 100}%` }} />
    </div>
  );
}

/** A choice between a few options, all visible. */
export function Choice<Value extends string>(
  { label, options, value, onChange }: {
    label: string;
    options: readonly (readonly [Value, ComponentChildren])[];
    value: Value;
    onChange: (value: Value) => void;
  },
) {
  return (
    <div class="choice" role="group" aria-label={label}>
      {options.map(([option, name]) => (
        <button
          key={option}
          type="button"
          aria-pressed={option === value}
          onClick={() => onChange(option)}
        >
          {name}
        </button>
      ))}
    </div>
  );
}

/** A field to look for something by a part of it. */
export function Search(
  { label, value, onInput }: { label: string; value: string; onInput: (value: string) => void },
) {
  return (
    <label class="search">
      <Icon name="search" />
      <span class="hidden">{label}</span>
      <input
        type="search"
        placeholder={label}
        value={value}
        onInput={({ currentTarget }) => onInput(currentTarget.value)}
      />
    </label>
  );
}

/** A button below a list that has more entries, with a note on those that are shown. */
export function ShowMore(
  { onClick, children }: { onClick: () => void; children?: ComponentChildren },
) {
  return (
    <p class="more">
      <Button onClick={onClick}>Show more</Button>
      {children}
    </p>
  );
}

/** A field with its name, hint and error. */
export function Field(
  { label, hint, error, children, id }: {
    id: string;
    label: string;
    hint?: ComponentChildren;
    error?: string | undefined;
    children: ComponentChildren;
  },
) {
  return (
    <div class={`field${error === undefined ? "" : " wrong"}`}>
      <label for={id}>{label}</label>
      {children}
      {error !== undefined && <p class="field-error" id={`${id}-error`} role="alert">{error}</p>}
      {hint !== undefined && <p class="field-hint" id={`${id}-hint`}>{hint}</p>}
    </div>
  );
}

/** A window over the page; the browser keeps the focus in it, and Escape closes it. */
function Dialog(
  { title, onClose, children }: {
    title: string;
    onClose: () => void;
    children: ComponentChildren;
  },
) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} aria-labelledby="dialog-title" onClose={onClose}>
      <div class="dialog-title">
        <h2 id="dialog-title">{title}</h2>
        <button type="button" class="button quiet" onClick={() => dialog.current?.close()}>
          <Icon name="close" />
          <span class="hidden">Close</span>
        </button>
      </div>
      {children}
    </dialog>
  );
}

/** Asks before something is done that cannot be undone. */
export function Confirm(
  { title, action, onConfirm, onClose, children }: {
    title: string;
    action: string;
    onConfirm: () => Promise<void>;
    onClose: () => void;
    children: ComponentChildren;
  },
) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error>();
  const confirm = async () => {
    setBusy(true);
    try {
      await onConfirm();
      onClose();
    } catch (error) {
      setBusy(false);
      setError(error instanceof Error ? error : new Error(String(error)));
    }
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <div class="dialog-text">{children}</div>
      {error !== undefined && <Failure error={error} />}
      <div class="dialog-actions">
        <Button onClick={onClose}>Keep it</Button>
        <Button kind="danger" busy={busy} onClick={() => void confirm()}>{action}</Button>
      </div>
    </Dialog>
  );
}
