/** Everyone, as a list: first this device's owner, with what they share. */

import { Component } from "preact";
import { agoText, compass, distanceText } from "../core/format";
import { opacity } from "../core/freshness";
import { bearing, distance, type Place } from "../core/geo";
import type { Person } from "../core/session";
import { standing } from "../core/standing";
import type { T } from "../i18n";
import { Icon } from "./icons";
import type { LiveProps } from "./live";
import { Avatar, Button } from "./parts";

/** Nearer than this there is no direction to somebody. */
const NEAR_M = 10;

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
            <Row key={each.userId} {...rowOf(props, each, here, time, isLive)} />
          ),
        )}
      </ul>
      {people.length === 1 && <p class="alone">{t("people.alone")}</p>}
    </>
  );
}

/** A program finds whose row it is, and which position it shows, without reading the text. */
function dataOf(person: Person): Record<string, string> {
  const data: Record<string, string> = { "data-user": person.userId };
  if (person.place === null) return data;
  data["data-lat"] = person.place.lat.toFixed(6);
  data["data-lng"] = person.place.lng.toFixed(6);
  return data;
}

/** What a row shows, as text: a second in which none of it changes costs next to nothing. */
interface RowProps {
  readonly userId: string;
  readonly name: string;
  readonly color: string;
  readonly strength: number;
  readonly standing: string;
  readonly isNow: boolean;
  readonly host: string;
  readonly far: string;
  /** Degrees, or -1 for no direction. */
  readonly way: number;
  readonly compass: string;
  readonly lat: string;
  readonly lng: string;
  readonly onSelect: (userId: string) => void;
}

function rowOf(
  { state, actions }: LiveProps,
  person: Person,
  here: Place | null,
  time: number,
  isLive: boolean,
): RowProps {
  const t = state.t.value;
  const { place } = person;
  const far = place === null || here === null ? null : distance(here, place);
  const way = place === null || here === null || far! < NEAR_M ? -1 : bearing(here, place);
  const data = dataOf(person);
  return {
    userId: person.userId,
    name: person.name,
    color: person.color,
    strength: Math.round(strengthOf(person, time) * 20) / 20,
    standing: standingText(t, person, time, isLive),
    isNow: standing(person, time, isLive).kind === "live",
    host: person.role === "host" ? `${t("person.host")} · ` : "",
    far: far === null ? "" : distanceText(t, far, state.units.value),
    way: Math.round(way / 5) * 5,
    compass: way < 0 ? "" : compass(t, way),
    lat: data["data-lat"] ?? "",
    lng: data["data-lng"] ?? "",
    onSelect: actions.selectPerson,
  };
}

class Row extends Component<RowProps> {
  override shouldComponentUpdate(next: RowProps): boolean {
    const { props } = this;
    return (Object.keys(next) as (keyof RowProps)[]).some((key) => next[key] !== props[key]);
  }

  override render(props: RowProps) {
    const { userId, lat, lng } = props;
    const place = lat === "" ? {} : { "data-lat": lat, "data-lng": lng };
    return (
      <li class="row" data-user={userId} {...place}>
        <button type="button" class="row-main" onClick={() => props.onSelect(userId)}>
          <Avatar name={props.name} color={props.color} strength={props.strength} />
          <span class="row-text">
            <b>
              <bdi>{props.name}</bdi>
            </b>
            <small>
              {props.host}
              <span class={props.isNow ? "now" : ""}>{props.standing}</span>
            </small>
          </span>
          {props.far !== "" && (
            <span class="row-far">
              <span>{props.far}</span>
              {props.way >= 0 && (
                <small>
                  <Icon name="arrow" turn={props.way} /> {props.compass}
                </small>
              )}
            </span>
          )}
        </button>
      </li>
    );
  }
}

function strengthOf({ place, online }: Person, time: number): number {
  if (place === null) return online ? 1 : 0;
  return (opacity(time - place.at) - 0.45) / 0.55;
}

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
            {person.role === "host" && `${t("person.host")} · `}
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
