/* The queue, and the operations on their way through it. */
#include "compute/far/far.h"

#include "base/memory.h"

#include <stdio.h>
#include <string.h>

typedef struct far_call far_call;
struct far_call {
    far_call *next;
    void (*run)(far_call *call);
    compute *c;
};

typedef struct {
    compute_ops ops;
    compute *inner; /* does the work */
    far_room *room; /* the first instance's, which frees it */
    far_call *first, **last;
    int64_t queued;
} far_state;

static far_state *state_of(const compute *c) {
    return c->state;
}

static compute *inner_of(const compute *c) {
    return state_of(c)->inner;
}

/* Queues a call of `bytes`, which the caller fills in. */
static void *queue_call(compute *c, size_t bytes, void (*run)(far_call *call)) {
    far_state *s = state_of(c);
    far_call *call = mem_alloc(bytes);
    call->run = run;
    call->c = c;
    *s->last = call;
    s->last = &call->next;
    s->queued++;
    return call;
}

static void far_wait(compute *c) {
    far_state *s = state_of(c);
    while (s->first) {
        far_call *call = s->first;
        s->first = call->next;
        if (!s->first) s->last = &s->first;
        s->queued--;
        call->run(call);
        mem_free(call);
    }
    esp_error failure = {0};
    if (compute_check(s->inner, &failure) != ESP_OK && c->failure.code == ESP_OK) c->failure = failure;
}

/* ---- The parameters of a call: kept, given to the operation, dropped ---- */

static void *copied(const void *from, size_t bytes) {
    if (!from) return NULL;
    void *to = mem_alloc(bytes ? bytes : 1);
    if (bytes) memcpy(to, from, bytes);
    return to;
}

static void *inside(const compute *c, const void *buffer) {
    return far_room_inside(state_of(c)->room, buffer);
}

static qkv_spec inside_spec(const compute *c, const qkv_spec *spec) {
    qkv_spec to = *spec;
    to.cosine = inside(c, spec->cosine);
    to.sine = inside(c, spec->sine);
    to.bias = inside(c, spec->bias);
    to.gain = inside(c, spec->gain);
    return to;
}

#define EACH_END(...)  EACH_END_(__VA_ARGS__)
#define EACH_END_(...) __VA_ARGS__##_END

#define FIELDS(list)                   EACH_END(FIELD_A list)
#define FIELD_A(kind, type, name, ...) FIELD_##kind(type, name) FIELD_B
#define FIELD_B(kind, type, name, ...) FIELD_##kind(type, name) FIELD_A
#define FIELD_A_END
#define FIELD_B_END
#define FIELD_VALUE(type, name)  type name;
#define FIELD_BUFFER(type, name) type name;
#define FIELD_HOST(type, name)   type name;
#define FIELD_RESULT(type, name) type name;
#define FIELD_SPEC(type, name)   qkv_spec name;

#define KEEP(list)                    EACH_END(KEEP_A list)
#define KEEP_A(kind, type, name, ...) KEEP_##kind(type, name, __VA_ARGS__) KEEP_B
#define KEEP_B(kind, type, name, ...) KEEP_##kind(type, name, __VA_ARGS__) KEEP_A
#define KEEP_A_END
#define KEEP_B_END
#define KEEP_VALUE(type, name, ...)    call->name = name;
#define KEEP_BUFFER(type, name, ...)   call->name = inside(c, name);
#define KEEP_HOST(type, name, bytes)   call->name = copied(name, bytes);
#define KEEP_RESULT(type, name, bytes) call->name = name;
#define KEEP_SPEC(type, name, ...)     call->name = inside_spec(c, name);

#define GIVE(list)                    EACH_END(GIVE_A list)
#define GIVE_A(kind, type, name, ...) , GIVE_##kind(name) GIVE_B
#define GIVE_B(kind, type, name, ...) , GIVE_##kind(name) GIVE_A
#define GIVE_A_END
#define GIVE_B_END
#define GIVE_VALUE(name)  call->name
#define GIVE_BUFFER(name) call->name
#define GIVE_HOST(name)   call->name
#define GIVE_RESULT(name) call->name
#define GIVE_SPEC(name)   &call->name

#define DROP(list)                    EACH_END(DROP_A list)
#define DROP_A(kind, type, name, ...) DROP_##kind(name) DROP_B
#define DROP_B(kind, type, name, ...) DROP_##kind(name) DROP_A
#define DROP_A_END
#define DROP_B_END
#define DROP_VALUE(name)
#define DROP_BUFFER(name)
#define DROP_HOST(name) mem_free((void *)(uintptr_t)call->name);
#define DROP_RESULT(name)
#define DROP_SPEC(name)

/* ---- The operations ---- */

#define QUEUED(name, list, after)                                                                            \
    typedef struct {                                                                                         \
        far_call queued;                                                                                     \
        FIELDS(list)                                                                                         \
    } name##_call;                                                                                           \
    static void run_##name(far_call *queued) {                                                               \
        name##_call *call = (name##_call *)queued;                                                           \
        compute *inner = inner_of(queued->c);                                                                \
        inner->ops->name(inner GIVE(list));                                                                  \
        DROP(list)                                                                                           \
    }                                                                                                        \
    static void far_##name(compute *c OPERATION_PARAMETERS(list)) {                                          \
        name##_call *call = queue_call(c, sizeof *call, run_##name);                                         \
        KEEP(list)                                                                                           \
        after                                                                                                \
    }

