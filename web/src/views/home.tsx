/** The first page: create a session, or go back into one. */

import { useState } from "preact/hooks";
import { leftText } from "../core/format";
import type { Context } from "./context";
import { Icon } from "./icons";
import { loadMap } from "./live";
import { useLanding } from "./parts";
import { LocationExplained, ProfileFields, useProfile } from "./profile";

const HOUR_MS = 3_600_000;

export function Home({ state, actions, storage, ui }: Context) {
  const t = state.t.value;
  const [profile, change] = useProfile(storage);
  const [hours, setHours] = useState(6);
  const [name, setName] = useState("");
  const [problem, setProblem] = useState("");
  const [isBusy, setBusy] = useState(false);
  const heading = useLanding(null);

  const create = async (shares: boolean): Promise<void> => {
    if (profile.name.trim() === "" || isBusy) return;
    setBusy(true);
    void loadMap().catch(() => undefined);
    setProblem("");
    try {
      const model = await actions.create(profile, name, hours, shares);
      if (model !== null) ui.created.value = model.id;
    } catch (error) {
      setProblem(actions.explain(error));
      setBusy(false);
    }
  };
  return (
    <main class="front">
      <div class="front-head">
        <p class="brand">
          <Icon name="pin" /> locshare
        </p>
        <h1 ref={heading} tabIndex={-1}>
          {t("app.title")}
        </h1>
        <p class="lead">{t("app.lead")}</p>
      </div>
      <div class="front-body">
        <Mine {...{ state, actions, storage, ui }} />
        <form
          class="card"
          onSubmit={(event) => {
            event.preventDefault();
            void create(true);
          }}
        >
          <ProfileFields t={t} profile={profile} onChange={change} hasFocus={false} />
          <label class="field">
            <span>{t("create.name")}</span>
            <input
              name="session"
              maxLength={255}
              autocomplete="off"
              placeholder={t("create.name.hint")}
              value={name}
              onInput={(event) => setName(event.currentTarget.value)}
            />
          </label>
          <Duration t={t} hours={hours} now={Date.now()} onChange={setHours} />
          <LocationExplained t={t} />
          {problem !== "" && (
            <p class="problem" role="alert">
              {problem}
            </p>
          )}
          <button type="submit" class="button primary wide" disabled={isBusy}>
            <span>{t("create.submit")}</span>
          </button>
        </form>
      </div>
    </main>
  );
}

interface DurationProps {
  readonly t: Context["state"]["t"]["value"];
  readonly hours: number;
  readonly now: number;
  readonly onChange: (hours: number) => void;
}

function Duration({ t, hours, now, onChange }: DurationProps) {
  // Of the reader's region, where it is one of this language: 18:30 in Britain.
  const [locale = t.code] = navigator.languages.filter((each) => each.split("-")[0] === t.code);
  const end = new Date(now + hours * HOUR_MS).toLocaleTimeString(locale, {
    hour: "numeric",
    minute: "2-digit",
  });
  const text = t("create.hours", { n: hours });
  return (
    <div class="field duration">
      <label for="hours">{t("create.duration")}</label>
      <output for="hours">
        {text} <small>{t("create.until", { time: end })}</small>
      </output>
      <input
        id="hours"
        type="range"
        min={1}
        max={24}
        step={1}
        value={hours}
        aria-valuetext={text}
        onInput={(event) => onChange(Number(event.currentTarget.value))}
      />
    </div>
  );
}

/** The sessions that this device is in. */
function Mine({ state, actions, storage }: Context) {
  const t = state.t.value;
  void state.now.value; // what is left goes down
  const mine = storage.memberships();
  const now = Date.now();
  if (mine.length === 0) return null;
  return (
    <section class="card mine" aria-labelledby="mine-title">
      <h2 id="mine-title">{t("home.mine")}</h2>
      {mine.map(({ id, membership }) => (
        <button
          key={id}
          type="button"
          class="item"
          onClick={() => void actions.openSession({ id, key: "" })}
        >
          <span class="item-text">
            <b>
              <bdi>{membership.name}</bdi>
            </b>
            <small>{t("session.ends", { left: leftText(t, membership.endsAt - now) })}</small>
          </span>
          <Icon name="right" />
        </button>
      ))}
    </section>
  );
}
