// Lets through the holders of known keys.

import { allow, type ApiKey, configuration as configured, deny } from "osier-plugin";

let consumers = new Map<string, string>();

export const configuration = configured((config: { keys: Record<string, string> }) => {
  consumers = new Map(Object.entries(config.keys));
});

export const apikey = {
  check({ apiKey }: ApiKey) {
    const consumer = consumers.get(apiKey);
    if (consumer !== undefined) return allow({ requestHeaders: { "x-consumer": consumer } });
    return deny(401, { reason: apiKey === "" ? "no key" : "unknown key" });
  },
};
