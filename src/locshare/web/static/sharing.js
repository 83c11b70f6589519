/** Handing a join link on: by the system's share sheet where there is one, else by the clipboard. */

export const canShare = typeof navigator.share === "function";

/** Returns what happened: `shared`, `copied`, `cancelled` or `failed`. */
export async function share(title, url) {
  if (!canShare) return copy(url);
  try {
    await navigator.share({ title, url });
    return "shared";
  } catch (error) {
    return error.name === "AbortError" ? "cancelled" : copy(url);
  }
}

export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return "copied";
  } catch {
    return copyOldWay(text); // pages over plain http have no clipboard
  }
}

function copyOldWay(text) {
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "visually-hidden";
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  return done ? "copied" : "failed";
}
