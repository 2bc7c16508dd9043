// Objects must have a label.

#include <osier/extension.h>

static osier_string label;

static const char *configure(const osier_json *config) {
  label = osier_json_text(osier_json_get(config, "label"));
  return NULL;
}
OSIER_CONFIGURATION(configure)

static bool labelled(const osier_json *object) {
  const osier_json *labels = osier_json_get(osier_json_get(object, "metadata"), "labels");
  for (const osier_json *one = osier_json_first(labels); one; one = one->next) {
    if (osier_same(one->name, label)) return true;
  }
  return false;
}

static void judge(const exports_osier_extension_admit_review_t *review, exports_osier_extension_admit_verdict_t *verdict) {
  if (review->operation == EXPORTS_OSIER_EXTENSION_ADMIT_OPERATION_DELETE) return;
  osier_json *object = osier_json_parse(review->object.ptr, review->object.len);
  if (!labelled(object)) {
    verdict->tag = EXPORTS_OSIER_EXTENSION_ADMIT_VERDICT_DENY;
    verdict->val.deny.reason = osier_textf("label %.*s is required here", OSIER_PRINT(label));
    verdict->val.deny.field = osier_text("metadata.labels");
  }
  osier_json_free(object);
}
OSIER_ADMIT(judge)
