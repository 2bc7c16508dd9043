// A token bucket for each set of dimensions, over the host's counters: template quota.

import { granted, type Quota, refused } from "osier-plugin";
import { take } from "osier-plugin/counters";
import { config } from "./config.ts";

export const quota = {
  allocate({ dimensions, amount, bestEffort }: Quota) {
    const terms = { capacity: config.limit, refill: config.limit, intervalMs: 3_600_000 };
    const taken = take("limits", JSON.stringify(dimensions), amount, terms, bestEffort);
    if (taken.amount > 0) return granted(taken.amount, { "x-ratelimit-limit": String(config.limit) });
    return refused("the bucket is empty", { retryAfter: taken.retryAfter });
  },
};
