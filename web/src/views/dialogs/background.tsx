/** Sharing while the screen is off: other apps that report for the same person. */

import { useEffect, useState } from "preact/hooks";
import { appLink, hasApp } from "../../core/app_link";
import { platformOf } from "../../core/directions";
import { appsOfPage, type Setup, type SetupApp } from "../../io/api";
import { canStayAwake } from "../../io/wake_lock";
import { Icon } from "../icons";
import { Choice, Dialog, Switch } from "../parts";
import type { DialogProps } from "./props";

const APPS: readonly { readonly value: SetupApp; readonly label: string }[] = [
  { value: "owntracks", label: "OwnTracks" },
  { value: "traccar", label: "Traccar Client" },
  { value: "gpslogger", label: "GPSLogger" },
];

export function Background({ state, actions, model, close }: DialogProps) {
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
