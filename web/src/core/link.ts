/**
 * The last part of a join link: the id of the session, and a key where the host has replaced the first
 * link. As src/locshare/model/join_link.py has it. Pure.
 */

const PART = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:-([a-z2-7]{24}))?$/;

export interface Link {
  readonly id: string;
  /** Empty while the link is the first one. */
  readonly key: string;
}

/** Null for what is no such part. */
export function parseLink(part: string): Link | null {
  const found = PART.exec(part.toLowerCase());
  return found === null ? null : { id: found[1]!, key: found[2] ?? "" };
}

export const linkPart = ({ id, key }: Link): string => (key === "" ? id : `${id}-${key}`);

/** What is passed on; `root` is where the server is. */
export const joinAddress = (root: string, link: Link): string =>
  new URL(`join/${linkPart(link)}`, root).href;
