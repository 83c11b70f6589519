/** The dialogs of a session, and the sheet of a person. Loaded when the group is on the screen. */

import { addTexts } from "../i18n/en";
import { dialogTexts } from "../i18n/en_dialogs";
import type { Context } from "./context";
import { Background } from "./dialogs/background";
import { Confirm, Remove } from "./dialogs/confirm";
import { Invite } from "./dialogs/invite";
import { LocationHelp } from "./dialogs/location_help";
import { Menu } from "./dialogs/menu";
import { SettingsDialog } from "./dialogs/settings";

export { PersonSheet } from "./person";

addTexts(dialogTexts);

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
