// SPDX-License-Identifier: Apache-2.0 OR MIT
// The hooks route, balance, admit and schedule. Types have the names of `wit/extension`; a plugin uses what its world exports.

#ifndef OSIER_EXTENSION_H
#define OSIER_EXTENSION_H

#include "osier.h"

// `bool choose(const exports_osier_extension_route_request_t *request, osier_headers headers,
//              const exports_osier_extension_route_list_candidate_t *candidates, exports_osier_extension_route_choice_t *choice)`
// (with headers.h): false leaves the choice to the weights.
#define OSIER_ROUTE(choose)                                                                                             \
  bool exports_osier_extension_route_choose(exports_osier_extension_route_request_t *request,                           \
                                            exports_osier_extension_route_list_header_t *headers,                       \
                                            exports_osier_extension_route_list_candidate_t *candidates,                 \
                                            exports_osier_extension_route_choice_t *choice) {                           \
    memset(choice, 0, sizeof *choice);                                                                                  \
    bool chosen = choose(request, OSIER_HEADERS(headers), candidates, choice);                                          \
    exports_osier_extension_route_request_free(request);                                                                \
    exports_osier_extension_route_list_header_free(headers);                                                            \
    exports_osier_extension_route_list_candidate_free(candidates);                                                      \
    return chosen;                                                                                                      \
  }

// `bool pick(const exports_osier_extension_balance_request_t *request, osier_headers headers,
//            const exports_osier_extension_balance_list_endpoint_t *endpoints, uint32_t *place)` (with headers.h): false leaves the choice to the
// service's own balancer.
#define OSIER_BALANCE(pick)                                                                                             \
  bool exports_osier_extension_balance_pick(exports_osier_extension_balance_request_t *request,                         \
                                            exports_osier_extension_balance_list_header_t *headers,                     \
                                            exports_osier_extension_balance_list_endpoint_t *endpoints, uint32_t *place) { \
    bool picked = pick(request, OSIER_HEADERS(headers), endpoints, place);                                              \
    exports_osier_extension_balance_request_free(request);                                                              \
    exports_osier_extension_balance_list_header_free(headers);                                                          \
    exports_osier_extension_balance_list_endpoint_free(endpoints);                                                      \
    return picked;                                                                                                      \
  }

// `void judge(const exports_osier_extension_admit_review_t *review, exports_osier_extension_admit_verdict_t *verdict)`: the verdict is allow unless
// something else is written into it.
#define OSIER_ADMIT(judge)                                                                              \
  void exports_osier_extension_admit_judge(exports_osier_extension_admit_review_t *review,              \
                                           exports_osier_extension_admit_verdict_t *verdict) {          \
    memset(verdict, 0, sizeof *verdict);                                                                \
    judge(review, verdict);                                                                             \
    exports_osier_extension_admit_review_free(review);                                                  \
  }

// `void score(const exports_osier_extension_schedule_pod_t *pod, const exports_osier_extension_schedule_list_candidate_t *nodes,
//             exports_osier_extension_schedule_opinion_t *opinions)`: as many opinions as nodes; they are infeasible until something is written.
#define OSIER_SCHEDULE(score)                                                                                 \
  void exports_osier_extension_schedule_score(exports_osier_extension_schedule_pod_t *pod,                    \
                                              exports_osier_extension_schedule_list_candidate_t *nodes,       \
                                              exports_osier_extension_schedule_list_opinion_t *opinions) {    \
    opinions->len = nodes->len;                                                                               \
    opinions->ptr = osier_grow(NULL, (nodes->len + 1) * sizeof *opinions->ptr);                               \
    memset(opinions->ptr, 0, nodes->len * sizeof *opinions->ptr);                                             \
    score(pod, nodes, opinions->ptr);                                                                         \
    exports_osier_extension_schedule_pod_free(pod);                                                           \
    exports_osier_extension_schedule_list_candidate_free(nodes);                                              \
  }

#endif
