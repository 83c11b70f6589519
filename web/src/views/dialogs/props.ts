/** What every dialog of a session gets. */

import type { SessionModel } from "../../app/session_model";
import type { Context } from "../context";

export interface DialogProps extends Context {
  readonly model: SessionModel;
  readonly close: () => void;
}
