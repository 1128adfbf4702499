/* The summary of a run: a significant gain, a loss, a change that may be chance, no evaluation, untrusted
 * names. */
#include "support.h"

#include "app/summary.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

static run_result_score scores[3];
static run_result result;
static char recipe_file[] = "recipe-2.yaml";
static recipe resolved;
static summary_input input;

static run_result_score score_of(int64_t iteration, int64_t problems, int64_t right,
                                 metrics_interval interval) {
    return (run_result_score){.iteration = iteration,
                              .problems = problems,
                              .right = right,
                              .accuracy = (double)right / (double)problems,
                              .interval = interval};
}

static int prepare(void **state) {
    (void)state;
    scores[0] = score_of(0, 1000, 264, (metrics_interval){0.238, 0.292});
    scores[1] = score_of(5, 1000, 700, (metrics_interval){0.671, 0.728});
    scores[2] = score_of(10, 1000, 789, (metrics_interval){0.763, 0.813});
    result = (run_result){
        .recipe_file = recipe_file,
        .method = "greedy",
        .set = "test",
        .scores = scores,
        .score_count = 3,
        .has_gain = true,
        .gain = {.difference = 0.525, .interval = {0.493, 0.556}, .p = 1e-90, .only_a = 1548, .only_b = 23},
        .totals = {.trees = 1280,
                   .pairs = 5301,
                   .updates = 190,
                   .tokens_sampled = 1310221,
                   .tokens_computed = 2410001}};
    strcpy(result.position.checkpoint, "iteration-10");
    resolved = (recipe){.run.iterations = 10};
    input = (summary_input){.result = &result,
                            .recipe = &resolved,
                            .folder = "runs/quick",
                            .page = "runs/quick/report.html",
                            .recipe_path = "recipes/quick.yaml",
                            .seconds = 161};
    return 0;
}

static char *text_of(display d) {
    text_buffer out = {0};
    summary_text(&input, &d, &out);
    return out.at;
}

static void expect(const char *line) {
    char *text = text_of((display){.unicode = true, .width = 100});
    if (!strstr(text, line)) fail_msg("no \"%s\" in\n%s", line, text);
    mem_free(text);
}

/* The judge of every iteration in a line; without comparisons there is none. */
static void the_judge_is_shown_per_iteration(void **state) {
    (void)state;
    run_result_judge judged[] = {{1, {0.853, {0.8, 0.9}, 300, 40}, {0.8, {0.7, 0.9}, 50, 30}, false},
                                 {2, {0.612, {0.51, 0.7}, 200, 35}, {0.55, {0.4, 0.7}, 40, 20}, true}};
    char *text = text_of((display){.unicode = true, .width = 300});
    assert_null(strstr(text, "Self-evaluation"));
    mem_free(text);
    result.judged = judged, result.judged_count = 1;
    text = text_of((display){.unicode = true, .width = 300});
    assert_non_null(strstr(text, "Self-evaluation, AUC within problems (0.5 is chance) in iteration 1: 0.85 "
                                 "[0.80, 0.90]; accuracy among siblings 0.80 [0.70, 0.90].\n"));
    mem_free(text);
    judged[1].siblings = (area_share){NAN, {0, 1}, 0, 0};
    result.judged_count = 2;
    text = text_of((display){.unicode = true, .width = 300});
    assert_non_null(strstr(text,
                           "Self-evaluation, AUC within problems (0.5 is chance) in iterations 1 to 2: 0.85, "
                           "0.61 (off) [0.51, 0.70].\n"));
    mem_free(text);
}

/* Both accuracies of the most probable options. */
static void choices_have_two(void **state) {
    (void)state;
    result.method = "choices";
    for (int i = 0; i < 3; i++) {
        scores[i].has_norm = true;
        scores[i].norm = 0.301 + 0.1 * i;
        scores[i].norm_interval = (metrics_interval){0.2, 0.4};
    }
    char *text = text_of((display){.unicode = true, .width = 200});
    assert_non_null(strstr(text,
                           "Before: 26.4% of 1,000 held-out problems [23.8, 29.2], by choices; with length "
                           "normalization 30.1% [20.0, 40.0].\n"));
    assert_non_null(strstr(text,
                           "After 10 iterations: 78.9% [76.3, 81.3], by choices; with length normalization "
                           "50.1% [20.0, 40.0].\n"));
    mem_free(text);
}

