/** One person: where they are, how far, how fast, how old that is, and the way to them. */

import { useEffect, useRef, useState } from "preact/hooks";
import { directionsLink, platformOf } from "../core/directions";
import { agoText, compass, distanceText, speedText } from "../core/format";
import { bearing, distance } from "../core/geo";
import { asName } from "../core/names";
import type { Person } from "../core/session";
import { Icon, type IconName } from "./icons";
import type { LiveProps } from "./live";
import { Avatar, Button, Round } from "./parts";
import { NEAR_M, standingText } from "./people";

interface PersonSheetProps extends LiveProps {
  readonly userId: string;
}

export function PersonSheet(props: PersonSheetProps) {
  const { state, actions, model, userId } = props;
  const t = state.t.value;
  const title = useRef<HTMLHeadingElement>(null);
  useEffect(() => title.current?.focus({ preventScroll: true }), []);
  void model.roster.value;
  const time = state.now.value;
  const person = model.people.peek().filter((each) => each.userId === userId)[0];
  if (person === undefined) return null;
  const isLive = model.link.value.kind === "live" && !state.isOffline.value;
  const own = person.isMe ? null : (model.own.value?.data ?? null);
  const { place } = person;
  const metres = own === null || place === null ? 0 : distance(own, place);
  // Nearer than that they are in one place.
  const far = metres < NEAR_M ? null : distanceText(t, metres, state.units.value);
  return (
    <div class="person">
      <div class="sheet-head">
        <Round
          icon="back"
          class="plain"
          label={t("people.back")}
          onClick={() => actions.select(null)}
        />
        <Avatar name={person.name} color={person.color} />
        <div class="row-text">
          <h2 ref={title} tabIndex={-1}>
            <bdi>{person.isMe ? person.name : asName(t, person.name)}</bdi>
            {person.isMe && ` ${t("people.me")}`}
          </h2>
          <small>
            {person.role === "host" && `${t("person.host")} · `}
            {standingText(t, person, time, isLive, far)}
          </small>
        </div>
      </div>
      <div class="person-body">
        <Facts {...props} person={person} time={time} />
        <Deeds {...props} person={person} />
      </div>
    </div>
  );
}

interface FactsProps extends LiveProps {
  readonly person: Person;
  readonly time: number;
}

function Facts({ state, model, person, time }: FactsProps) {
  const t = state.t.value;
  const { place } = person;
  if (place === null) return null;
  const own = person.isMe ? null : (model.own.value?.data ?? null);
  const facts: { icon: IconName; turn?: number; label: string; value: string }[] = [];
  const add = (icon: IconName, label: string, value: string, turn?: number): void => {
    facts.push(turn === undefined ? { icon, label, value } : { icon, label, value, turn });
  };
  if (own !== null) {
    const way = bearing(own, place);
    const far = distance(own, place);
    const text = distanceText(t, far, state.units.value);
    add("arrow", t("fact.distance"), far < NEAR_M ? text : `${text} ${compass(t, way)}`, way);
  }
  if (place.speed !== null) {
    add("speed", t("fact.speed"), speedText(t, place.speed, state.units.value));
  }
  add("clock", t("fact.age"), agoText(t, Math.max(0, time - place.at)));
  if (place.accuracy !== null) {
    const text = distanceText(t, Math.max(10, place.accuracy), state.units.value);
    add("radius", t("fact.accuracy"), `± ${text}`);
  }
  if (place.battery !== null) {
    add("battery", t("fact.battery"), t("unit.percent", { n: Math.round(place.battery) }));
  }
  return (
    <dl class="facts">
      {facts.map(({ icon, turn, label, value }) => (
        <div key={label}>
          <Icon name={icon} {...(turn === undefined ? {} : { turn })} />
          <dt>{label}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function Deeds({ state, actions, ui, model, person }: LiveProps & { readonly person: Person }) {
  const t = state.t.value;
  const [isBusy, setBusy] = useState(false);
  const { place } = person;
  const follow = state.follow.value;
  const isFollowed = follow.kind === "person" && follow.userId === person.userId;
  const makeHost = async (): Promise<void> => {
    setBusy(true);
    try {
      await actions.host.setRole(model, person.userId, "host");
    } catch (error) {
      actions.notices.say(actions.explain(error));
    }
    setBusy(false);
  };
  const platform = platformOf(navigator.userAgent, navigator.maxTouchPoints);
  return (
    <div class="deeds">
      {place !== null && (
        <Button
          kind={isFollowed ? "quiet" : "primary"}
          icon="me"
          isPressed={isFollowed}
          onClick={() =>
            actions.follow(
              isFollowed ? { kind: "nobody" } : { kind: "person", userId: person.userId },
            )
          }
        >
          {t("person.follow")}
        </Button>
      )}
      {place !== null && !person.isMe && (
        <a
          class="button quiet"
          href={directionsLink(place, person.name, platform)}
          target={platform === "other" ? "_blank" : undefined}
          rel="noreferrer noopener"
        >
          <Icon name="way" />
          <span>{t("person.directions")}</span>
        </a>
      )}
      {model.isHost.value && !person.isMe && (
        <>
          {person.role !== "host" && (
            <Button icon="star" isDisabled={isBusy} onClick={() => void makeHost()}>
              {t("person.make_host")}
            </Button>
          )}
          <Button
            kind="danger"
            icon="stop"
            onClick={() => {
              const { userId } = person;
              ui.dialog.value = { kind: "remove", userId, name: asName(t, person.name) };
            }}
          >
            {t("person.remove")}
          </Button>
        </>
      )}
    </div>
  );
}
