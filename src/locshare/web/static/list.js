/**
 * The list of people: name, distance, direction and age. Rows are updated and never made anew, so that
 * focus and scrolling stay.
 */

import { ago, avatar, compass, inkOn, length, safeColor } from "./format.js";
import { bearing, distance } from "./geo.js";
import { FRESH_MS } from "./session.js";

/** What the second line of a row says. Pure. */
export function standing(person, now) {
  const { place } = person;
  const age = place === null ? 0 : now - place.at;
  if (person.isMe) {
    if (place === null) return "your position is not shared";
    return age < FRESH_MS ? "sharing your position" : `your position is from ${ago(age)}`;
  }
  if (!person.online) return `offline · last seen ${ago(now - person.lastSeen)}`;
  if (place === null) return "no position";
  return age < FRESH_MS ? "live" : `was here ${ago(age)}`;
}

export class PeopleList {
  #list;
  #onPick;
  #onRemove;
  #rows = new Map(); // user_id → the parts of a row

  /** `onPick(userId)` is called when a row is pressed, `onRemove(userId)` for its cross. */
  constructor(list, onPick, onRemove = () => undefined) {
    this.#list = list;
    this.#onPick = onPick;
    this.#onRemove = onRemove;
  }

  /**
   * Show `people` in their order; `followed` is the user_id that the map follows, or null. A host's
   * rows have a cross, for removing that person.
   */
  show(people, followed, now, isHost = false) {
    const own = people.find((each) => each.isMe)?.place ?? null;
    const gone = new Set(this.#rows.keys());
    people.forEach((person, at) => {
      gone.delete(person.userId);
      const row = this.#rows.get(person.userId) ?? this.#add(person.userId);
      this.#fill(row, person, own, now);
      row.remove.hidden = !isHost || person.isMe;
      if (!row.remove.hidden) row.remove.setAttribute("aria-label", `Remove ${person.name}`);
      row.button.setAttribute("aria-pressed", String(person.userId === followed));
      if (this.#list.children[at] !== row.item) {
        this.#list.insertBefore(row.item, this.#list.children[at] ?? null);
      }
    });
    for (const userId of gone) {
      this.#rows.get(userId).item.remove();
      this.#rows.delete(userId);
    }
  }

  #add(userId) {
    const make = (tag, className) => {
      const element = document.createElement(tag);
      if (className) element.className = className;
      return element;
    };
    const row = {
      item: make("li"), button: make("button"), avatar: make("span", "avatar"),
      who: make("span", "who"), line: make("b"), name: make("bdi"), mine: make("span"),
      state: make("small"), far: make("span", "far"),
      length: make("span"), arrow: icon("M12 20V5m0 0-6 6m6-6 6 6"),
      remove: make("button", "remove"),
    };
    row.item.dataset.userId = userId;
    row.button.type = "button";
    row.avatar.setAttribute("aria-hidden", "true");
    row.line.append(row.name, row.mine);
    row.who.append(row.line, row.state);
    row.far.append(row.length, row.arrow);
    row.button.append(row.avatar, row.who, row.far);
    row.button.addEventListener("click", () => this.#onPick(userId));
    row.remove.type = "button";
    row.remove.append(icon("m7 7 10 10M17 7 7 17"));
    row.remove.addEventListener("click", () => this.#onRemove(userId));
    row.item.append(row.button, row.remove);
    this.#rows.set(userId, row);
    return row;
  }

  #fill(row, person, own, now) {
    const color = safeColor(person.color);
    row.avatar.style.setProperty("--color", color);
    row.avatar.style.setProperty("--on-color", inkOn(color));
    set(row.avatar, avatar(person.name));
    set(row.name, person.name);
    set(row.mine, person.isMe ? " (you)" : "");
    set(row.state, standing(person, now));
    row.item.classList.toggle("is-offline", !person.online && !person.isMe);
    row.button.disabled = person.place === null;
    locate(row.item, person.place);
    const far = own !== null && person.place !== null && !person.isMe;
    row.far.hidden = !far;
    if (!far) return;
    const metres = distance(own, person.place);
    const direction = bearing(own, person.place);
    const near = metres < 10;
    set(row.length, near ? length(metres) : `${length(metres)} ${compass(direction)}`);
    row.arrow.toggleAttribute("hidden", near);
    row.arrow.style.transform = `rotate(${direction.toFixed(0)}deg)`;
  }
}

/** For tests that drive the page: the position that is shown, or none. */
function locate(item, place) {
  for (const part of ["lat", "lng"]) {
    if (place === null) delete item.dataset[part];
    else item.dataset[part] = place[part].toFixed(6);
  }
}

function set(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function icon(lines) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", lines);
  svg.append(path);
  return svg;
}
