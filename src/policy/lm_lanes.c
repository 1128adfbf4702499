/* Lanes: what is asked of the model for each, and what becomes of the answers. Candidates that agree ride in
 * one lane; where they part, each party gets a lane of its own that hangs on the common one. */
#include "policy/lm_inner.h"

#include <assert.h>

int32_t grove_add_lane(grove *g, lane l) {
    MEM_LIST_PUSH(&g->lanes, l);
    g->lanes_left++;
    return (int32_t)g->lanes.count - 1;
}

/* ---- Judging: children share a lane for as long as their ids agree ---- */

typedef struct {
    grove *g;
    const lm_policy *p;
    const int32_t *const *ids;
    const int32_t *n;
    int64_t pages;
} judge_plan;

static void plan_suffix(judge_plan *plan, int32_t child, lane_way way) {
    plan->g->child_lanes.at[child] =
        way.lane >= 0 && plan->g->lanes.at[way.lane].kind == LANE_STEP ? way.lane : -1;
    grove_add_lane(plan->g, (lane){.kind = LANE_SUFFIX,
                                   .side = PREFIX_JUDGE,
                                   .parent = way.lane,
                                   .base = way.run,
                                   .run = -1,
                                   .ids = prompt_judge_suffix(plan->p->words)->at,
                                   .n = prompt_judge_suffix(plan->p->words)->count,
                                   .node = -1,
                                   .mark = child});
    plan->pages += pages_of(prompt_judge_suffix(plan->p->words)->count);
}

static int32_t agreed(const judge_plan *plan, const int32_t *members, int32_t count, int32_t from) {
    int32_t length = plan->n[members[0]];
    for (int32_t i = 1; i < count; i++) {
        int32_t most = plan->n[members[i]] < length ? plan->n[members[i]] : length, same = from;
        while (same < most && plan->ids[members[i]][same] == plan->ids[members[0]][same]) same++;
        length = same;
    }
    return length;
}

/* Members share their first `from` ids, which stand behind `way`. members is reordered. */
static void plan_group(judge_plan *plan, int32_t *members, int32_t count, int32_t from, lane_way way) {
    int32_t length = agreed(plan, members, count, from);
    if (length > from) {
        int32_t index = grove_add_lane(plan->g, (lane){.kind = LANE_STEP,
                                                       .side = PREFIX_JUDGE,
                                                       .parent = way.lane,
                                                       .base = way.run,
                                                       .run = -1,
                                                       .ids = plan->ids[members[0]] + from,
                                                       .n = length - from,
                                                       .node = -1});
        way = (lane_way){index, -1};
        plan->pages += pages_of(length - from);
    }
    int32_t left = 0; /* those that go on, in their order */
    for (int32_t i = 0; i < count; i++) {
        if (plan->n[members[i]] == length)
            plan_suffix(plan, members[i], way);
        else
            members[left++] = members[i];
    }
    while (left > 0) {
        int32_t *party = MEM_ARRAY(int32_t, left), in = 0, out = 0;
        int32_t token = plan->ids[members[0]][length];
        for (int32_t i = 0; i < left; i++) {
            if (plan->ids[members[i]][length] == token)
                party[in++] = members[i];
            else
                members[out++] = members[i];
        }
        plan_group(plan, party, in, length, way);
        mem_free(party);
        left = out;
    }
}

int64_t lanes_plan_judge(grove *g, const lm_policy *p, const int32_t *const *ids, const int32_t *n,
                         int32_t children, lane_way way) {
    judge_plan plan = {g, p, ids, n, 0};
    g->child_lanes.count = 0;
    g->verdicts.count = 0;
    int32_t *members = MEM_ARRAY(int32_t, children);
    for (int32_t i = 0; i < children; i++) {
        members[i] = i;
        MEM_LIST_PUSH(&g->child_lanes, -1);
        MEM_LIST_PUSH(&g->verdicts, 0);
        MEM_LIST_PUSH(&g->verdicts, 0);
    }
    plan_group(&plan, members, children, 0, way);
    mem_free(members);
    return plan.pages;
}

/* ---- Asking ---- */

