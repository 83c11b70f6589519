/** Joining by the link. */

import { useEffect, useState } from "preact/hooks";
import type { Screen } from "../app/state";
import { appLink, hasApp } from "../core/app_link";
import { platformOf } from "../core/directions";
import { leftText } from "../core/format";
import { appsOfPage } from "../io/api";
import type { Context } from "./context";
import { Icon } from "./icons";
import { loadMap } from "./live";
import { Button } from "./parts";
import { LocationExplained, ProfileFields, useProfile } from "./profile";

type JoinScreen = Extract<Screen, { kind: "join" }>;

export function Join({
  state,
  actions,
  storage,
  screen,
}: Context & { readonly screen: JoinScreen }) {
  const t = state.t.value;
  void state.now.value; // what is left goes down
  const { session, link, host } = screen;
  const [profile, change] = useProfile(storage);
  const [problem, setProblem] = useState("");
  const [isBusy, setBusy] = useState(false);
  const count = session.participant_count;
  const isShut = session.locked && host !== "yes";

  useEffect(() => void loadMap().catch(() => undefined), []); // while a name is typed
  const join = async (shares: boolean): Promise<void> => {
    if (isBusy) return;
    if (profile.name.trim() === "") {
      document.querySelector<HTMLInputElement>("input[name=name]")?.focus();
      return;
    }
    setBusy(true);
    setProblem("");
    try {
      await actions.join(link, profile, shares, session);
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
        <h1 dir="auto">{session.name}</h1>
        <p class="lead">
          {count === 0 ? t("join.nobody") : t("join.count", { n: count })}{" "}
          {t("join.ends", { left: leftText(t, Date.parse(session.expires_at) - Date.now()) })}
        </p>
        {host === "yes" && <p class="tag">{t("join.host")}</p>}
        <OpenInApp state={state} joinLink={actions.joinLink({ joinLink: link })} />
      </div>
      <form
        class="card"
        onSubmit={(event) => {
          event.preventDefault();
          void join(true);
        }}
      >
        {host === "wrong" && <p class="hint">{t("join.host.wrong")}</p>}
        {isShut && (
          <p class="hint">
            <Icon name="lock" /> <span>{t("join.locked")}</span>
          </p>
        )}
        <ProfileFields t={t} profile={profile} onChange={change} hasFocus={!isShut} />
        <LocationExplained t={t} />
        {problem !== "" && (
          <p class="problem" role="alert">
            {problem}
          </p>
        )}
        <button type="submit" class="button primary wide" disabled={isBusy}>
          <span>{t("join.submit")}</span>
        </button>
        <Button kind="plain" icon="eye" isDisabled={isBusy} onClick={() => void join(false)}>
          {t("join.watch")}
        </Button>
      </form>
    </main>
  );
}

/** So long an app takes to come up. No browser says that none did. */
const APP_MS = 1_500;

/** Where the operator names an app for this phone. The form stays: it needs no app. */
function OpenInApp({ state, joinLink }: { state: Context["state"]; joinLink: string }) {
  const t = state.t.value;
  const [isMissing, setMissing] = useState(false);
  if (!hasApp(appsOfPage(), platformOf(navigator.userAgent, navigator.maxTouchPoints))) return null;
  const wait = (): void => {
    window.setTimeout(() => setMissing(!document.hidden), APP_MS);
  };
  return (
    <div class="app-offer">
      <a class="button quiet wide" href={appLink(joinLink)} onClick={wait}>
        <Icon name="phone" />
        <span>{t("join.app")}</span>
      </a>
      <p class="hint" role="status">
        {isMissing && t("join.app.missing")}
      </p>
    </div>
  );
}
