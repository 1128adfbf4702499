/* The schedule of a grader's programs, with programs and time that are made up. */
#include "support.h"

#include "base/random.h"
#include "grader/schedule.h"

#include <math.h>

static const schedule_settings usual = {
    .workers = 1, .in_flight = 4, .seconds = 10, .start_seconds = 60, .restarts = 20};

static schedule_action next_action(schedule *s, double now) {
    schedule_action a;
    schedule_next(s, now, &a);
    return a;
}

static schedule_action expect(schedule *s, double now, schedule_kind kind, int worker, int64_t question) {
    schedule_action a = next_action(s, now);
    assert_int_equal(a.kind, kind);
    if (kind == SCHEDULE_START || kind == SCHEDULE_KILL || kind == SCHEDULE_SEND)
        assert_int_equal(a.worker, worker);
    if (kind == SCHEDULE_SEND || kind == SCHEDULE_GIVE_UP) assert_int_equal(a.question, question);
    return a;
}

static void expect_wait(schedule *s, double now, double until) {
    schedule_action a = expect(s, now, SCHEDULE_WAIT, 0, 0);
    assert_true(a.until == until || fabs(a.until - until) < 1e-9);
}

/* Nothing is started before the first question; answers come in any order; the time limit counts from the
 * last answer, and for each question from when it was asked. */
static void questions_go_out_and_come_back(void **state) {
    (void)state;
    schedule *s = schedule_new(&usual);
    expect_wait(s, 0, INFINITY);
    for (int64_t q = 0; q < 6; q++) schedule_add(s, q);
    expect(s, 1, SCHEDULE_START, 0, 0);
    for (int64_t q = 0; q < 4; q++) expect(s, 1, SCHEDULE_SEND, 0, q);
    expect_wait(s, 1, 71); /* ten seconds and the start */
    assert_int_equal(schedule_open(s), 6);
    assert_false(schedule_answered(s, 0, 5, 2)); /* not asked yet */
    assert_true(schedule_answered(s, 0, 2, 2));
    assert_false(schedule_answered(s, 0, 2, 2)); /* once is enough */
    expect(s, 2, SCHEDULE_SEND, 0, 4);
    expect_wait(s, 2, 12);
    assert_true(schedule_answered(s, 0, 4, 9));
    assert_true(schedule_answered(s, 0, 0, 9));
    assert_true(schedule_answered(s, 0, 1, 9));
    expect(s, 9, SCHEDULE_SEND, 0, 5);
    expect_wait(s, 9, 19);
    assert_true(schedule_answered(s, 0, 5, 10));
    assert_true(schedule_answered(s, 0, 3, 10));
    expect_wait(s, 10, INFINITY);
    assert_int_equal(schedule_open(s), 0);
    schedule_free(s);
}

/* Of four questions one hangs the program: all are asked again, alone, and the one is given up. */
static void one_question_hangs(void **state) {
    (void)state;
    schedule *s = schedule_new(&usual);
    for (int64_t q = 0; q < 5; q++) schedule_add(s, q);
    expect(s, 0, SCHEDULE_START, 0, 0);
    for (int64_t q = 0; q < 4; q++) expect(s, 0, SCHEDULE_SEND, 0, q);
    assert_true(schedule_answered(s, 0, 0, 1)); /* it took a second to start: 3 are allowed from now on */
    expect(s, 1, SCHEDULE_SEND, 0, 4);
    expect_wait(s, 1, 11);
    schedule_action a = expect(s, 11, SCHEDULE_KILL, 0, 0);
    assert_string_equal(a.why, "gave no answer within 10 s");
    expect(s, 11, SCHEDULE_START, 0, 0);
    expect(s, 11, SCHEDULE_SEND, 0, 1);
    expect_wait(s, 11, 24); /* nothing else goes out with it */
    assert_true(schedule_answered(s, 0, 1, 12));
    expect(s, 12, SCHEDULE_SEND, 0, 2);
    expect_wait(s, 12, 22);
    expect(s, 22, SCHEDULE_KILL, 0, 0);
    a = expect(s, 22, SCHEDULE_GIVE_UP, 0, 2);
    assert_string_equal(a.why, "gave no answer within 10 s");
    expect(s, 22, SCHEDULE_START, 0, 0);
    expect(s, 22, SCHEDULE_SEND, 0, 3);
    assert_true(schedule_answered(s, 0, 3, 23));
    expect(s, 23, SCHEDULE_SEND, 0, 4);
    assert_true(schedule_answered(s, 0, 4, 23.5));
    expect_wait(s, 23.5, INFINITY);
    assert_int_equal(schedule_open(s), 0);
    schedule_free(s);
}

