/** Answers that take longer to find than to keep. Pure, but for the memory. */

/** `make`, with up to `most` of its answers kept by their key; with more it begins anew. */
export function kept<Value>(most: number, make: (key: string) => Value): (key: string) => Value {
  const known = new Map<string, Value>();
  return (key) => {
    let value = known.get(key);
    if (value === undefined) {
      if (known.size >= most) known.clear();
      value = make(key);
      known.set(key, value);
    }
    return value;
  };
}
