/* The policies that a run keeps, for verbs that take one. */
#ifndef ESPALIER_APP_RUN_POLICY_H
#define ESPALIER_APP_RUN_POLICY_H

#include "base/error.h"

/* Folder of the run's policy of that name ("iteration-3"); "": of its last one; "best": of the one that its
 * evaluations found best (loop/best_policy.h). Freed by mem_free. */
esp_status run_policy_path(const char *run, const char *name, char **out, esp_error *error);

#endif
