/** The battery, where the browser tells of it (Chrome; no Safari, no Firefox). */

interface BatteryManager extends EventTarget {
  readonly level: number;
  readonly charging: boolean;
}

export interface Battery {
  /** 0 … 100. */
  readonly percent: number;
  readonly isLow: boolean;
}

const LOW = 0.15;

/** Call `onChange` now and at each change; never, where the browser does not tell. */
export async function watchBattery(onChange: (battery: Battery) => void): Promise<void> {
  const get = (navigator as { getBattery?: () => Promise<BatteryManager> }).getBattery;
  if (get === undefined) return;
  let manager: BatteryManager;
  try {
    manager = await get.call(navigator);
  } catch {
    return; // an embedding page may forbid it
  }
  const tell = (): void => {
    const isLow = manager.level <= LOW && !manager.charging;
    onChange({ percent: Math.round(manager.level * 100), isLow });
  };
  manager.addEventListener("levelchange", tell);
  manager.addEventListener("chargingchange", tell);
  tell();
}
