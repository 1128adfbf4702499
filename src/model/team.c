#include "model/team.h"

#include "base/parallel.h"
#include "model/internal.h"

#include <stdlib.h>
#include <string.h>

enum {
    SMALL_PARAMETERS = 8 << 20, /* 16 MB in bf16: cores share them in their last cache */
    PART_TOKENS = 384,          /* fewer are not worth a thread */
};

bool team_is_small(int64_t parameters) {
    return parameters <= SMALL_PARAMETERS;
}

int model_threads(const model *m) {
    return m->team.threads > 0 ? m->team.threads : 1;
}

/* ---- Workers ---- */

static esp_status worker_new(model *m, model **out, esp_error *error) {
    compute *alone;
    ESP_TRY(compute_share(&alone, m->compute, 1, error));
    model *w = MEM_NEW(model);
    model_borrow(w, m);
    w->compute = alone;
    w->team = (model_team){.is_worker = true, .alone = alone};
    *out = w;
    return ESP_OK;
}

esp_status model_worker(model *m, int index, model **out, esp_error *error) {
    model_team *team = &m->team;
    *out = m;
    if (index == 0) return ESP_OK;
    if (index > team->worker_count) {
        team->worker = mem_realloc(team->worker, sizeof *team->worker * (size_t)index);
        while (team->worker_count < index) {
            ESP_TRY(worker_new(m, &team->worker[team->worker_count], error));
            team->worker_count++;
        }
    }
    *out = team->worker[index - 1];
    return ESP_OK;
}

static void part_free(tree_part *p) {
    token_tree_free(&p->tree);
    MEM_LIST_FREE(&p->token_of);
    MEM_LIST_FREE(&p->wanted);
    MEM_LIST_FREE(&p->numbers);
}

void team_free(model *m) {
    model_team *team = &m->team;
    for (int i = 0; i < team->worker_count; i++) model_free(team->worker[i]);
    mem_free(team->worker);
    for (int i = 0; i < TEAM_PARTS; i++) part_free(&team->part[i]);
    MEM_LIST_FREE(&team->last);
    MEM_LIST_FREE(&team->copied);
    MEM_LIST_FREE(&team->place);
    mem_big_free(team->gradient);
    compute_free(team->alone);
}

/* ---- Cutting a tree ---- */

/* copied[c]: tokens of runs before c that have runs at or behind c below them, which a cut at run c copies.
 */
static void price_cuts(model_team *team, const token_tree *tree) {
    MEM_LIST_RESERVE(&team->last, tree->runs);
    MEM_LIST_RESERVE(&team->copied, tree->runs + 2);
    int32_t *last = team->last.at;
    int64_t *copied = team->copied.at;
    memset(copied, 0, sizeof *copied * (size_t)(tree->runs + 2));
    for (int32_t r = 0; r < tree->runs; r++) last[r] = r;
    for (int32_t r = tree->runs; r-- > 0;)
        if (tree->parent[r] >= 0 && last[tree->parent[r]] < last[r]) last[tree->parent[r]] = last[r];
    for (int32_t r = 0; r < tree->runs; r++) {
        copied[r + 1] += tree->start[r + 1] - tree->start[r];
        copied[last[r] + 1] -= tree->start[r + 1] - tree->start[r];
    }
    for (int32_t r = 1; r <= tree->runs; r++) copied[r] += copied[r - 1];
}

/* The run to cut before, near token `goal`: the uneven halves and the copies together cost least. */
static int32_t choose_cut(const model_team *team, const token_tree *tree, int32_t from, int64_t goal) {
    int32_t best = -1;
    int64_t least = INT64_MAX;
    for (int32_t r = from; r < tree->runs; r++) {
        int64_t cost = llabs(tree->start[r] - goal) + 2 * team->copied.at[r];
        if (cost < least) {
            least = cost;
            best = r;
        }
    }
    return best;
}

/* Puts run r, and before it whatever of the way to it is not there, into the part. place[r]: its run there.
 */
static void add_run(tree_part *p, const token_tree *tree, const uint8_t *wanted, int32_t r, bool copy,
                    int32_t *place) {
    int32_t parent = tree->parent[r];
    if (parent >= 0 && place[parent] < 0) add_run(p, tree, wanted, parent, true, place);
    int32_t first = tree->start[r], n = tree->start[r + 1] - first;
    place[r] = token_tree_add(&p->tree, parent < 0 ? -1 : place[parent], tree->tokens + first, n);
    for (int32_t t = first; t < first + n; t++) {
        MEM_LIST_PUSH(&p->token_of, copy ? -1 : t);
        MEM_LIST_PUSH(&p->wanted, (uint8_t)(!copy && (!wanted || wanted[t])));
    }
}

