/** What to do where the browser does not tell the position. */

import { platformOf } from "../../core/directions";
import { Button, Dialog } from "../parts";
import type { DialogProps } from "./props";

export function LocationHelp({ state, actions, close }: DialogProps) {
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
