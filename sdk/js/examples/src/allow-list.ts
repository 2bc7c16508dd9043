// A header allow-list: template listentry.

import { allow, deny, type ListEntry } from "osier-plugin";
import { config } from "./config.ts";

export const listentry = {
  check({ value }: ListEntry) {
    if (config.allow.includes(value)) return allow();
    return deny(403, { reason: "not on the list", body: "You are not on the list.\n", headers: { "x-denied-by": "allow-list" } });
  },
};
