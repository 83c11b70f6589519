/** Handing a join link on: by the system's share sheet where there is one, else by the clipboard. */

export const canShare = (): boolean => typeof navigator.share === "function";

export type Handed = "shared" | "copied" | "cancelled" | "failed";

export async function share(title: string, url: string): Promise<Handed> {
  if (!canShare()) return copy(url);
  try {
    await navigator.share({ title, url });
    return "shared";
  } catch (error) {
    return (error as Error).name === "AbortError" ? "cancelled" : copy(url);
  }
}

export async function copy(text: string): Promise<Handed> {
  try {
    await navigator.clipboard.writeText(text);
    return "copied";
  } catch {
    return copyOldWay(text); // pages over plain http have no clipboard
  }
}

function copyOldWay(text: string): Handed {
  const before = document.activeElement as HTMLElement | null;
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "visually-hidden";
  document.body.appendChild(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  before?.focus();
  return done ? "copied" : "failed";
}
