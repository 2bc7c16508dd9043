// The example plugins of every SDK, in one component.

import { configuration as configured } from "osier-plugin";
import { type Config, config } from "./config.ts";

export { listentry } from "./allow-list.ts";
export { request } from "./body.ts";
export { authorization } from "./claims.ts";
export { admit, balance, route, schedule } from "./placement.ts";
export { quota } from "./token-bucket.ts";

export const configuration = configured((given: Partial<Config>) => {
  Object.assign(config, given);
});
