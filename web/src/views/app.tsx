/** The screens. Plain for now: what each shows is here, how it looks is still to come. */

import { useState } from "preact/hooks";
import type { Actions } from "../app/actions";
import type { SessionModel } from "../app/session_model";
import type { AppState, Screen } from "../app/state";
import { agoText, compass, distanceText, leftText } from "../core/format";
import { freshness } from "../core/freshness";
import { bearing, distance } from "../core/geo";
import type { Person } from "../core/session";
import type { Storage } from "../io/storage";

export interface Context {
  readonly state: AppState;
  readonly actions: Actions;
  readonly storage: Storage;
}

export function App(context: Context) {
  const screen = context.state.screen.value;
  return (
    <main>
      <Shown {...context} screen={screen} />
      <p role="status">{context.state.notices.value.map((each) => each.text).join(" · ")}</p>
    </main>
  );
}

function Shown({ screen, ...context }: Context & { readonly screen: Screen }) {
  const t = context.state.t.value;
  switch (screen.kind) {
    case "loading":
      return <h1>{t("app.loading")}</h1>;
    case "home":
      return <Create {...context} />;
    case "join":
      return <Join {...context} screen={screen} />;
    case "session":
      return <Live {...context} model={screen.model} />;
    case "end":
      return (
        <section>
          <h1>{t(`end.${screen.why}`)}</h1>
          <p>{screen.detail}</p>
          <button type="button" onClick={() => void context.actions.openSession(screen.id)}>
            {t("end.retry")}
          </button>
        </section>
      );
  }
}

function Create({ state, actions }: Context) {
  const t = state.t.value;
  const [problem, setProblem] = useState("");
  const [link, setLink] = useState("");
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    try {
      const created = await actions.create(String(form.get("name")), Number(form.get("hours")));
      setLink(created.join_link);
      history.pushState(null, "", `join/${created.session_id}`);
      await actions.openSession(created.session_id);
    } catch (error) {
      setProblem(actions.explain(error));
    }
  };
  return (
    <form onSubmit={(event) => void submit(event)}>
      <h1>{t("app.title")}</h1>
      <label>
        {t("create.name")} <input name="name" maxLength={255} placeholder={t("create.name.hint")} />
      </label>
      <label>
        {t("create.duration")}{" "}
        <select name="hours">
          {[1, 3, 6, 12, 24].map((n) => (
            <option key={n} value={n} selected={n === 6}>
              {t("create.hours", { n })}
            </option>
          ))}
        </select>
      </label>
      <button type="submit">{t("create.submit")}</button>
      <p role="alert">{problem}</p>
      <output>{link}</output>
    </form>
  );
}

type JoinScreen = Extract<Screen, { kind: "join" }>;

function Join({ state, actions, storage, screen }: Context & { readonly screen: JoinScreen }) {
  const t = state.t.value;
  const [problem, setProblem] = useState("");
  const { session, id, host } = screen;
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    try {
      await actions.join(id, { name: String(form.get("name")), color: "#2f6fde" });
      actions.startSharing();
    } catch (error) {
      setProblem(actions.explain(error));
    }
  };
  const count = session.participant_count;
  return (
    <form onSubmit={(event) => void submit(event)}>
      <h1 dir="auto">{session.name}</h1>
      <p>{count === 0 ? t("join.nobody") : t("join.count", { n: count })}</p>
      {host === "yes" && <p>{t("join.host")}</p>}
      {session.locked && host !== "yes" && <p>{t("join.locked")}</p>}
      <label>
        {t("join.name")}{" "}
        <input name="name" required maxLength={100} defaultValue={storage.profile()?.name ?? ""} />
      </label>
      <button type="submit">{t("join.submit")}</button>
      <p>{t("join.privacy")}</p>
      <p role="alert">{problem}</p>
    </form>
  );
}

function Live({ state, actions, model }: Context & { readonly model: SessionModel }) {
  const t = state.t.value;
  const { session } = model.state.value;
  const { kind } = model.link.value;
  if (session === null) return <h1>{t("link.connecting")}</h1>;
  const people = model.people.value;
  const me = people.filter((each) => each.isMe)[0] ?? null;
  return (
    <section>
      <h1 dir="auto">{session.name}</h1>
      <p>{t("session.ends", { left: leftText(t, session.expiresAt - state.now.value) })}</p>
      {kind !== "live" && <p role="status">{t("link.lost")}</p>}
      <button type="button" onClick={() => void actions.shareLink(model)}>
        {t("action.share")}
      </button>
      <button type="button" onClick={() => void actions.leave(model)}>
        {t("action.leave")}
      </button>
      <h2>{t("people.count", { n: people.length })}</h2>
      <ul id="list">
        {people.map((each) => (
          <Row key={each.userId} state={state} person={each} me={me} />
        ))}
      </ul>
    </section>
  );
}

interface RowProps {
  readonly state: AppState;
  readonly person: Person;
  readonly me: Person | null;
}

function Row({ state, person, me }: RowProps) {
  const t = state.t.value;
  const { place } = person;
  const here = me?.place ?? null;
  const far =
    place !== null && here !== null && !person.isMe
      ? `${distanceText(t, distance(here, place), state.units.value)} ${compass(t, bearing(here, place))}`
      : "";
  const data =
    place === null ? {} : { "data-lat": place.lat.toFixed(6), "data-lng": place.lng.toFixed(6) };
  return (
    <li {...data}>
      <b>{person.isMe ? t("people.you", { name: person.name }) : person.name}</b>{" "}
      <small>{standing(state, person)}</small> <span>{far}</span>
    </li>
  );
}

function standing(state: AppState, { place, online, lastSeen }: Person): string {
  const t = state.t.value;
  const now = state.now.value;
  if (!online) return t("person.offline", { ago: agoText(t, now - lastSeen) });
  if (place === null) return t("person.no_position");
  const age = now - place.at;
  return freshness(age) === "live" ? t("person.live") : t("person.here", { ago: agoText(t, age) });
}
