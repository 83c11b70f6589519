/** The parts that screens are made of. */

import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { initials, inkOn, safeColor } from "../core/names";
import { Icon, type IconName } from "./icons";

interface AvatarProps {
  readonly name: string;
  readonly color: string;
  readonly size?: "large" | "small";
  /** 1 is live; less is fading. */
  readonly strength?: number;
}

export function Avatar({ name, color, size, strength = 1 }: AvatarProps) {
  const background = safeColor(color);
  const kind = size === undefined ? "avatar" : `avatar avatar-${size}`;
  return (
    <span
      class={strength < 0.6 ? `${kind} avatar-old` : kind}
      aria-hidden="true"
      style={{ background, color: inkOn(background), opacity: 0.45 + 0.55 * strength }}
    >
      {initials(name)}
    </span>
  );
}

interface ButtonProps {
  readonly icon?: IconName;
  readonly children: ComponentChildren;
  readonly kind?: "primary" | "quiet" | "danger" | "plain";
  readonly isDisabled?: boolean;
  readonly isPressed?: boolean;
  readonly onClick: () => void;
}

export function Button({ icon, children, kind, isDisabled, isPressed, onClick }: ButtonProps) {
  return (
    <button
      type="button"
      class={`button ${kind ?? "quiet"}`}
      disabled={isDisabled}
      aria-pressed={isPressed}
      onClick={onClick}
    >
      {icon !== undefined && <Icon name={icon} />}
      <span>{children}</span>
    </button>
  );
}

interface RoundProps {
  readonly icon: IconName;
  readonly label: string;
  readonly isPressed?: boolean;
  readonly class?: string;
  readonly onClick: () => void;
}

/** A round button with an icon; its name is for screen readers, and where a mouse rests. */
export function Round({ icon, label, isPressed, onClick, ...props }: RoundProps) {
  return (
    <button
      type="button"
      class={`round ${props.class ?? ""}`}
      aria-label={label}
      aria-pressed={isPressed}
      title={label}
      onClick={onClick}
    >
      <Icon name={icon} />
    </button>
  );
}

/** For a screen's heading: it takes the focus that went with the screen of before, so that nobody is lost. */
export function useLanding(screen: unknown): { readonly current: HTMLHeadingElement | null } {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    if (document.activeElement === document.body) heading.current?.focus({ preventScroll: true });
  }, [screen]);
  return heading;
}

interface DialogProps {
  readonly title: string;
  readonly close: string;
  readonly onClose: () => void;
  readonly children: ComponentChildren;
}

/** Of radio buttons the keyboard reaches the one that is chosen. */
const FOCUSABLE =
  "button:not([disabled]),a[href],input:not([type=radio]),input:checked,[tabindex='0']";

/**
 * A dialog over the page, which is inert meanwhile. Escape (app.tsx) and a tap beside it close it; the focus stays
 * inside, and goes back to where it came from (app.tsx). No `<dialog>`: iOS has it from 15.4 on.
 */
export function Dialog({ title, close, onClose, children }: DialogProps) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => box.current?.focus(), []);
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key !== "Tab") return;
    const inside = box.current?.querySelectorAll<HTMLElement>(FOCUSABLE) ?? [];
    const first = inside[0];
    const last = inside[inside.length - 1];
    const here = document.activeElement;
    if (event.shiftKey ? here === first || here === box.current : here === last) {
      event.preventDefault();
      (event.shiftKey ? last : first)?.focus();
    }
  };
  return (
    <div class="layer">
      {/* biome-ignore lint/a11y: for the pointer alone; Escape and the button are for everyone */}
      <div class="scrim" onClick={onClose} />
      <div
        ref={box}
        class="dialog"
        role="dialog"
        aria-modal="true"
        aria-labelledby="dialog-title"
        tabIndex={-1}
        onKeyDown={onKeyDown}
      >
        <div class="dialog-head">
          <h2 id="dialog-title">
            <bdi>{title}</bdi>
          </h2>
          <Round icon="close" label={close} onClick={onClose} class="plain" />
        </div>
        <div class="dialog-body">{children}</div>
      </div>
    </div>
  );
}

interface ChoiceProps<Value extends string> {
  readonly label: string;
  readonly value: Value;
  readonly options: readonly { readonly value: Value; readonly label: string }[];
  readonly onChange: (value: Value) => void;
}

/** One of a few, side by side. */
export function Choice<Value extends string>(props: ChoiceProps<Value>) {
  return (
    <fieldset class="choice">
      <legend>{props.label}</legend>
      <div class="choice-row">
        {props.options.map(({ value, label }) => (
          <label key={value}>
            <input
              type="radio"
              class="visually-hidden"
              name={props.label}
              checked={value === props.value}
              onChange={() => props.onChange(value)}
            />
            <span>{label}</span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}

interface SwitchProps {
  readonly label: string;
  readonly hint?: string | undefined;
  readonly isOn: boolean;
  readonly onChange: (isOn: boolean) => void;
}

export function Switch({ label, hint, isOn, onChange }: SwitchProps) {
  return (
    <label class="switch">
      <span class="switch-text">
        <span>{label}</span>
        {hint !== undefined && <small>{hint}</small>}
      </span>
      <input
        type="checkbox"
        role="switch"
        aria-checked={isOn}
        checked={isOn}
        onChange={(event) => onChange(event.currentTarget.checked)}
      />
      <span class="switch-track" aria-hidden="true" />
    </label>
  );
}
