// Prefers nodes with few pods, and leaves out those with too many.

#include <osier/extension.h>

static uint32_t most;

static const char *configure(const osier_json *config) {
  most = (uint32_t)osier_json_number(osier_json_get(config, "most"), 100);
  return NULL;
}
OSIER_CONFIGURATION(configure)

static void score(const exports_osier_extension_schedule_pod_t *pod, const exports_osier_extension_schedule_list_candidate_t *nodes,
                  exports_osier_extension_schedule_opinion_t *opinions) {
  (void)pod;
  for (size_t i = 0; i < nodes->len; i++) {
    uint32_t pods = nodes->ptr[i].pods;
    if (pods >= most) {
      opinions[i].val.infeasible = osier_text("it has too many pods");
    } else {
      opinions[i].tag = EXPORTS_OSIER_EXTENSION_SCHEDULE_OPINION_SCORE;
      opinions[i].val.score = pods < 100 ? 100 - pods : 0;
    }
  }
}
OSIER_SCHEDULE(score)