static void fill_part(model_team *team, tree_part *p, const token_tree *tree, const uint8_t *wanted,
                      int32_t begin, int32_t end) {
    token_tree_clear(&p->tree);
    p->token_of.count = p->wanted.count = 0;
    MEM_LIST_RESERVE(&team->place, tree->runs);
    for (int32_t r = 0; r < tree->runs; r++) team->place.at[r] = -1;
    for (int32_t r = begin; r < end; r++) add_run(p, tree, wanted, r, false, team->place.at);
    MEM_LIST_RESERVE(&p->numbers, p->token_of.count);
}

bool team_cut(model *m, const token_tree *tree, const uint8_t *wanted) {
    model_team *team = &m->team;
    team->parts = 0;
    int64_t tokens = tree->start[tree->runs], parts = tokens / PART_TOKENS;
    if (team->threads == 0 || parts < 2) return false;
    if (parts > TEAM_PARTS) parts = TEAM_PARTS;
    int32_t cut[TEAM_PARTS + 1] = {0};
    int64_t copies = 0;
    int n = 1;
    price_cuts(team, tree);
    for (int i = 1; i < parts; i++) {
        int32_t at = choose_cut(team, tree, cut[n - 1] + 1, tokens * i / parts);
        if (at < 0) break;
        copies += team->copied.at[at];
        cut[n++] = at;
    }
    if (n < 2 || copies > tokens / 8) return false;
    cut[n] = tree->runs;
    for (int i = 0; i < n; i++) fill_part(team, &team->part[i], tree, wanted, cut[i], cut[i + 1]);
    team->parts = n;
    return true;
}

/* ---- Passes ---- */

typedef struct {
    model *m;
    bool keep;
    const float *dlogprob;
    float *gradient;
    esp_status status[TEAM_PARTS];
    esp_error error[TEAM_PARTS];
} team_pass;

static model *worker_of(model *m, int part) {
    return part ? m->team.worker[part - 1] : m;
}

static void forward_part(void *user, int i) {
    team_pass *pass = user;
    tree_part *p = &pass->m->team.part[i];
    token_tree tree = token_tree_view(&p->tree);
    pass->status[i] = model_forward_whole(worker_of(pass->m, i), &tree, p->wanted.at, pass->keep,
                                          p->numbers.at, &pass->error[i]);
}

static void backward_part(void *user, int i) {
    team_pass *pass = user;
    model *w = worker_of(pass->m, i);
    tree_part *p = &pass->m->team.part[i];
    token_tree tree = token_tree_view(&p->tree);
    float *gradient = i ? w->team.gradient : pass->gradient;
    if (i) memset(gradient, 0, (size_t)w->params.floats * sizeof(float));
    for (int64_t t = 0; t < p->token_of.count; t++)
        p->numbers.at[t] = p->token_of.at[t] < 0 ? 0 : pass->dlogprob[p->token_of.at[t]];
    pass->status[i] = model_backward_whole(w, &tree, p->numbers.at, gradient, &pass->error[i]);
}

static esp_status run_parts(team_pass *pass, parallel_work *work, esp_error *error) {
    model_team *team = &pass->m->team;
    parallel_run(team->parts, team->threads, work, pass);
    for (int i = 0; i < team->parts; i++)
        if (pass->status[i] != ESP_OK) {
            if (error) *error = pass->error[i];
            return pass->status[i];
        }
    return ESP_OK;
}

esp_status team_forward(model *m, bool keep, float *logprob, esp_error *error) {
    team_pass pass = {.m = m, .keep = keep};
    model *last;
    ESP_TRY(model_worker(m, m->team.parts - 1, &last, error));
    ESP_TRY(run_parts(&pass, forward_part, error));
    for (int i = 0; i < m->team.parts; i++) {
        const tree_part *p = &m->team.part[i];
        for (int64_t t = 0; t < p->token_of.count; t++)
            if (p->token_of.at[t] >= 0) logprob[p->token_of.at[t]] = p->numbers.at[t];
    }
    return ESP_OK;
}

esp_status team_backward(model *m, const float *dlogprob, float *gradient, esp_error *error) {
    team_pass pass = {.m = m, .dlogprob = dlogprob, .gradient = gradient};
    for (int i = 1; i < m->team.parts; i++) {
        model *w = worker_of(m, i);
        if (!w->team.gradient)
            ESP_TRY(
                mem_big_alloc((void **)&w->team.gradient, (size_t)m->params.floats * 4, "gradients", error));
    }
    ESP_TRY(run_parts(&pass, backward_part, error));
    for (int i = 1; i < m->team.parts; i++) {
        const float *own = worker_of(m, i)->team.gradient;
        for (int64_t k = 0; k < m->params.floats; k++) gradient[k] += own[k];
    }
    return ESP_OK;
}