#define OPERATION(name, group, list) QUEUED(name, list, )
#define ANSWER(name, group, list)    QUEUED(name, list, far_wait(c);)
#include "compute/operations.inc"

/* ---- Makers ---- */

typedef struct {
    far_call queued;
    void *what;
} free_call;

static void queue_free(compute *c, void *what, void (*run)(far_call *call)) {
    if (!what) return;
    free_call *call = queue_call(c, sizeof *call, run);
    call->what = what;
}

static void *far_buffer_new(compute *c, size_t bytes, const char *what) {
    void *buffer = far_room_take(state_of(c)->room, bytes);
    if (!buffer)
        error_fail(&c->failure, "use less", "%s: no room for %zu bytes in the test's backend", what, bytes);
    return buffer;
}

static void run_buffer_free(far_call *queued) {
    far_room_give_back(state_of(queued->c)->room, ((free_call *)queued)->what);
}

static void far_buffer_free(compute *c, void *buffer) {
    queue_free(c, buffer, run_buffer_free);
}

static linear *far_linear_new(compute *c, int64_t out, int64_t in, int flags) {
    return inner_of(c)->ops->linear_new(inner_of(c), out, in, flags);
}

static void run_linear_free(far_call *queued) {
    compute *inner = inner_of(queued->c);
    inner->ops->linear_free(inner, ((free_call *)queued)->what);
}

static void far_linear_free(compute *c, linear *l) {
    queue_free(c, l, run_linear_free);
}

static adapter *far_adapter_new(compute *c, const adapter_shape *shape) {
    return inner_of(c)->ops->adapter_new(inner_of(c), shape);
}

static void run_adapter_free(far_call *queued) {
    compute *inner = inner_of(queued->c);
    inner->ops->adapter_free(inner, ((free_call *)queued)->what);
}

static void far_adapter_free(compute *c, adapter *a) {
    queue_free(c, a, run_adapter_free);
}

static compute_pass *far_pass_new(compute *c, const pass_plan *plan) {
    pass_plan copy = *plan;
    int layers = plan->k ? plan->layers : 0;
    void **k = MEM_ARRAY(void *, layers + 1), **v = MEM_ARRAY(void *, layers + 1);
    for (int l = 0; l < layers; l++) {
        k[l] = inside(c, plan->k[l]);
        v[l] = inside(c, plan->v[l]);
    }
    copy.k = layers ? k : NULL;
    copy.v = layers ? v : NULL;
    compute_pass *pass = inner_of(c)->ops->pass_new(inner_of(c), &copy);
    mem_free(k);
    mem_free(v);
    return pass;
}

static void run_pass_free(far_call *queued) {
    compute *inner = inner_of(queued->c);
    inner->ops->pass_free(inner, ((free_call *)queued)->what);
}

static void far_pass_free(compute *c, compute_pass *pass) {
    queue_free(c, pass, run_pass_free);
}

/* ---- Instances ---- */

static void far_destroy(compute *c) {
    far_state *s = state_of(c);
    far_wait(c);
    compute_free(s->inner);
    if (!c->of) far_room_free(s->room);
    mem_free(s);
}

static esp_status far_replica(compute *c, esp_error *error);

static const compute_ops far_ops = {
    .name = "far",
    .destroy = far_destroy,
    .replica = far_replica,
    .wait = far_wait,
    .buffer_new = far_buffer_new,
    .buffer_free = far_buffer_free,
    .linear_new = far_linear_new,
    .linear_free = far_linear_free,
    .adapter_new = far_adapter_new,
    .adapter_free = far_adapter_free,
    .pass_new = far_pass_new,
    .pass_free = far_pass_free,
#define OPERATION(name, group, list) .name = far_##name,
#include "compute/operations.inc"
};

static void begin(compute *c, compute *inner, far_room *room) {
    far_state *s = MEM_NEW(far_state);
    s->inner = inner;
    s->room = room;
    s->last = &s->first;
    s->ops = far_ops;
#define OPERATION(name, group, list) /* every backend has it */
#define OPTIONAL(name, group, list)                                                                          \
    if (!inner->ops->name) s->ops.name = NULL;
#include "compute/operations.inc"
    c->state = s;
    c->ops = &s->ops;
    c->traits = inner->traits;
    c->traits.host_memory = false;
}

static esp_status far_replica(compute *c, esp_error *error) {
    compute *inner;
    far_wait(c->of);
    ESP_TRY(compute_replica_new(&inner, inner_of(c->of), c->threads, error));
    begin(c, inner, state_of(c->of)->room);
    return ESP_OK;
}

esp_status compute_far_new(compute **out, const char *kind, dtype act, int threads, esp_error *error) {
    *out = NULL;
    compute *inner;
    ESP_TRY(compute_new(&inner, kind, act, threads, error));
    far_room *room = far_room_new();
    if (!room) {
        compute_free(inner);
        return error_fail(error, "raise the limit on virtual memory", "no addresses for the test's backend");
    }
    compute *c = MEM_NEW(compute);
    c->act = act;
    c->threads = inner->threads;
    snprintf(c->description, sizeof c->description, "far %.150s", compute_describe(inner));
    begin(c, inner, room);
    *out = c;
    return ESP_OK;
}

int64_t compute_far_queued(const compute *c) {
    return state_of(c)->queued;
}
