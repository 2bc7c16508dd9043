// Answers in place of a service that is being repaired.

import { configuration as configured, deny } from "osier-plugin";

let message = "";

export const configuration = configured((config: { message?: string }) => {
  message = config.message ?? "";
});

export const checknothing = {
  check() {
    return deny(503, { reason: "maintenance", headers: { "retry-after": "60" }, body: message });
  },
};
