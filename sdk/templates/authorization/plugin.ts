// Lets everybody read, and only admins write.

import { allow, type Authorization, configuration as configured, deny } from "osier-plugin";

let admins: string[] = [];

export const configuration = configured((config: { admins: string[] }) => {
  admins = config.admins;
});

export const authorization = {
  check({ subject, action }: Authorization) {
    if (action.method === "GET") return allow();
    if (admins.includes(subject.user)) return allow({ requestHeaders: { "x-role": "admin" } });
    return deny(403, { reason: "not an admin", body: "Admins only.\n" });
  },
};
