// Required claims: template authorization.

import { allow, type Authorization, deny } from "osier-plugin";
import { config } from "./config.ts";

export const authorization = {
  check({ subject }: Authorization) {
    const property = subject.properties.find(([name]) => name === "claims")?.[1];
    const claims = property?.tag === "texts" ? Object.fromEntries(property.val) : {};
    for (const [name, value] of Object.entries(config.claims)) {
      if (claims[name] !== value) return deny(403, { reason: `claim ${name} must be ${value}` });
    }
    return allow({
      requestHeaders: { "x-user": subject.user },
      responseHeaders: { "x-tier": config.claims.tier ?? "" },
      validForMs: 1000,
    });
  },
};
