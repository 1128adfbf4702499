/* A policy that reads its steps off a JSON tree: what the search's arithmetic is tested with, and a way to
 * try a search by hand (`espalier search --policy scripted CASE.json`).
 *
 * A case is {"config": {...}, "root": NODE}; other members ("name", "expected") are not read.
 * NODE is {"step": text, "tokens": |a| (at least 1), "logprob": of the step, "confidence": C,
 * "outcome": null or absent while unfinished, else O (1 right, -1 wrong, any other number as it is),
 * "children": [NODE ...] the steps the policy proposes next, in order; may be absent}. Of the root only
 * "outcome" and "children" count.
 *
 * config has options of the search, of its rule and of the harvest by their names in the tables
 * (search/config.c, search/rules/, search/harvest_options.c), with `iterations` for `simulations`. All
 * required: iterations (K), root_multiplier, breadth_root, breadth, horizon, max_steps, cut_reward, gamma,
 * prior, lambda, smoothing_cap, pairs_from, and of the rule puct c_puct, commit, unvisited_counts_one,
 * root_counts_twice. Others are at their defaults where they are absent, but for root_probe 0, pairs_at
 * commitments, smoothing visits and min_q_gap 0. `rule` names the rule (puct), `seed` seeds its random
 * numbers and the random loser. */
#ifndef ESPALIER_POLICY_SCRIPTED_H
#define ESPALIER_POLICY_SCRIPTED_H

#include "formats/json.h"
#include "search/search.h"

/* A checked case and what each node of one search stands for in it. Serves one search at a time. */
typedef struct scripted scripted;

/* Checks the whole case; an error names the member and where it is, as root.children[2].children[0].
 * `where` (a file's name) precedes it; may be NULL. The case is kept alive until scripted_free. */
esp_status scripted_new(scripted **out, json_t *scenario, const char *where, esp_error *error);
void scripted_free(scripted *p);
/* A fresh search with the case's configuration and seed. */
esp_status scripted_search(const scripted *p, search **out, esp_error *error);
/* Answers one request of that search (CANDIDATES: the next `count` children in order; JUDGE: their
 * confidence). */
esp_status scripted_answer(scripted *p, search *s, const search_request *request, esp_error *error);
/* All of it: the result of one case, or the error that stopped it. A result, owned by the caller, is
 * {"steps":
 * [{"depth", "N", "V", "children": [{"step", "N", "Q", "V", "R", "prior"}], "picked", "pair"}],
 * "answer_outcome"}. */
esp_status scripted_solve(json_t *scenario, const char *where, json_t **out, esp_error *error);

#endif
