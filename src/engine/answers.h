/* What is read at a feed's ids, and what becomes of the answers. Sequences that agree are decoded in one
 * feed; where they part, each party gets a feed of its own after the common one. */
#ifndef ESPALIER_ENGINE_ANSWERS_H
#define ESPALIER_ENGINE_ANSWERS_H

#include "engine/state.h"

/* Appends to the call's reads those of a feed whose next `now` ids are its feed number `number`. */
void answers_ask(engine *e, sequence_group *g, int32_t index, int32_t number);
/* The ids were fed and the reads, if any, answered. */
void answers_take(engine *e, sequence_group *g, int32_t index, const kv_read *reads);
/* A sampled token, a scored one and the answers. */
enum { SEQUENCE_READS = 2 + ENGINE_ANSWERS };
/* What a sequence asks now, as reads (feed and place in it left to the caller). Returns how many. */
int sequence_reads(sequence_group *g, int32_t number, kv_read out[SEQUENCE_READS]);
/* Its answers. False: it has ended, *keep as engine_reader. */
bool sequence_take(engine *e, sequence_group *g, int32_t number, const kv_read *reads, int32_t *keep);

#endif
