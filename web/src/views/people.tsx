/** Everyone, as a list: first this device's owner, with what they share. */

import { agoText, compass, distanceText } from "../core/format";
import { opacity } from "../core/freshness";
import { bearing, distance, type Place } from "../core/geo";
import type { Person } from "../core/session";
import { standing } from "../core/standing";
import type { T } from "../i18n";
import { Icon } from "./icons";
import type { LiveProps } from "./live";
import { Avatar, Button } from "./parts";

export function People(props: LiveProps) {
  const { state, ui, model } = props;
  const t = state.t.value;
  // Once a second, and when somebody comes or goes: not with each step that somebody makes.
  void model.roster.value;
  const time = state.now.value;
  const people = model.people.peek();
  const isLive = model.link.value.kind === "live" && !state.isOffline.value;
  const here = model.own.value?.data ?? null;
  return (
    <>
      <div class="sheet-head">
        <h2>{t("people.count", { n: people.length })}</h2>
        <button
          type="button"
          class="button plain"
          onClick={() => {
            ui.dialog.value = { kind: "invite" };
          }}
        >
          <Icon name="share" />
          <span>{t("action.invite")}</span>
        </button>
      </div>
      <ul id="list" class="list">
        {people.map((each) =>
          each.isMe ? (
            <Me key={each.userId} {...props} person={each} />
          ) : (
            <Row
              key={each.userId}
              {...props}
              person={each}
              here={here}
              time={time}
              isLive={isLive}
            />
          ),
        )}
      </ul>
      {people.length === 1 && <p class="alone">{t("people.alone")}</p>}
    </>
  );
}

interface RowProps extends LiveProps {
  readonly person: Person;
  readonly here: Place | null;
  readonly time: number;
  readonly isLive: boolean;
}

/** A program finds whose row it is, and which position it shows, without reading the text. */
function dataOf(person: Person): Record<string, string> {
  const data: Record<string, string> = { "data-user": person.userId };
  if (person.place === null) return data;
  data["data-lat"] = person.place.lat.toFixed(6);
  data["data-lng"] = person.place.lng.toFixed(6);
  return data;
}

function Row({ state, actions, person, here, time, isLive }: RowProps) {
  const t = state.t.value;
  const { place } = person;
  const far = place === null || here === null ? null : distance(here, place);
  const way = place === null || here === null ? 0 : bearing(here, place);
  const isNear = far !== null && far < 10;
  return (
    <li class="row" {...dataOf(person)}>
      <button type="button" class="row-main" onClick={() => actions.select(person.userId)}>
        <Avatar name={person.name} color={person.color} strength={strengthOf(person, time)} />
        <span class="row-text">
          <b>
            <bdi>{person.name}</bdi>
          </b>
          <small>
            {person.role === "host" && `${t("person.host")} · `}
            <span class={isNow(person, time, isLive) ? "now" : ""}>
              {standingText(t, person, time, isLive)}
            </span>
          </small>
        </span>
        {far !== null && (
          <span class="row-far">
            <span>{distanceText(t, far, state.units.value)}</span>
            {!isNear && (
              <small>
                <Icon name="arrow" turn={way} /> {compass(t, way)}
              </small>
            )}
          </span>
        )}
      </button>
    </li>
  );
}

function strengthOf({ place, online }: Person, time: number): number {
  if (place === null) return online ? 1 : 0;
  return (opacity(time - place.at) - 0.45) / 0.55;
}

const isNow = (person: Person, time: number, isLive: boolean): boolean =>
  standing(person, time, isLive).kind === "live";

/** How somebody stands, in words. */
export function standingText(t: T, person: Person, time: number, isLive: boolean): string {
  const found = standing(person, time, isLive);
  const ago = "age" in found && found.age !== null ? agoText(t, found.age) : null;
  switch (found.kind) {
    case "live":
      return t("person.live");
    case "no_position":
      return t("person.no_position");
    case "offline":
      return t("person.offline", { ago: ago ?? "" });
    case "here":
      return t("person.here", { ago: ago ?? "" });
    default: {
      const what = t(`person.${found.kind}`);
      return ago === null ? what : `${what} · ${t("person.here", { ago })}`;
    }
  }
}

function Me({ state, actions, ui, model, person }: LiveProps & { readonly person: Person }) {
  const t = state.t.value;
  const { shares } = state.settings.value;
  const isPaused = state.isPaused.value;
  const status = state.location.value;
  const place = model.people.peek().filter((each) => each.isMe)[0]?.place ?? null;
  const isImpossible = status === "denied" || status === "insecure" || status === "unsupported";
  const isSharing = shares === true && !isPaused && !isImpossible;
  const start = (): void => {
    if (isImpossible) ui.dialog.value = { kind: "location" };
    actions.startSharing();
  };
  let text = t("person.not_shared");
  if (isSharing && status === "sharing") {
    text = t(state.settings.value.isBlurred === true ? "person.blurred" : "person.sharing");
  } else if (isSharing && place !== null) {
    text = t("person.mine_old", { ago: agoText(t, Math.max(0, state.now.value - place.at)) });
  } else if (isSharing) text = t("person.searching");
  else if (isPaused && shares === true) text = t("person.paused_me");
  return (
    <li class="row row-me" {...dataOf(person)}>
      <span class="row-main">
        <Avatar name={person.name} color={person.color} />
        <span class="row-text">
          <b>
            <bdi>{person.name}</bdi> {t("people.me")}
          </b>
          <small>
            <span class={isSharing && status === "sharing" ? "now" : ""}>{text}</span>
          </small>
        </span>
      </span>
      {isSharing ? (
        <Button icon="pause" onClick={() => actions.setPaused(true)}>
          {t("action.pause")}
        </Button>
      ) : (
        <Button kind="primary" icon="play" onClick={start}>
          {t(isPaused && shares === true ? "action.resume" : "action.start")}
        </Button>
      )}
    </li>
  );
}