static void ask(wave *w, int32_t feed, int64_t at, kv_read read) {
    read.feed = feed;
    read.at = at;
    MEM_LIST_PUSH(&w->reads, read);
}

/* What follows the last id of the feed, for all candidates that ride in the lane. */
static void ask_riders(wave *w, grove *g, int32_t index, int32_t feed, int64_t at) {
    for (int64_t i = 0; i < g->candidates.count; i++) {
        const candidate *c = &g->candidates.at[i];
        if (c->lane != index) continue;
        kv_read reads[2];
        int n = 1;
        if (c->gold)
            reads[0] = (kv_read){.kind = READ_SCORE, .token = c->ids.at[0]};
        else
            n = candidate_reads(w->p->words, c, reads);
        for (int r = 0; r < n; r++) ask(w, feed, at, reads[r]);
    }
}

void lane_ask(wave *w, grove *g, int32_t index, int32_t feed) {
    const lane *l = &g->lanes.at[index];
    bool last = l->done + l->take == l->n;
    if (l->kind == LANE_GOLD) {
        const candidate *c = &g->candidates.at[l->mark];
        for (int64_t i = 0; i < l->take; i++)
            ask(w, feed, i, (kv_read){.kind = READ_SCORE, .token = c->ids.at[l->done + i + 1]});
    } else if (last && l->kind == LANE_SUFFIX) {
        for (int v = 0; v < 2; v++)
            ask(w, feed, l->take - 1,
                (kv_read){.kind = READ_SCORE, .token = prompt_verdict_id(w->p->words, v)});
    } else if (last && (l->kind == LANE_RIDE || l->fork)) {
        ask_riders(w, g, index, feed, l->take - 1);
    }
}

/* ---- Taking the answers ---- */

static void complete(grove *g) {
    assert(g->lanes_left > 0);
    g->lanes_left--;
}

/* Where the first `kept` ids of a candidate that has just ended lie, of which `fed` went through lane `index`
 * or the ones it hangs on. `alone`: nobody else needs the lane's end. */
static void hold_candidate(wave *w, grove *g, candidate *c, int32_t index, int32_t fed, bool alone) {
    int32_t kept = (int32_t)c->ids.count;
    c->hold_lane = -1;
    c->hold_fed = 0;
    while (index >= 0 && g->lanes.at[index].kind == LANE_RIDE) {
        lane *l = &g->lanes.at[index];
        if (fed > kept && alone && kept > l->mark) {
            kv_run_truncate(w->p->kv, l->run, kept - l->mark);
            fed = kept;
        }
        if (fed <= kept) {
            c->hold_lane = index;
            c->hold_fed = fed;
            return;
        }
        fed = l->mark;
        index = l->parent;
        alone = false;
    }
}

/* The gold candidate's first id is scored; the rest is fed in a lane of its own. */
static void begin_gold(grove *g, int32_t number, int32_t parent, const kv_read *read) {
    candidate *c = &g->candidates.at[number];
    c->logprobs.at[0] = read->logprob;
    c->lane = -1;
    if (c->ids.count == 1) return;
    c->hold_fed = (int32_t)c->ids.count - 1;
    c->hold_lane = grove_add_lane(g, (lane){.kind = LANE_GOLD,
                                            .side = PREFIX_POLICY,
                                            .parent = parent,
                                            .base = -1,
                                            .run = -1,
                                            .ids = c->ids.at,
                                            .n = c->ids.count - 1,
                                            .node = -1,
                                            .mark = number});
}

/* The riders of a lane that go on, grouped by what they said: lanes that hang on it. */
static void part_ways(grove *g, int32_t index, int32_t fed) {
    for (int64_t i = 0; i < g->candidates.count; i++) {
        candidate *c = &g->candidates.at[i];
        if (c->lane != index) continue;
        int32_t token = c->ids.at[c->ids.count - 1];
        int32_t made = grove_add_lane(g, (lane){.kind = LANE_RIDE,
                                                .side = PREFIX_POLICY,
                                                .parent = index,
                                                .base = -1,
                                                .run = -1,
                                                .n = 1,
                                                .token = token,
                                                .node = -1,
                                                .mark = fed});
        g->lanes.at[index].split = true;
        for (int64_t j = i; j < g->candidates.count; j++) {
            candidate *other = &g->candidates.at[j];
            if (other->lane == index && other->ids.at[other->ids.count - 1] == token) other->lane = made;
        }
    }
}