/* A worker that answers others all the time does not hide the question that it never answers. */
static void a_question_is_not_passed_over_for_ever(void **state) {
    (void)state;
    schedule *s = schedule_new(&usual);
    double now = 0;
    int64_t q = 0;
    bool killed = false;
    schedule_add(s, q++);
    expect(s, now, SCHEDULE_START, 0, 0);
    expect(s, now, SCHEDULE_SEND, 0, 0);
    for (; now < 100 && !killed; now += 1) {
        schedule_add(s, q++);
        for (;;) {
            schedule_action a = next_action(s, now);
            if (a.kind == SCHEDULE_KILL) killed = true;
            if (a.kind == SCHEDULE_WAIT || killed) break;
            assert_int_equal(a.kind, SCHEDULE_SEND);
        }
        if (!killed) assert_true(schedule_answered(s, 0, q - 1, now));
    }
    assert_true(killed);
    assert_true(now <= 72);
    schedule_free(s);
}

/* A program that cannot even start is said to be broken after a few tries, one that worked before after
 * `restarts`; and one bad question alone is given up, not taken for a broken program. */
static void broken_programs(void **state) {
    (void)state;
    schedule *s = schedule_new(&usual);
    schedule_action a = {.kind = SCHEDULE_WAIT};
    for (int64_t q = 0; q < 9; q++) schedule_add(s, q);
    int lost = 0;
    for (; lost < 30; lost++) {
        while ((a = next_action(s, 0)).kind != SCHEDULE_WAIT && a.kind != SCHEDULE_FAIL)
            assert_true(a.kind == SCHEDULE_START || a.kind == SCHEDULE_SEND);
        if (a.kind == SCHEDULE_FAIL) break;
        schedule_died(s, 0, "ended with status 1; it said: no such module");
    }
    assert_int_equal(a.kind, SCHEDULE_FAIL);
    assert_int_equal(lost, 7);
    assert_string_equal(a.why, "ended with status 1; it said: no such module");
    expect(s, 99, SCHEDULE_FAIL, 0, 0);
    schedule_free(s);

    s = schedule_new(&usual);
    schedule_add(s, 100);
    expect(s, 0, SCHEDULE_START, 0, 0);
    expect(s, 0, SCHEDULE_SEND, 0, 100);
    assert_true(schedule_answered(s, 0, 100, 1));
    int given_up = 0;
    for (int64_t q = 0; q < 50; q++) schedule_add(s, q);
    for (lost = 0; lost < 99; lost++) {
        while ((a = next_action(s, 2)).kind != SCHEDULE_WAIT && a.kind != SCHEDULE_FAIL)
            given_up += a.kind == SCHEDULE_GIVE_UP;
        if (a.kind == SCHEDULE_FAIL) break;
        schedule_died(s, 0, "died");
    }
    assert_int_equal(lost, 21);
    assert_true(given_up > 0 && given_up <= 20);
    schedule_free(s);

    s = schedule_new(&usual);
    schedule_add(s, 7);
    for (int i = 0; i < 2; i++) {
        expect(s, 0, SCHEDULE_START, 0, 0);
        expect(s, 0, SCHEDULE_SEND, 0, 7);
        schedule_died(s, 0, "died");
    }
    expect(s, 0, SCHEDULE_GIVE_UP, 0, 7); /* nothing else could show that the program works */
    expect_wait(s, 0, INFINITY);
    schedule_free(s);

    s = schedule_new(&usual);
    schedule_add(s, 7);
    schedule_add(s, 8);
    for (int i = 0; i < 3; i++) { /* together, then each alone */
        expect(s, 0, SCHEDULE_START, 0, 0);
        expect(s, 0, SCHEDULE_SEND, 0, i < 2 ? 7 : 8);
        if (i == 0) expect(s, 0, SCHEDULE_SEND, 0, 8);
        schedule_died(s, 0, "died");
    }
    expect(s, 0, SCHEDULE_FAIL, 0, 0); /* two of two: it is the program */
    schedule_free(s);
}

