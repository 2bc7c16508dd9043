// The hooks route, balance, admit and schedule, one plugin each.

#include <osier/headers.h>

#include <osier/extension.h>

#include "settings.h"

// A header names the subset, and a cookie remembers it.
static bool choose(const exports_osier_extension_route_request_t *request, osier_headers headers,
                   const exports_osier_extension_route_list_candidate_t *candidates, exports_osier_extension_route_choice_t *choice) {
  (void)request;
  const osier_string *wanted = osier_header_get(headers, "x-variant");
  for (size_t i = 0; wanted && i < candidates->len; i++) {
    if (!osier_same(candidates->ptr[i].subset, *wanted)) continue;
    choice->candidate = (uint32_t)i;
    *OSIER_PUSH(&choice->response_headers) = osier_set("set-cookie", osier_textf("variant=%.*s", OSIER_PRINT(*wanted)));
    return true;
  }
  return false;
}
OSIER_ROUTE(choose)

// The endpoint that works on the fewest requests.
static bool pick(const exports_osier_extension_balance_request_t *request, osier_headers headers,
                 const exports_osier_extension_balance_list_endpoint_t *endpoints, uint32_t *place) {
  (void)request, (void)headers;
  *place = 0;
  for (size_t i = 1; i < endpoints->len; i++) {
    if (endpoints->ptr[i].in_flight < endpoints->ptr[*place].in_flight) *place = (uint32_t)i;
  }
  return endpoints->len > 0;
}
OSIER_BALANCE(pick)

static bool reserved(osier_string owner) {
  for (const osier_json *one = osier_json_first(osier_json_get(settings, "reserved")); one; one = one->next) {
    if (osier_same(osier_json_text(one), owner)) return true;
  }
  return false;
}

// Objects have an owner; who writes is it where none is named.
static void judge(const exports_osier_extension_admit_review_t *review, exports_osier_extension_admit_verdict_t *verdict) {
  osier_json *object = osier_json_parse(review->object.ptr, review->object.len);
  const osier_json *labels = osier_json_get(osier_json_get(object, "metadata"), "labels");
  const osier_json *owner = osier_json_get(labels, "owner");
  bool asked = osier_json_first(labels) && review->operation != EXPORTS_OSIER_EXTENSION_ADMIT_OPERATION_DELETE;
  if (asked && owner && reserved(osier_json_text(owner))) {
    verdict->tag = EXPORTS_OSIER_EXTENSION_ADMIT_VERDICT_DENY;
    verdict->val.deny.reason = osier_textf("%.*s owns nothing", OSIER_PRINT(osier_json_text(owner)));
    verdict->val.deny.field = osier_text("metadata.labels.owner");
  } else if (asked && !owner) {
    verdict->tag = EXPORTS_OSIER_EXTENSION_ADMIT_VERDICT_PATCH;
    osier_string user = osier_json_quoted(review->user);
    verdict->val.patch = osier_textf("[{\"op\": \"add\", \"path\": \"/metadata/labels/owner\", \"value\": %.*s}]", OSIER_PRINT(user));
    osier_free(user);
  }
  osier_json_free(object);
}
OSIER_ADMIT(judge)

// Where the fewest pods are, and never two of a kind.
static void score(const exports_osier_extension_schedule_pod_t *pod, const exports_osier_extension_schedule_list_candidate_t *nodes,
                  exports_osier_extension_schedule_opinion_t *opinions) {
  (void)pod;
  for (size_t i = 0; i < nodes->len; i++) {
    uint32_t pods = nodes->ptr[i].pods;
    if (nodes->ptr[i].siblings) {
      opinions[i].val.infeasible = osier_text("there is one of its kind");
    } else {
      opinions[i].tag = EXPORTS_OSIER_EXTENSION_SCHEDULE_OPINION_SCORE;
      opinions[i].val.score = pods < 100 ? 100 - pods : 0;
    }
  }
}
OSIER_SCHEDULE(score)
