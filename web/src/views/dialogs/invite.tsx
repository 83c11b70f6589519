/** The join link: as a picture, to share and to copy; for a host the one that makes hosts. */

import { canShare } from "../../io/sharing";
import { Button, Dialog } from "../parts";
import type { DialogProps } from "./props";

export function Invite({ state, actions, model, close }: DialogProps) {
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
