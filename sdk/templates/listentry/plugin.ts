// Lets through what is on a list.

import { allow, configuration as configured, deny, type ListEntry } from "osier-plugin";

let allowed: string[] = [];

export const configuration = configured((config: { allow: string[] }) => {
  allowed = config.allow;
});

export const listentry = {
  check({ value }: ListEntry) {
    return allowed.includes(value) ? allow() : deny(403, { reason: "not on the list" });
  },
};
