/** What is asked back before it is done. */

import { useState } from "preact/hooks";
import { isolated } from "../../core/names";
import { Button, Dialog, Switch } from "../parts";
import type { DialogProps } from "./props";

type ConfirmKind = "leave" | "end" | "step_down" | "new_link";

export function Confirm({
  state,
  actions,
  ui,
  model,
  close,
  kind,
}: DialogProps & { readonly kind: ConfirmKind }) {
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

interface RemoveProps extends DialogProps {
  readonly userId: string;
  readonly name: string;
}

export function Remove({ state, actions, model, close, userId, name }: RemoveProps) {
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
