// A token bucket for each set of dimensions, over the host's counters: template quota.

#include <osier/counters.h>
#include <osier/quota.h>

#include "settings.h"

static osier_outcome allocate(const osier_quota_request *request) {
  uint64_t limit = (uint64_t)osier_json_number(osier_json_get(settings, "limit"), 100);
  osier_terms terms = {.capacity = limit, .refill = limit, .interval = 3600000000000};
  osier_string key = OSIER_KEY(request->dimensions);
  osier_taken taken;
  osier_status status = osier_take("limits", key, request->amount, terms, request->best_effort, &taken);
  osier_free(key);
  if (status != OSIER_OK) return osier_refused(osier_text("cannot count"));
  if (taken.amount == 0) {
    osier_outcome refused = osier_refused(osier_text("the bucket is empty"));
    osier_retry_after(&refused, taken.retry_after);
    return refused;
  }
  osier_outcome granted = osier_granted(taken.amount);
  osier_quota_header(&granted, "x-ratelimit-limit", osier_textf("%llu", (unsigned long long)limit));
  return granted;
}
OSIER_QUOTA(allocate)
