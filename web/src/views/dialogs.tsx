/** The dialogs of a session, and the sheet of a person. Loaded when the group is on the screen. */

import { useEffect, useState } from "preact/hooks";
import type { SessionModel } from "../app/session_model";
import { appLink, hasApp } from "../core/app_link";
import { platformOf } from "../core/directions";
import { leftText } from "../core/format";
import { isolated } from "../core/names";
import { addTexts } from "../i18n/en";
import { dialogTexts } from "../i18n/en_dialogs";
import { languageNames } from "../i18n/names";
import { appsOfPage, type Setup, type SetupApp } from "../io/api";
import { canShare } from "../io/sharing";
import { canStayAwake } from "../io/wake_lock";
import type { Context } from "./context";
import { Icon, type IconName } from "./icons";
import { Button, Choice, Dialog, Switch } from "./parts";

export { PersonSheet } from "./person";

addTexts(dialogTexts);

interface Props extends Context {
  readonly model: SessionModel;
  readonly close: () => void;
}

export function Dialogs(context: Context) {
  const { state, ui } = context;
  const model = state.active.value;
  const dialog = ui.dialog.value;
  if (model === null || dialog === null) return null;
  const close = (): void => {
    ui.dialog.value = null;
  };
  const props = { ...context, model, close };
  switch (dialog.kind) {
    case "menu":
      return <Menu {...props} />;
    case "invite":
      return <Invite {...props} />;
    case "settings":
      return <SettingsDialog {...props} />;
    case "background":
      return <Background {...props} />;
    case "location":
      return <LocationHelp {...props} />;
    case "remove":
      return <Remove key={dialog.userId} {...props} userId={dialog.userId} name={dialog.name} />;
    default:
      return <Confirm key={dialog.kind} {...props} kind={dialog.kind} />;
  }
}

// --- the menu

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

