// Tells the team of a caller by the beginning of its address.

#include <osier/kubernetes.h>

static const osier_json *teams;

static const char *configure(const osier_json *config) {
  teams = osier_json_get(config, "teams");
  return NULL;
}
OSIER_CONFIGURATION(configure)

static const char *generate(const osier_ends *ends, osier_generated *answer) {
  for (const osier_json *team = osier_json_first(teams); team; team = team->next) {
    osier_string start = team->name;
    if (ends->source_ip.len < start.len || memcmp(ends->source_ip.ptr, start.ptr, start.len)) continue;
    osier_label(&answer->output.source_labels, osier_text("team"), osier_copy(osier_json_text(team)));
    break;
  }
  osier_generated_for(answer, 60000);
  return NULL;
}
OSIER_KUBERNETES(generate)
