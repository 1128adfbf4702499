/* The tests' own backend does what it is for: the host cannot touch buffers, operations run late, and what
 * the host gives is read at the call. And it computes what its backend computes. */
#include "compute_support.h"
#include "support.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

static esp_error error;

enum { ROWS = 3, WIDTH = 8, N = ROWS * WIDTH };

static compute *far_away(const char *kind) {
    compute *c;
    OK(compute_far_new(&c, kind, DTYPE_F32, 2, &error));
    assert_non_null(strstr(compute_describe(c), kind));
    return c;
}

static float *new_floats(compute *c, int64_t n) {
    float *buffer = c->ops->buffer_new(c, (size_t)n * sizeof *buffer, "numbers");
    assert_non_null(buffer);
    return buffer;
}

/* Whether a child that does `what` with the instance and a buffer of N floats stops by a signal, or by the
 * sanitizer in its place. */
static bool stops(void (*what)(compute *c, float *buffer)) {
    compute *c = far_away("ref");
    float *buffer = new_floats(c, N);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0});
        if (!freopen("/dev/null", "w", stderr)) _exit(0);
        signal(SIGSEGV, SIG_DFL), signal(SIGBUS, SIG_DFL), signal(SIGABRT, SIG_DFL);
        what(c, buffer);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    c->ops->buffer_free(c, buffer);
    compute_free(c);
    return WIFSIGNALED(status) || WEXITSTATUS(status) != 0;
}

static void nothing_wrong(compute *c, float *buffer) {
    float numbers[N] = {0};
    c->ops->put(c, buffer, numbers, sizeof numbers);
    c->ops->get(c, numbers, buffer, sizeof numbers);
}

static void reads(compute *c, float *buffer) {
    (void)c;
    volatile float x = *(volatile float *)buffer;
    (void)x;
}

static void writes(compute *c, float *buffer) {
    (void)c;
    *(volatile float *)buffer = 1;
}

static void reads_after_an_operation(compute *c, float *buffer) {
    nothing_wrong(c, buffer);
    reads(c, buffer);
}

static void gives_host_memory(compute *c, float *buffer) {
    float numbers[N] = {0};
    c->ops->add(c, N, numbers, buffer);
}

static void goes_beyond(compute *c, float *buffer) {
    double sum;
    c->ops->sum_squares(c, N + 16, buffer, &sum);
}

static void uses_what_is_freed(compute *c, float *buffer) {
    double sum;
    c->ops->buffer_free(c, buffer);
    c->ops->sum_squares(c, N, buffer, &sum);
}

static void test_traps(void **state) {
    (void)state;
    assert_false(stops(nothing_wrong));
    assert_true(stops(reads));
    assert_true(stops(writes));
    assert_true(stops(reads_after_an_operation));
    assert_true(stops(gives_host_memory));
    assert_true(stops(goes_beyond));
    assert_true(stops(uses_what_is_freed));
}

/* What is put, and row numbers, are read at the call; the operations run at the get. A buffer may be freed
 * before they do. */
static void test_late(void **state) {
    (void)state;
    compute *c = far_away("ref");
    float *a = new_floats(c, N), *b = new_floats(c, N), host[N], got[N];
    int64_t rows[ROWS] = {2, 0, 1};
    for (int i = 0; i < N; i++) host[i] = (float)i;
    c->ops->put(c, a, host, sizeof host);
    c->ops->rows_pick(c, ROWS, rows, WIDTH * sizeof(float), a, b);
    c->ops->buffer_free(c, a);
    assert_int_equal(compute_far_queued(c), 3);
    memset(host, 0, sizeof host), memset(rows, 0, sizeof rows);
    c->ops->get(c, got, b, sizeof got);
    assert_int_equal(compute_far_queued(c), 0);
    const int right[ROWS] = {2, 0, 1};
    for (int i = 0; i < N; i++) assert_true(got[i] == (float)(right[i / WIDTH] * WIDTH + i % WIDTH));
    c->ops->add(c, N, b, b);
    assert_int_equal(compute_far_queued(c), 1);
    OK(compute_check(c, &error));
    assert_int_equal(compute_far_queued(c), 0);
    c->ops->buffer_free(c, b);
    compute_free(c);
}

/* A buffer is full of NaN until something is put there, and one that is too large is a failure with its name.
 */
static void test_buffers(void **state) {
    (void)state;
    compute *c = far_away("ref");
    float *a = new_floats(c, N), got[N];
    c->ops->get(c, got, a, sizeof got);
    for (int i = 0; i < N; i++) assert_true(got[i] != got[i]);
    c->ops->buffer_free(c, a);
    assert_null(c->ops->buffer_new(c, SIZE_MAX / 4, "the moon"));
    assert_int_equal(compute_check(c, &error), ESP_FAILED);
    assert_non_null(strstr(error.message, "the moon"));
    compute_free(c);
}

/* A product, a gate and a question, by the instance and by a replica of it. */
static float answer(compute *of, compute *c) {
    enum { OUT = 6 };
    float w[OUT * WIDTH], x[N], y[ROWS * OUT];
    for (int i = 0; i < OUT * WIDTH; i++) w[i] = (float)(i % 5) - 2;
    for (int i = 0; i < N; i++) x[i] = (float)(i % 7) - 3;
    linear *l = of->ops->linear_new(of, OUT, WIDTH, 0);
    float *weight = new_floats(of, OUT * WIDTH), *input = new_floats(of, N);
    of->ops->put(of, weight, w, sizeof w);
    of->ops->put(of, input, x, sizeof x);
    of->ops->linear_set(of, l, weight);
    OK(compute_check(of, &error));
    float *both = new_floats(c, ROWS * OUT), *half = new_floats(c, ROWS * OUT / 2);
    compute_linear_gate(c, l, GATE_SILU, ROWS, OUT / 2, input, both, true, half);
    c->ops->get(c, y, half, sizeof y / 2);
    head_read_request read = {.row = 1, .kind = READ_SCORE, .token = 2};
    c->ops->head_read(c, l, ROWS, input, &read, 1);
    void *all[] = {both, half};
    for (int i = 0; i < 2; i++) c->ops->buffer_free(c, all[i]);
    of->ops->buffer_free(of, weight), of->ops->buffer_free(of, input);
    of->ops->linear_free(of, l);
    return y[4] + read.logprob;
}

static void test_same_numbers(void **state) {
    (void)state;
    const char *kinds[] = {"ref", "cpu"};
    for (int i = 0; i < 2; i++) {
        compute *near_by, *far, *replica;
        OK(compute_new(&near_by, kinds[i], DTYPE_F32, 2, &error));
        far = far_away(kinds[i]);
        assert_true(near_by->traits.host_memory && !far->traits.host_memory);
        OK(compute_replica_new(&replica, far, 1, &error));
        float right = answer(near_by, near_by);
        assert_true(answer(far, far) == right);
        assert_true(answer(far, replica) == right);
        compute_free(replica);
        compute_free(far);
        compute_free(near_by);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_traps), cmocka_unit_test(test_late),
                                       cmocka_unit_test(test_buffers), cmocka_unit_test(test_same_numbers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