function Menu(props: Props) {
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

function Switcher({ state, actions, storage, model, close }: Props) {
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

// --- the link

function Invite({ state, actions, model, close }: Props) {
  const t = state.t.value;
  const link = actions.joinLink(model);
  const hostLink = actions.host.link(model);
  const { session } = model.state.value;
  const failed = (): void => actions.notices.say(t("notice.not_copied"));
  const copy = async (text: string): Promise<void> => {
    if ((await actions.copyLink(text)) === "failed") failed();
  };
  const share = async (): Promise<void> => {
    if ((await actions.shareLink(model)) === "failed") failed();
  };
  return (
    <Dialog title={t("invite.title")} close={t("action.close")} onClose={close}>
      <p class="hint">{session?.locked === true ? t("invite.locked") : t("invite.text")}</p>
      <div class="beside">
        <div class="qr">
          <img src={actions.linkCode(model)} alt={t("invite.qr")} width="220" height="220" />
        </div>
        <div class="beside-rest">
          <label class="field">
            <span>{t("invite.link")}</span>
            <input
              readOnly
              value={link}
              onFocus={(event) => event.currentTarget.select()}
              dir="ltr"
            />
          </label>
          <div class="deeds">
            {canShare() && (
              <Button kind="primary" icon="share" onClick={() => void share()}>
                {t("action.share")}
              </Button>
            )}
            <Button
              kind={canShare() ? "quiet" : "primary"}
              icon="copy"
              onClick={() => void copy(link)}
            >
              {t("action.copy")}
            </Button>
          </div>
        </div>
      </div>
      {hostLink !== null && model.isHost.value && (
        <section class="group">
          <h3>{t("invite.host")}</h3>
          <p class="hint">{t("invite.host.text")}</p>
          <Button icon="copy" onClick={() => void copy(hostLink)}>
            {t("invite.host.copy")}
          </Button>
        </section>
      )}
    </Dialog>
  );
}

// --- settings

function SettingsDialog({ state, actions, close }: Props) {
  const t = state.t.value;
  const settings = state.settings.value;
  return (
    <Dialog title={t("menu.settings")} close={t("action.close")} onClose={close}>
      <Switch
        label={t("settings.blur")}
        hint={t("settings.blur.hint")}
        isOn={settings.isBlurred === true}
        onChange={(isBlurred) => actions.set({ isBlurred })}
      />
      <Switch
        label={t("settings.awake")}
        hint={canStayAwake() ? t("settings.awake.hint") : t("settings.awake.cannot")}
        isOn={state.isAwake.value}
        onChange={(isOn) => void actions.setAwake(isOn)}
      />
      <Choice
        label={t("settings.scheme")}
        value={settings.scheme ?? "auto"}
        options={[
          { value: "auto", label: t("settings.auto") },
          { value: "light", label: t("settings.light") },
          { value: "dark", label: t("settings.dark") },
        ]}
        onChange={(value) => actions.set({ scheme: value === "auto" ? undefined : value })}
      />
      <Choice
        label={t("settings.map")}
        value={settings.map ?? "auto"}
        options={state.mapTypes.value.map((type) => ({
          value: type as string,
          label: t(`map.type.${type}`),
        }))}
        onChange={(map) => actions.set({ map })}
      />
      <Choice
        label={t("settings.units")}
        value={state.units.value}
        options={[
          { value: "metric", label: t("settings.metric") },
          { value: "imperial", label: t("settings.imperial") },
        ]}
        onChange={(units) => actions.set({ units })}
      />
      <Choice
        label={t("settings.language")}
        value={settings.language ?? "auto"}
        options={[
          { value: "auto", label: t("settings.auto") },
          ...languageNames.map(({ code, name }) => ({ value: code, label: name })),
        ]}
        onChange={(value) => actions.set({ language: value === "auto" ? undefined : value })}
      />
    </Dialog>
  );
}

// --- sharing while the screen is off

const APPS: readonly { readonly value: SetupApp; readonly label: string }[] = [
  { value: "owntracks", label: "OwnTracks" },
  { value: "traccar", label: "Traccar Client" },
  { value: "gpslogger", label: "GPSLogger" },
];

function Background({ state, actions, model, close }: Props) {
  const t = state.t.value;
  const [app, setApp] = useState<SetupApp>("owntracks");
  const [setup, setSetup] = useState<Setup | null>(null);
  const [code, setCode] = useState("");
  const [problem, setProblem] = useState("");
  useEffect(() => {
    actions.setup(model).then(setSetup, (error: unknown) => setProblem(actions.explain(error)));
  }, [model]);
  useEffect(() => {
    let url = "";
    let isGone = false;
    setCode("");
    actions.setupCode(model, app).then(
      (found) => {
        url = found;
        if (isGone) URL.revokeObjectURL(url);
        else setCode(url);
      },
      () => undefined, // the link and the code are enough
    );
    return () => {
      isGone = true;
      if (url !== "") URL.revokeObjectURL(url);
    };
  }, [model, app]);
  const server = setup === null ? "" : app === "gpslogger" ? setup.gpslogger.url : setup[app].url;
  return (
    <Dialog title={t("menu.background")} close={t("action.close")} onClose={close}>
      <p class="hint">{t("background.text")}</p>
      <Choice label={t("background.app")} value={app} options={APPS} onChange={setApp} />
      {problem !== "" && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
      {setup !== null && (
        <>
          <div class="deeds">
            <a class="button primary" href={setup[app].link} rel="noreferrer">
              <Icon name="phone" />
              <span>{t("background.open")}</span>
            </a>
          </div>
          <p class="hint">{t("background.scan")}</p>
          <div class="qr">
            {code !== "" && <img src={code} alt={t("background.qr")} width="220" height="220" />}
          </div>
          <dl class="plain-facts">
            <dt>{t("background.server")}</dt>
            <dd dir="ltr">{server}</dd>
            <dt>{t("background.code")}</dt>
            <dd dir="ltr">
              <code>{setup.code}</code>
            </dd>
          </dl>
        </>
      )}
      {hasApp(appsOfPage(), platformOf(navigator.userAgent, navigator.maxTouchPoints)) && (
        <section class="group">
          <h3>{t("background.own")}</h3>
          <p class="hint">{t("background.own.text")}</p>
          <a class="button quiet" href={appLink(actions.joinLink(model))}>
            <Icon name="phone" />
            <span>{t("join.app")}</span>
          </a>
        </section>
      )}
      {canStayAwake() && (
        <section class="group">
          <Switch
            label={t("settings.awake")}
            hint={t("settings.awake.hint")}
            isOn={state.isAwake.value}
            onChange={(isOn) => void actions.setAwake(isOn)}
          />
        </section>
      )}
    </Dialog>
  );
}

function LocationHelp({ state, actions, close }: Props) {
  const t = state.t.value;
  const platform = platformOf(navigator.userAgent, navigator.maxTouchPoints);
  return (
    <Dialog title={t("location.help.title")} close={t("action.close")} onClose={close}>
      <p>{t("location.help.text")}</p>
      <p class="steps">{t(`location.help.${platform}`)}</p>
      <div class="deeds">
        <Button
          kind="primary"
          onClick={() => {
            actions.retryLocation();
            close();
          }}
        >
          {t("end.retry")}
        </Button>
        <Button
          kind="plain"
          onClick={() => {
            actions.onlyWatch();
            close();
          }}
        >
          {t("join.watch")}
        </Button>
      </div>
    </Dialog>
  );
}

// --- asking back

type ConfirmKind = "leave" | "end" | "step_down" | "new_link";

function Confirm({
  state,
  actions,
  ui,
  model,
  close,
  kind,
}: Props & { readonly kind: ConfirmKind }) {
  const t = state.t.value;
  const [isBusy, setBusy] = useState(false);
  const act = async (): Promise<void> => {
    setBusy(true);
    try {
      if (kind === "leave") await actions.leave(model);
      else if (kind === "end") await actions.host.end(model);
      else if (kind === "step_down") await actions.host.stepDown(model);
      else await actions.host.replaceLink(model);
      if (kind === "new_link") ui.dialog.value = { kind: "invite" };
      else close();
    } catch (error) {
      actions.notices.say(actions.explain(error));
      setBusy(false);
    }
  };
  return (
    <Dialog title={t(`confirm.${kind}`)} close={t("action.close")} onClose={close}>
      <p>{t(`confirm.${kind}.text`)}</p>
      <div class="deeds">
        <Button kind="danger" isDisabled={isBusy} onClick={() => void act()}>
          {t(`action.${kind}`)}
        </Button>
        <Button kind="plain" onClick={close}>
          {t("action.cancel")}
        </Button>
      </div>
    </Dialog>
  );
}

interface RemoveProps extends Props {
  readonly userId: string;
  readonly name: string;
}

function Remove({ state, actions, model, close, userId, name }: RemoveProps) {
  const t = state.t.value;
  const [isBusy, setBusy] = useState(false);
  const [ban, setBan] = useState(true);
  const act = async (): Promise<void> => {
    setBusy(true);
    try {
      await actions.host.remove(model, userId, ban);
      actions.select(null);
      close();
    } catch (error) {
      actions.notices.say(actions.explain(error));
      setBusy(false);
    }
  };
  return (
    <Dialog
      title={t("confirm.remove", { name: isolated(name) })}
      close={t("action.close")}
      onClose={close}
    >
      <Switch label={t("confirm.ban")} hint={t("confirm.ban.hint")} isOn={ban} onChange={setBan} />
      <div class="deeds">
        <Button kind="danger" isDisabled={isBusy} onClick={() => void act()}>
          {t("person.remove")}
        </Button>
        <Button kind="plain" onClick={close}>
          {t("action.cancel")}
        </Button>
      </div>
    </Dialog>
  );
}
