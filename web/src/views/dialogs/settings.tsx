/** The settings of this device. */

import { languageNames } from "../../i18n/names";
import { canStayAwake } from "../../io/wake_lock";
import { Choice, Dialog, Switch } from "../parts";
import type { DialogProps } from "./props";

export function SettingsDialog({ state, actions, close }: DialogProps) {
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
