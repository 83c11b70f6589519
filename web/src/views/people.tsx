/** Everyone, as a list: first this device's owner, with what they share. */

import { effect, type ReadonlySignal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { agoText, compass, distanceText } from "../core/format";
import { opacity } from "../core/freshness";
import { bearing, distance } from "../core/geo";
import { asName } from "../core/names";
import type { Person, Position } from "../core/session";
import { standing } from "../core/standing";
import type { T } from "../i18n";
import type { LocationStatus } from "../io/locator";
import { Icon } from "./icons";
import type { LiveProps } from "./live";
import { Looks } from "./looks";
import { Avatar, Button } from "./parts";

/** Nearer than this there is no direction to somebody. */
export const NEAR_M = 10;

export function People(props: LiveProps) {
  const { state, actions, ui } = props;
  const t = state.t.value;
  const { people, looks } = useLooks(props);
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
            <Me key={each.userId} {...props} />
          ) : (
            <Row key={each.userId} look={looks.of(each)} onSelect={actions.selectPerson} />
          ),
        )}
      </ul>
      {people.length === 1 && <p class="alone">{t("people.alone")}</p>}
    </>
  );
}

const orderOf = (people: readonly Person[]): string => people.map((each) => each.userId).join();

/**
 * Who is in the list, and what the rows show. Anew when somebody comes or goes, or words change; each
 * second, and not with each step that somebody makes, what has changed within the rows.
 */
function useLooks(props: LiveProps) {
  const { state, model } = props;
  const kept = useRef<Looks<Person, RowLook> | null>(null);
  const lookOf = (person: Person): RowLook => lookIn(props, person);
  kept.current ??= new Looks(lookOf);
  const looks = kept.current;
  looks.lookOf = lookOf;
  const people = model.people.peek();
  const order = useSignal(orderOf(people));
  void [model.roster.value, order.value, state.t.value, state.units.value];
  void [model.link.value, state.isOffline.value];
  looks.refresh(people);
  useEffect(() => {
    const stop = effect(() => {
      void state.now.value;
      const now = model.people.peek();
      order.value = orderOf(now);
      looks.age(now);
    });
    return () => {
      stop();
      looks.stop();
    };
  }, [model]);
  return { people, looks };
}

/** A program finds whose row it is, and which position it shows, without reading the text. */
function dataOf(person: Person): Record<string, string> {
  const data: Record<string, string> = { "data-user": person.userId };
  if (person.place === null) return data;
  data["data-lat"] = person.place.lat.toFixed(6);
  data["data-lng"] = person.place.lng.toFixed(6);
  return data;
}

/** What a row shows, as text. */
interface RowLook {
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
}

function lookIn({ state, model }: LiveProps, person: Person): RowLook {
  const t = state.t.peek();
  const time = state.now.peek();
  const here = model.own.peek()?.data ?? null;
  const isLive = model.link.peek().kind === "live" && !state.isOffline.peek();
  const { place } = person;
  const far = place === null || here === null ? null : distance(here, place);
  const way = place === null || here === null || far! < NEAR_M ? -1 : bearing(here, place);
  const data = dataOf(person);
  return {
    userId: person.userId,
    name: asName(t, person.name),
    color: person.color,
    strength: Math.round(strengthOf(person, time) * 20) / 20,
    standing: standingText(t, person, time, isLive),
    isNow: standing(person, time, isLive).kind === "live",
    host: person.role === "host" ? `${t("person.host")} · ` : "",
    far: far === null ? "" : distanceText(t, far, state.units.peek()),
    way: Math.round(way / 5) * 5,
    compass: way < 0 ? "" : compass(t, way),
    lat: data["data-lat"] ?? "",
    lng: data["data-lng"] ?? "",
  };
}

interface RowProps {
  readonly look: ReadonlySignal<RowLook>;
  readonly onSelect: (userId: string) => void;
}

