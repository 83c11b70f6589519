/**
 * Whether MapLibre can run here: it needs WebGL2, workers that are modules, and a language newer than
 * what the rest of the page does with (iOS 15.4, Chrome 93). Loading it elsewhere would be for nothing.
 */

let answer: Promise<boolean> | null = null;

/** Found out once for a page. */
export function canRunMapLibre(): Promise<boolean> {
  answer ??= Promise.resolve(
    "hasOwn" in Object && "ResizeObserver" in window && hasModuleWorkers() && hasWebGl2(),
  );
  return answer;
}

/** A browser that knows module workers reads `type`. No worker is started: the address is none. */
function hasModuleWorkers(): boolean {
  let isRead = false;
  const options = {
    get type(): "module" {
      isRead = true;
      return "module";
    },
  };
  try {
    new Worker("http://[", options).terminate();
  } catch {
    // After the options have been read.
  }
  return isRead;
}

function hasWebGl2(): boolean {
  try {
    const context = document.createElement("canvas").getContext("webgl2");
    if (context === null) return false;
    // There are few contexts to have: give this one back.
    context.getExtension("WEBGL_lose_context")?.loseContext();
    return true;
  } catch {
    return false;
  }
}