static void a_gain(void **state) {
    (void)state;
    char *text = text_of((display){.unicode = true, .width = 100});
    assert_string_equal(
        text,
        "\n"
        "Before: 26.4% of 1,000 held-out problems [23.8, 29.2].\n"
        "After 10 iterations: 78.9% [76.3, 81.3].\n"
        "Gain: +52.5 points [49.3, 55.6], p < 0.001: 1,548 problems newly correct, 23 no longer.\n"
        "\n"
        "1,280 trees, 5,301 pairs, 190 updates of the policy, in 2:41.\n"
        "Search: 1,310,221 tokens sampled, 2,410,001 computed.\n"
        "\n"
        "Policy: runs/quick/checkpoints/iteration-10\n"
        "Page: runs/quick/report.html\n"
        "Next:\n"
        "  espalier show runs/quick   # its search trees in the terminal\n"
        "  espalier export runs/quick policy/   # the policy, for transformers\n"
        "  espalier pairs runs/quick --format trl   # the preferences, for another trainer\n"
        "  espalier run runs/quick/recipe-2.yaml --iterations 20 --out runs/quick --resume   # accuracy was "
        "still rising: train longer\n");
    mem_free(text);
    text = text_of((display){.unicode = true, .width = 50});
    assert_non_null(strstr(text, "1,548\n  problems newly correct, 23 no longer.\n"));
    mem_free(text);
}

static void other_ends(void **state) {
    (void)state;
    result.gain =
        (evaluation_difference){.difference = -0.1, .interval = {-0.13, -0.07}, .p = 0.0456, .only_a = 1};
    scores[2].accuracy = 0.164;
    expect("Loss: -10.0 points [-13.0, -7.0], p = 0.046: 1 problem newly correct, 0 no longer.\n");
    expect("It was best after iteration 5: 70.0%.\n");
    result.gain = (evaluation_difference){.difference = 0.001, .interval = {-0.0004, 0.003}, .p = 0.51};
    expect("Change: +0.1 points [0.0, 0.3], p = 0.51: 0 problems newly correct, 0 no longer.\nThis may be "
           "chance");
    resolved.sft.epochs = 1;
    expect("After the warm-up: 26.4% of");
    result.set = "dev", result.method = "sample";
    expect("of 1,000 development problems [23.8, 29.2], by sample.\n");
    result.score_count = 1;
    char *text = text_of((display){.unicode = true, .width = 100});
    assert_null(strstr(text, "Change"));
    mem_free(text);
    result.score_count = 0;
    result.totals = (store_totals){0};
    input.page = NULL, input.resumed = input.evaluates = true;
    expect("Nothing was evaluated: set data.test to a file of problems.\n\n0 updates of the policy, in 2:41 "
           "since it "
           "was resumed.\n");
    expect("espalier report runs/quick");
}

static void foreign_names(void **state) {
    (void)state;
    input.folder = "runs/a b\x1b[2J";
    input.page = "runs/\x07/report.html";
    char *text = text_of((display){.unicode = true, .width = 100});
    for (char *c = text; *c; c++) assert_true(*c == '\n' || (unsigned char)*c >= ' ');
    assert_non_null(strstr(text, "espalier show 'runs/a b␛[2J'"));
    mem_free(text);
    text = text_of((display){.unicode = true, .width = 100, .colour = true});
    assert_non_null(strstr(text, "\x1b[1;32mGain: +52.5 points\x1b[0m"));
    mem_free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_judge_is_shown_per_iteration, prepare),
        cmocka_unit_test_setup(choices_have_two, prepare),
        cmocka_unit_test_setup(a_gain, prepare),
        cmocka_unit_test_setup(other_ends, prepare),
        cmocka_unit_test_setup(foreign_names, prepare),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
