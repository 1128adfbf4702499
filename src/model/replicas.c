#include "model/replicas.h"

#include "base/parallel.h"
#include "model/internal.h"

#include <stdlib.h>
#include <string.h>

enum {
    PART_TOKENS = 384, /* fewer are not worth a thread */
};

bool replicas_pay(const compute *c, int64_t parameters) {
    return parameters * (int64_t)dtype_size(DTYPE_BF16) <= c->traits.cache_bytes;
}

int model_replica_limit(const model *m) {
    return m->replicas.threads > 0 ? m->replicas.threads : 1;
}

/* ---- Replicas ---- */

static esp_status replica_new(model *of, model **out, esp_error *error) {
    compute *one_thread;
    ESP_TRY(compute_replica_new(&one_thread, of->compute, 1, error));
    model *m = MEM_NEW(model);
    model_borrow(m, of);
    m->compute = one_thread;
    m->replicas = (model_replicas){.is_replica = true, .one_thread = one_thread};
    *out = m;
    return ESP_OK;
}

esp_status model_replica(model *m, int index, model **out, esp_error *error) {
    model_replicas *set = &m->replicas;
    *out = m;
    if (index == 0) return ESP_OK;
    if (index > set->count) {
        set->at = mem_realloc(set->at, sizeof *set->at * (size_t)index);
        while (set->count < index) {
            ESP_TRY(replica_new(m, &set->at[set->count], error));
            set->count++;
        }
    }
    *out = set->at[index - 1];
    return ESP_OK;
}

static void part_free(tree_part *p) {
    token_tree_free(&p->tree);
    MEM_LIST_FREE(&p->token_of);
    MEM_LIST_FREE(&p->wanted);
    MEM_LIST_FREE(&p->numbers);
}

void replicas_free(model *m) {
    model_replicas *set = &m->replicas;
    for (int i = 0; i < set->count; i++) model_free(set->at[i]);
    mem_free(set->at);
    for (int i = 0; i < TREE_PARTS; i++) part_free(&set->part[i]);
    MEM_LIST_FREE(&set->last);
    MEM_LIST_FREE(&set->copied);
    MEM_LIST_FREE(&set->place);
    m->compute->ops->buffer_free(m->compute, set->gradient);
    compute_free(set->one_thread);
}

/* ---- Cutting a tree ---- */

/* copied[c]: tokens of runs before c that are ancestors of c or of a later run, which a cut at run c copies.
 */
