/** Name and colour of the one who takes part, and whether they share where they are. */

import { useState } from "preact/hooks";
import type { Key, T } from "../i18n";
import type { Profile, Storage } from "../io/storage";
import { Icon } from "./icons";
import { Avatar } from "./parts";

export const COLORS: readonly { readonly value: string; readonly key: Key }[] = [
  { value: "#c83a3a", key: "color.red" },
  { value: "#bd5d0a", key: "color.orange" },
  { value: "#e3aa0b", key: "color.amber" },
  { value: "#2c7d3b", key: "color.green" },
  { value: "#0a7576", key: "color.teal" },
  { value: "#2f6fde", key: "color.blue" },
  { value: "#7a4fd1", key: "color.violet" },
  { value: "#c23a85", key: "color.pink" },
];

const MOST_CHARACTERS = 100;

/** The profile of last time, or a new one without a name, in one of the colours. */
export function useProfile(storage: Storage): [Profile, (change: Partial<Profile>) => void] {
  const [profile, set] = useState<Profile>(() => {
    const kept = storage.profile();
    const color = COLORS[Math.floor(Math.random() * COLORS.length)]!.value;
    return { name: kept?.name ?? "", color: kept?.color ?? color };
  });
  return [profile, (change) => set((before) => ({ ...before, ...change }))];
}

interface ProfileFieldsProps {
  readonly t: T;
  readonly profile: Profile;
  readonly onChange: (change: Partial<Profile>) => void;
  readonly hasFocus: boolean;
}

export function ProfileFields({ t, profile, onChange, hasFocus }: ProfileFieldsProps) {
  return (
    <>
      <div class="who">
        <Avatar name={profile.name || "?"} color={profile.color} size="large" />
        <label class="field">
          <span>{t("join.name")}</span>
          <input
            name="name"
            required
            maxLength={MOST_CHARACTERS}
            autocomplete="nickname"
            autoFocus={hasFocus}
            value={profile.name}
            onInput={(event) => onChange({ name: event.currentTarget.value })}
          />
        </label>
      </div>
      <fieldset class="swatches">
        <legend class="visually-hidden">{t("join.color")}</legend>
        {COLORS.map(({ value, key }) => (
          <label key={value} class="swatch" title={t(key)}>
            <input
              type="radio"
              class="visually-hidden"
              name="color"
              checked={value === profile.color}
              aria-label={t(key)}
              onChange={() => onChange({ color: value })}
            />
            <span style={{ background: value }}>
              <Icon name="check" />
            </span>
          </label>
        ))}
      </fieldset>
    </>
  );
}

/** What the browser is about to ask, before it asks. */
export function LocationExplained({ t }: { readonly t: T }) {
  return (
    <p class="explained">
      <Icon name="pin" />
      <span>{t("join.privacy")}</span>
    </p>
  );
}
