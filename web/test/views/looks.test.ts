import { effect } from "@preact/signals";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Looks } from "../../src/views/looks";

interface Person {
  readonly userId: string;
}
const people: readonly Person[] = Array.from({ length: 50 }, (_, at) => ({ userId: `user-${at}` }));

let frames: FrameRequestCallback[];
let age: number;
let drawn: string[];
let looks: Looks<Person, { readonly text: string }>;

/** Let the browser draw once. Which rows it drew. */
function picture(): readonly string[] {
  const asked = frames;
  frames = [];
  drawn = [];
  for (const each of asked) each(0);
  return drawn;
}

beforeEach(() => {
  frames = [];
  drawn = [];
  age = 0;
  vi.stubGlobal("window", {
    requestAnimationFrame: (callback: FrameRequestCallback) => frames.push(callback),
    cancelAnimationFrame: () => {
      frames = [];
    },
  });
  looks = new Looks((person) => ({ text: `${person.userId} ${age}` }));
  for (const person of people) {
    const look = looks.of(person);
    effect(() => {
      drawn.push(look.value.text.split(" ")[0]!);
    });
  }
});

afterEach(() => {
  vi.unstubAllGlobals();
});

test("a group that ages together is drawn a few rows a picture, each of them once", () => {
  age = 1;
  looks.age(people);
  const pictures = [picture(), picture(), picture(), picture(), picture()];
  expect(pictures.map((each) => each.length)).toEqual([12, 12, 12, 12, 2]);
  expect(new Set(pictures.flat()).size).toBe(50);
  expect(frames.length).toBe(0);
});

test("a second in which nobody looks different is one picture, in which nothing is drawn", () => {
  looks.age(people);
  expect(picture()).toEqual([]);
  expect(frames.length).toBe(0);
});

test("what a slow device did not come to is the first of the next second", () => {
  age = 1;
  looks.age(people);
  expect(picture()).toContain("user-0");
  age = 2;
  looks.age(people);
  expect(picture()).toContain("user-12");
});

test("when somebody comes or goes everyone is drawn at once, and who has gone is forgotten", () => {
  age = 1;
  drawn = [];
  looks.refresh(people.slice(1));
  expect(drawn.length).toBe(49);
  looks.age(people.slice(1));
  picture();
  expect(looks.of(people[0]!).value.text).toBe("user-0 1");
});
