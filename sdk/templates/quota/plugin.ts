// A token bucket for each set of dimensions, kept in the host's counters.

import { configuration as configured, granted, type Quota, refused } from "osier-plugin";
import { take } from "osier-plugin/counters";

let limit = 0;

export const configuration = configured((config: { limit: number }) => {
  limit = config.limit;
});

export const quota = {
  allocate({ dimensions, amount, bestEffort }: Quota) {
    const terms = { capacity: limit, refill: limit, intervalMs: 3_600_000 };
    const taken = take("limits", JSON.stringify(dimensions), amount, terms, bestEffort);
    if (taken.amount > 0) return granted(taken.amount, { "x-ratelimit-limit": String(limit) });
    return refused("the bucket is empty", { retryAfter: taken.retryAfter });
  },
};