function Row({ look, onSelect }: RowProps) {
  const shown = look.value;
  const { userId, lat, lng } = shown;
  const place = lat === "" ? {} : { "data-lat": lat, "data-lng": lng };
  return (
    <li class="row" data-user={userId} {...place}>
      <button type="button" class="row-main" onClick={() => onSelect(userId)}>
        <Avatar name={shown.name} color={shown.color} strength={shown.strength} />
        <span class="row-text">
          <b>
            <bdi>{shown.name}</bdi>
          </b>
          <small>
            {shown.host}
            <span class={shown.isNow ? "now" : ""}>{shown.standing}</span>
          </small>
        </span>
        {shown.far !== "" && (
          <span class="row-far">
            <span>{shown.far}</span>
            {shown.way >= 0 && (
              <small>
                <Icon name="arrow" turn={shown.way} /> {shown.compass}
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

/** How somebody stands, in words; `far` is how far their last place is from here, where it is to be said. */
export function standingText(
  t: T,
  person: Person,
  time: number,
  isLive: boolean,
  far: string | null = null,
): string {
  const found = standing(person, time, isLive);
  const ago = "age" in found && found.age !== null ? agoText(t, found.age) : null;
  if (far !== null && person.place !== null && found.kind !== "live") {
    // The age of the fix: somebody may have been there for longer than their place is known.
    const age = agoText(t, Math.max(0, time - person.place.at));
    const seen = t("person.last_seen", { ago: age, distance: far });
    if (found.kind === "here" || found.kind === "no_position") return seen;
    return `${t(found.kind === "offline" ? "person.offline.now" : `person.${found.kind}`)} · ${seen}`;
  }
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

/** What this device does with its position. */
export interface Sharing {
  readonly status: LocationStatus;
  readonly shares: boolean;
  readonly isPaused: boolean;
  readonly isBlurred: boolean;
  /** Without a connection nothing is shared, whatever the device knows. */
  readonly isCut: boolean;
}

const isImpossible = (status: LocationStatus): boolean =>
  status === "denied" || status === "insecure" || status === "unsupported";

/** What is said of this device's owner. */
export function myStandingText(
  t: T,
  place: Position | null,
  time: number,
  { status, shares, isPaused, isBlurred, isCut }: Sharing,
): string {
  if (isPaused && shares) return t("person.paused_me");
  if (!shares || isImpossible(status)) return t("person.not_shared");
  if (isCut) return t("person.cut");
  if (status === "sharing") return t(isBlurred ? "person.blurred" : "person.sharing");
  if (place === null) return t("person.searching");
  return t("person.mine_old", { ago: agoText(t, Math.max(0, time - place.at)) });
}

/** A connection that comes back at once is nothing to tell. */
const CUT_AFTER_MS = 1_000;

function Me({ state, actions, ui, model }: LiveProps) {
  const t = state.t.value;
  const time = state.now.value;
  const person = model.people.peek().filter((each) => each.isMe)[0];
  const isPaused = state.isPaused.value;
  const status = state.location.value;
  const { kind, since } = model.link.value;
  if (person === undefined) return null;
  const sharing: Sharing = {
    status,
    shares: model.shares.value,
    isPaused,
    isBlurred: state.settings.value.isBlurred === true,
    isCut: state.isOffline.value || (kind !== "live" && time - since >= CUT_AFTER_MS),
  };
  const isSharing = sharing.shares && !isPaused && !isImpossible(status);
  const isNow = isSharing && status === "sharing" && !sharing.isCut;
  const start = (): void => {
    if (isImpossible(status)) ui.dialog.value = { kind: "location" };
    actions.startSharing();
  };
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
            <span class={isNow ? "now" : ""}>{myStandingText(t, person.place, time, sharing)}</span>
          </small>
        </span>
      </span>
      {isSharing ? (
        <Button icon="pause" onClick={() => actions.setPaused(true)}>
          {t("action.pause")}
        </Button>
      ) : (
        <Button kind="primary" icon="play" onClick={start}>
          {t(isPaused && sharing.shares ? "action.resume" : "action.start")}
        </Button>
      )}
    </li>
  );
}
