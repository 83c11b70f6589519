/** The menu of a session: invite, settings, what a host may do, other sessions, leave. */

import { leftText } from "../../core/format";
import { Icon, type IconName } from "../icons";
import { Dialog } from "../parts";
import type { DialogProps } from "./props";

interface ItemProps {
  readonly icon: IconName;
  readonly label: string;
  readonly hint?: string;
  readonly isDanger?: boolean;
  readonly onClick: () => void;
}

function Item({ icon, label, hint, isDanger, onClick }: ItemProps) {
  return (
    <button type="button" class={isDanger === true ? "item danger" : "item"} onClick={onClick}>
      <Icon name={icon} />
      <span class="item-text">
        <bdi>{label}</bdi>
        {hint !== undefined && <small>{hint}</small>}
      </span>
    </button>
  );
}

export function Menu(props: DialogProps) {
  const { state, actions, ui, model, close } = props;
  const t = state.t.value;
  const { session, people } = model.state.value;
  const isLocked = session?.locked === true;
  const isHost = model.isHost.value;
  const hosts = Array.from(people.values()).filter((each) => each.role === "host").length;
  const isTheOnlyHost = model.state.value.me?.role === "host" && hosts < 2;
  const to =
    (kind: "invite" | "settings" | "background" | "leave" | "end" | "step_down" | "new_link") =>
    () => {
      ui.dialog.value = { kind };
    };
  const lock = async (): Promise<void> => {
    try {
      await actions.host.lock(model, !isLocked);
      close();
    } catch (error) {
      actions.notices.say(actions.explain(error));
    }
  };
  return (
    <Dialog
      title={session?.name ?? model.membership.name}
      close={t("action.close")}
      onClose={close}
    >
      <Item
        icon="share"
        label={t("action.invite")}
        hint={t("menu.invite")}
        onClick={to("invite")}
      />
      <Item
        icon="phone"
        label={t("menu.background")}
        hint={t("menu.background.hint")}
        onClick={to("background")}
      />
      <Item icon="sliders" label={t("menu.settings")} onClick={to("settings")} />
      {isHost && (
        <section class="group" aria-label={t("menu.host")}>
          <h3>{t("menu.host")}</h3>
          <Item
            icon={isLocked ? "unlock" : "lock"}
            label={t(isLocked ? "action.unlock" : "action.lock")}
            hint={t(isLocked ? "menu.unlock" : "menu.lock")}
            onClick={() => void lock()}
          />
          <Item
            icon="link"
            label={t("action.new_link")}
            hint={t("menu.new_link")}
            onClick={to("new_link")}
          />
          {!isTheOnlyHost && (
            <Item icon="star" label={t("action.step_down")} onClick={to("step_down")} />
          )}
          <Item icon="stop" label={t("action.end")} isDanger onClick={to("end")} />
        </section>
      )}
      <Switcher {...props} />
      <Item icon="exit" label={t("action.leave")} isDanger onClick={to("leave")} />
    </Dialog>
  );
}

function Switcher({ state, actions, storage, model, close }: DialogProps) {
  const t = state.t.value;
  const others = storage.memberships().filter((each) => each.id !== model.id);
  const open = state.sessions.value;
  return (
    <section class="group" aria-label={t("menu.sessions")}>
      <h3>{t("menu.sessions")}</h3>
      {others.map(({ id, membership }) => {
        const left = leftText(t, membership.endsAt - Date.now());
        const isOpen = open.some((each) => each.id === id);
        return (
          <Item
            key={id}
            icon="pin"
            label={membership.name}
            hint={`${t("session.ends", { left })}${isOpen ? ` · ${t("menu.connected")}` : ""}`}
            onClick={() => {
              close();
              void actions.openSession({ id, key: "" });
            }}
          />
        );
      })}
      <Item
        icon="plus"
        label={t("menu.new")}
        onClick={() => {
          close();
          actions.home();
        }}
      />
    </section>
  );
}