/* Nonsense from a program that has never answered is an error at once; later its worker is lost. */
static void nonsense(void **state) {
    (void)state;
    schedule *s = schedule_new(&usual);
    for (int64_t q = 0; q < 3; q++) schedule_add(s, q);
    expect(s, 0, SCHEDULE_START, 0, 0);
    for (int64_t q = 0; q < 3; q++) expect(s, 0, SCHEDULE_SEND, 0, q);
    schedule_wrote_nonsense(s, 0, "wrote what is no JSON: Loading");
    assert_string_equal(expect(s, 0, SCHEDULE_FAIL, 0, 0).why, "wrote what is no JSON: Loading");
    schedule_free(s);

    s = schedule_new(&usual);
    for (int64_t q = 0; q < 3; q++) schedule_add(s, q);
    expect(s, 0, SCHEDULE_START, 0, 0);
    for (int64_t q = 0; q < 3; q++) expect(s, 0, SCHEDULE_SEND, 0, q);
    assert_true(schedule_answered(s, 0, 0, 0));
    schedule_wrote_nonsense(s, 0, "wrote x");
    schedule_wrote_nonsense(s, 0, "wrote y"); /* the first counts */
    assert_string_equal(expect(s, 0, SCHEDULE_KILL, 0, 0).why, "wrote x");
    schedule_wrote_nonsense(s, 0, "wrote z"); /* of one that is gone already */
    schedule_died(s, 0, "died");
    expect(s, 0, SCHEDULE_START, 0, 0);
    expect(s, 0, SCHEDULE_SEND, 0, 1);
    assert_true(schedule_answered(s, 0, 1, 0));
    expect(s, 0, SCHEDULE_SEND, 0, 2);
    schedule_free(s);
}

/* Many programs, many questions, each with a fate drawn from its number: whatever the order of events, every
 * question is answered or given up, the bad ones alone are given up, and no question is with two workers. */
static void every_question_gets_an_end(void **state) {
    (void)state;
    enum { QUESTIONS = 300, WORKERS = 5 };
    for (uint64_t seed = 0; seed < 200; seed++) {
        schedule_settings set = {.workers = 1 + (int)(seed % WORKERS),
                                 .in_flight = 1 + (int)(seed % 7),
                                 .seconds = 2,
                                 .start_seconds = 1,
                                 .restarts = 1000};
        rng_key_t key = rng_key(seed);
        schedule *s = schedule_new(&set);
        int with[QUESTIONS], end[QUESTIONS] = {0}; /* worker + 1; 1 answered, 2 given up */
        memset(with, 0, sizeof with);
        double now = 0;
        uint64_t draws = 1000;
        for (int64_t q = 0; q < QUESTIONS; q++) schedule_add(s, q);
        for (int round = 0; schedule_open(s) > 0; round++) {
            assert_true(round < 100000);
            schedule_action a;
            while ((a = next_action(s, now)).kind != SCHEDULE_WAIT) {
                if (a.kind == SCHEDULE_SEND) {
                    assert_int_equal(with[a.question], 0);
                    with[a.question] = a.worker + 1;
                } else if (a.kind == SCHEDULE_GIVE_UP) {
                    assert_int_equal(end[a.question], 0);
                    end[a.question] = 2;
                } else if (a.kind == SCHEDULE_KILL) {
                    for (int q = 0; q < QUESTIONS; q++)
                        if (with[q] == a.worker + 1) with[q] = 0;
                } else {
                    assert_int_equal(a.kind, SCHEDULE_START);
                }
            }
            if (schedule_open(s) == 0) break;
            /* some question that is with somebody: it is answered or kills its worker; where all that are
             * out hang, time passes */
            uint64_t pick = rng_below(key, draws++, QUESTIONS), fate = 1;
            int q = -1;
            for (int i = 0; i < QUESTIONS && fate == 1; i++) {
                q = (int)((pick + (uint64_t)i) % QUESTIONS);
                if (with[q]) fate = rng_below(key, (uint64_t)q, 20);
            }
            if (fate == 1) {
                assert_true(isfinite(a.until));
                now = a.until;
            } else if (fate == 0) {
                int w = with[q];
                for (int i = 0; i < QUESTIONS; i++)
                    if (with[i] == w) with[i] = 0;
                schedule_died(s, w - 1, "died");
            } else {
                assert_true(schedule_answered(s, with[q] - 1, q, now));
                with[q] = 0;
                end[q] = 1;
            }
        }
        for (int q = 0; q < QUESTIONS; q++)
            assert_int_equal(end[q], rng_below(key, (uint64_t)q, 20) < 2 ? 2 : 1);
        schedule_free(s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(questions_go_out_and_come_back),
        cmocka_unit_test(one_question_hangs),
        cmocka_unit_test(a_question_is_not_passed_over_for_ever),
        cmocka_unit_test(broken_programs),
        cmocka_unit_test(nonsense),
        cmocka_unit_test(every_question_gets_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
