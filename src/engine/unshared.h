/* The engine with nothing shared, to compare with: one group after the other and one sequence at a time, each
 * with its whole prompt computed again. Requests, asks and answers are those of the shared engine, so what
 * comes out is the same up to rounding; only who computes what differs. */
#ifndef ESPALIER_ENGINE_UNSHARED_H
#define ESPALIER_ENGINE_UNSHARED_H

#include "engine/state.h"

/* Answers the group's request. */
esp_status unshared_answer(engine *e, const engine_client *client, sequence_group *g, esp_error *error);

#endif
