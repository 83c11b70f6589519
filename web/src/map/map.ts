/** The map of the page: binds its state to a GroupMap, and what people do on that to its actions. */

import { effect } from "@preact/signals";
import { now } from "../core/clock";
import type { MapType } from "../core/map_types";
import { createMap } from "./group_map";
import type { MakeMap, MapOptions } from "./surface";

export { type MapType, mapTypes } from "../core/map_types";

const NO_PADDING = { top: 0, right: 0, bottom: 0, left: 0 };

export const makeMap: MakeMap = (parent, { state, actions, lifecycle, root }) => {
  const still = window.matchMedia("(prefers-reduced-motion: reduce)");
  const options = (): Omit<MapOptions, "padding" | "island"> => ({
    root,
    sources: state.maps.value,
    type: (state.settings.value.map ?? "auto") as MapType,
    isDark: state.isDark.value,
    units: state.units.value,
    t: state.t.value,
    isStill: still.matches,
  });
  const map = createMap(
    parent,
    { ...options(), padding: NO_PADDING, island: null },
    {
      onPerson: (userId) => actions.select(userId),
      onStack: () => actions.select(null),
      onGround: () => actions.select(null),
      onFollow: (what) => actions.follow(what),
    },
  );
  const stops = [
    effect(() => map.setOptions(options())),
    effect(() => map.follow(state.follow.value)),
    effect(() => map.select(state.selected.value)),
    effect(() => {
      const people = state.active.value?.people.value ?? [];
      // Read so that it ages each second, but people move between two ticks.
      map.show(people, Math.max(state.now.value, now()));
    }),
    lifecycle.listen((event) => {
      if (event === "hidden") map.pause();
      else if (event === "shown") map.resume();
    }),
  ];
  if (lifecycle.isHidden) map.pause();
  const moved = (): void => map.setOptions({ isStill: still.matches });
  still.addListener(moved); // addEventListener is younger (Safari 14)
  stops.push(() => still.removeListener(moved));
  return {
    zoomBy: (delta) => map.zoomBy(delta),
    setPadding: (padding, island = null) => map.setOptions({ padding, island }),
    destroy: () => {
      for (const stop of stops) stop();
      map.destroy();
    },
  };
};