static void price_cuts(model_replicas *set, const token_tree *tree) {
    MEM_LIST_RESERVE(&set->last, tree->runs);
    MEM_LIST_RESERVE(&set->copied, tree->runs + 2);
    int32_t *last = set->last.at;
    int64_t *copied = set->copied.at;
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

/* The run to cut before: near token `goal`, with few copies. */
static int32_t choose_cut(const model_replicas *set, const token_tree *tree, int32_t from, int64_t goal) {
    int32_t best = -1;
    int64_t least = INT64_MAX;
    for (int32_t r = from; r < tree->runs; r++) {
        int64_t cost = llabs(tree->start[r] - goal) + 2 * set->copied.at[r];
        if (cost < least) {
            least = cost;
            best = r;
        }
    }
    return best;
}

/* Adds run r to the part, and before it those of its ancestors that are not there. place[r]: its run there.
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

static void fill_part(model_replicas *set, tree_part *p, const token_tree *tree, const uint8_t *wanted,
                      int32_t begin, int32_t end) {
    token_tree_clear(&p->tree);
    p->token_of.count = p->wanted.count = 0;
    MEM_LIST_RESERVE(&set->place, tree->runs);
    for (int32_t r = 0; r < tree->runs; r++) set->place.at[r] = -1;
    for (int32_t r = begin; r < end; r++) add_run(p, tree, wanted, r, false, set->place.at);
    MEM_LIST_RESERVE(&p->numbers, p->token_of.count);
}

bool replicas_cut(model *m, const token_tree *tree, const uint8_t *wanted) {
    model_replicas *set = &m->replicas;
    set->parts = 0;
    int64_t tokens = tree->start[tree->runs], parts = tokens / PART_TOKENS;
    if (set->threads == 0 || parts < 2) return false;
    if (parts > TREE_PARTS) parts = TREE_PARTS;
    int32_t cut[TREE_PARTS + 1] = {0};
    int64_t copies = 0;
    int n = 1;
    price_cuts(set, tree);
    for (int i = 1; i < parts; i++) {
        int32_t at = choose_cut(set, tree, cut[n - 1] + 1, tokens * i / parts);
        if (at < 0) break;
        copies += set->copied.at[at];
        cut[n++] = at;
    }
    if (n < 2 || copies > tokens / 8) return false;
    cut[n] = tree->runs;
    for (int i = 0; i < n; i++) fill_part(set, &set->part[i], tree, wanted, cut[i], cut[i + 1]);
    set->parts = n;
    return true;
}

/* ---- Passes ---- */

typedef struct {
    model *m;
    bool keep;
    const float *dlogprob;
    float *gradient;
    esp_status status[TREE_PARTS];
    esp_error error[TREE_PARTS];
} parts_pass;

static model *replica_of(model *m, int part) {
    return part ? m->replicas.at[part - 1] : m;
}

static void forward_part(void *user, int i) {
    parts_pass *pass = user;
    tree_part *p = &pass->m->replicas.part[i];
    token_tree tree = token_tree_view(&p->tree);
    pass->status[i] = model_forward_whole(replica_of(pass->m, i), &tree, p->wanted.at, pass->keep,
                                          p->numbers.at, &pass->error[i]);
}

static void backward_part(void *user, int i) {
    parts_pass *pass = user;
    model *w = replica_of(pass->m, i);
    tree_part *p = &pass->m->replicas.part[i];
    token_tree tree = token_tree_view(&p->tree);
    float *gradient = i ? w->replicas.gradient : pass->gradient;
    if (i) w->compute->ops->zero(w->compute, gradient, (size_t)model_parameter_count(w) * sizeof(float));
    for (int64_t t = 0; t < p->token_of.count; t++)
        p->numbers.at[t] = p->token_of.at[t] < 0 ? 0 : pass->dlogprob[p->token_of.at[t]];
    pass->status[i] = model_backward_whole(w, &tree, p->numbers.at, gradient, &pass->error[i]);
}

static esp_status run_parts(parts_pass *pass, parallel_work *work, esp_error *error) {
    model_replicas *set = &pass->m->replicas;
    parallel_run(set->parts, set->threads, work, pass);
    for (int i = 0; i < set->parts; i++)
        if (pass->status[i] != ESP_OK) {
            if (error) *error = pass->error[i];
            return pass->status[i];
        }
    return ESP_OK;
}

esp_status replicas_forward(model *m, bool keep, float *logprob, esp_error *error) {
    parts_pass pass = {.m = m, .keep = keep};
    model *last;
    ESP_TRY(model_replica(m, m->replicas.parts - 1, &last, error));
    ESP_TRY(run_parts(&pass, forward_part, error));
    for (int i = 0; i < m->replicas.parts; i++) {
        const tree_part *p = &m->replicas.part[i];
        for (int64_t t = 0; t < p->token_of.count; t++)
            if (p->token_of.at[t] >= 0) logprob[p->token_of.at[t]] = p->numbers.at[t];
    }
    return ESP_OK;
}

esp_status replicas_backward(model *m, const float *dlogprob, float *gradient, esp_error *error) {
    parts_pass pass = {.m = m, .dlogprob = dlogprob, .gradient = gradient};
    for (int i = 1; i < m->replicas.parts; i++) {
        model *w = replica_of(m, i);
        void *own = w->replicas.gradient;
        if (!own)
            ESP_TRY(compute_buffer_new(w->compute, &own, (size_t)model_parameter_count(m) * 4, "gradients",
                                       error));
        w->replicas.gradient = own;
    }
    ESP_TRY(run_parts(&pass, backward_part, error));
    for (int i = 1; i < m->replicas.parts; i++)
        m->compute->ops->add(m->compute, model_parameter_count(m), replica_of(m, i)->replicas.gradient,
                             gradient);
    return compute_check(m->compute, error);
}
