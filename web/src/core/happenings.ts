/** What a message of the server has to tell people: quiet notices. Pure. */

import type { SessionUpdated } from "../generated/messages";
import type { ServerMessage, SnapshotData } from "./protocol";
import { reduce, type SessionState } from "./session";

export type Happening =
  | { readonly kind: "joined" | "left" | "removed" | "host"; readonly name: string }
  | { readonly kind: "host_me" }
  | { readonly kind: "locked" | "unlocked" | "new_link" };

/** `before` is the state that the message is about to change: it knows the names of who leaves. */
export function happenings(before: SessionState, message: ServerMessage): readonly Happening[] {
  switch (message.type) {
    case "participant_joined":
      if (message.data.user_id === before.me?.userId) return [];
      return [{ kind: "joined", name: message.data.display_name }];
    case "participant_left": {
      const name = before.people.get(message.data.user_id)?.name;
      if (name === undefined) return [];
      return [{ kind: message.data.reason === "removed" ? "removed" : "left", name }];
    }
    case "participant_updated": {
      const { user_id: userId, role } = message.data;
      const member = before.people.get(userId);
      if (role !== "host" || member === undefined || member.role === "host") return [];
      return userId === before.me?.userId
        ? [{ kind: "host_me" }]
        : [{ kind: "host", name: member.name }];
    }
    case "session_updated":
      return updated(before, message.data);
    case "session_state":
      return missed(before, message.data);
    default:
      return [];
  }
}

function updated(before: SessionState, data: SessionUpdated): readonly Happening[] {
  const found: Happening[] = [];
  const { locked, link_key: linkKey } = data;
  if (before.session === null) return found;
  if (typeof locked === "boolean" && locked !== before.session.locked) {
    found.push({ kind: locked ? "locked" : "unlocked" });
  }
  if (linkKey !== undefined && linkKey !== before.session.linkKey) found.push({ kind: "new_link" });
  return found;
}

/** Of the events that were missed; a person who came and went is not mentioned. */
function missed(before: SessionState, snapshot: SnapshotData): readonly Happening[] {
  const there = new Set(snapshot.participants.map((each) => each.user_id));
  const found: Happening[] = [];
  let state = before;
  for (const each of snapshot.missed ?? []) {
    if (each.type === "participant_joined" && !there.has(each.data.user_id)) continue;
    found.push(...happenings(state, each));
    state = reduce(state, each, 0);
  }
  return found;
}
