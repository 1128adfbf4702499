/* Starting a request: reserve, which may find no room and then has changed nothing, and open, which cannot
 * fail. */
#ifndef ESPALIER_ENGINE_REQUEST_H
#define ESPALIER_ENGINE_REQUEST_H

#include "engine/state.h"

/* Pages of a sequence of at most `most` tokens, at worst. */
int64_t request_sequence_pages(int64_t most);
/* Lays out the request's feeds and pins its path. Returns the pages that it takes at worst, and sets its
 * width. */
int64_t request_reserve(engine *e, sequence_group *g);
void request_cancel(engine *e, sequence_group *g); /* undoes request_reserve */
/* There is room: takes hold of the runs that it continues, and begins its sequences. */
void request_open(engine *e, sequence_group *g, int64_t pages);
void request_close(engine *e, sequence_group *g); /* complete, and the client has taken what it wants */
/* Whether the path's pieces are former sequences, computed again as decoding computes them. */
bool request_continues_sequences(const engine_request *r);
/* The sequences alone, for who feeds them in another way. */
void request_begin_sequences(sequence_group *g);

#endif