/* All riders that are left say the same and nobody stays behind at the lane's end: it goes on as it is. */
static bool goes_on(const grove *g, int32_t index, bool left_behind, int32_t *token) {
    int32_t riders = 0;
    for (int64_t i = 0; i < g->candidates.count; i++) {
        const candidate *c = &g->candidates.at[i];
        if (c->lane != index) continue;
        int32_t said = c->ids.at[c->ids.count - 1];
        if (riders++ && said != *token) return false;
        *token = said;
    }
    return riders > 0 && !left_behind && g->lanes.at[index].kind == LANE_RIDE;
}

/* A sequence has ended: its place is another's, however long the rest of the request goes on. */
static void leave_place(wave *w, grove *g) {
    assert(g->width > 0 && w->in_flight > 0);
    g->width--;
    w->in_flight--;
}

static void deliver_riders(wave *w, grove *g, int32_t index, const kv_read *reads) {
    const lane *l = &g->lanes.at[index];
    bool rides = l->kind == LANE_RIDE;
    int32_t fed = rides ? l->mark + (int32_t)l->done : 0, riders = 0;
    for (int64_t i = 0; i < g->candidates.count; i++) riders += g->candidates.at[i].lane == index;
    int32_t left_behind = 0; /* candidates that ended at the lane's end */
    for (int32_t i = 0; i < g->candidates.count; i++) {
        candidate *c = &g->candidates.at[i];
        if (c->lane != index) continue;
        if (c->gold) {
            begin_gold(g, i, index, reads++);
            continue;
        }
        kv_read asked[2];
        int n = candidate_reads(w->p->words, c, asked);
        bool more = grove_take(w->p, g, c, reads);
        reads += n;
        w->sampled++;
        if (more) continue;
        leave_place(w, g);
        c->lane = -1;
        c->hold_lane = -1;
        if (c->finished || c->cut || c->whole_chain) continue;
        hold_candidate(w, g, c, index, fed, riders == 1);
        left_behind += c->hold_lane == index;
    }
    /* Two that part at their last token: each goes on in a run of its own. */
    if (left_behind > 1) g->lanes.at[index].split = true;
    int32_t token = 0;
    if (goes_on(g, index, left_behind > 0, &token)) {
        g->lanes.at[index].token = token;
        g->lanes.at[index].n++;
        return;
    }
    part_ways(g, index, fed);
    complete(g);
}

/* A node's keys are there now. */
static void keep_path(wave *w, grove *g, const lane *l) {
    key_hold *h = &g->nodes.at[l->node].keys[l->side];
    if (h->run != l->run) {
        hold_release(w, h);
        h->run = l->run;
        kv_run_retain(w->p->kv, l->run);
    }
    h->fed = l->from + (int32_t)l->n;
    h->sealed = false;
}

static void count_lane(grove *g, const lane *l) {
    g->counts.computed += l->take;
    if (l->kind == LANE_SUFFIX) g->counts.suffixes += l->take;
}

void lane_deliver(wave *w, grove *g, int32_t index, const kv_read *reads) {
    lane *l = &g->lanes.at[index];
    count_lane(g, l);
    if (l->kind == LANE_GOLD)
        for (int64_t i = 0; i < l->take; i++)
            g->candidates.at[l->mark].logprobs.at[l->done + i + 1] = reads[i].logprob;
    l->done += l->take;
    l->take = 0;
    if (l->done < l->n) return;
    if (l->kind == LANE_PATH) keep_path(w, g, l);
    if (l->kind == LANE_SUFFIX) {
        for (int v = 0; v < 2; v++) g->verdicts.at[2 * l->mark + v] = (double)reads[v].logprob;
        kv_run_release(w->p->kv, l->run);
        l->run = -1;
        leave_place(w, g);
    }
    if (l->kind == LANE_RIDE || l->fork)
        deliver_riders(w, g, index, reads);
    else
        complete(g);
}
