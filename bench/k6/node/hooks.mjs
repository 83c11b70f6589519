// Lets node find the stand-ins where a script imports a module of k6.

const STANDINS = new Set(["k6/http", "k6/metrics", "k6/websockets"]);

export function resolve(specifier, context, next) {
  if (!STANDINS.has(specifier)) {
    return next(specifier, context);
  }
  const url = new URL(`${specifier.slice(3)}.mjs`, import.meta.url).href;
  return { url, shortCircuit: true };
}
