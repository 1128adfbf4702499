/* The run in plain sentences: the summary, and the watch list of docs/method.md 5.5. A sentence of the watch
 * list appears only if the run has the numbers for it, and warns only if they call for it. */
#include "eval/evaluate.h"
#include "recipe/convert.h"
#include "view/display.h"
#include "view/report_inner.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    char text[24];
} written;

/* 1234567 as "1,234,567". */
static written count_of(int64_t n) {
    text_buffer digits = {0};
    written w;
    display_count(&digits, n < 0 ? 0 : n);
    snprintf(w.text, sizeof w.text, "%s", digits.at);
    text_free(&digits);
    return w;
}

/* 1234567 as "1.2 million". */
static written about(int64_t n) {
    written w = {0};
    if (n >= 999500000)
        snprintf(w.text, sizeof w.text, "%.1f billion", (double)n / 1e9);
    else if (n >= 1000000)
        snprintf(w.text, sizeof w.text, "%.1f million", (double)n / 1e6);
    else
        w = count_of(n);
    return w;
}

static written plural(int64_t n) {
    return (written){{n == 1 ? '\0' : 's'}};
}

/* ---- summary ---- */

static const char *method_words(const report_run *r) {
    return strcmp(r->method, "greedy") == 0    ? "greedy accuracy"
           : strcmp(r->method, "sample") == 0  ? "accuracy of the majority answer"
           : strcmp(r->method, "choices") == 0 ? "accuracy of the most probable option"
                                               : "accuracy of the search's committed path";
}

static void put_sentence(document *d, char *text) {
    document_text(d, text);
    mem_free(text);
}

static void put_accuracy(const report_run *r, const report_gain *g, document *d) {
    const report_iteration *first = report_first_evaluated(r), *last = report_last_evaluated(r);
    if (!last) {
        put_sentence(d, mem_printf("No evaluation has been made yet."));
    } else if (first == last) {
        put_sentence(
            d, mem_printf("After iteration %lld, %s on %s problem%s was %.1f%% (95%% interval %.1f to %.1f).",
                          (long long)last->iteration, method_words(r), count_of(last->main.problems).text,
                          plural(last->main.problems).text, 100 * last->main.accuracy, 100 * last->main.low,
                          100 * last->main.high));
    } else if (!g->known) {
        put_sentence(d, mem_printf("From iteration %lld to %lld, %s went from %.1f%% to %.1f%%. The problems "
                                   "were not the same, so "
                                   "there is no paired difference.",
                                   (long long)first->iteration, (long long)last->iteration, method_words(r),
                                   100 * first->main.accuracy, 100 * last->main.accuracy));
    } else {
        const char *verb = g->d.interval.low > 0    ? "rose"
                           : g->d.interval.high < 0 ? "fell"
                                                    : "did not change significantly:";
        int64_t rounds = g->to - g->from;
        char *words = mem_printf("%s %s from %.1f%% to %.1f%% of %s held-out problem%s in %lld iteration%s.",
                                 method_words(r), verb, 100 * first->main.accuracy, 100 * last->main.accuracy,
                                 count_of(g->d.problems).text, plural(g->d.problems).text, (long long)rounds,
                                 plural(rounds).text);
        words[0] = (char)toupper((unsigned char)words[0]);
        put_sentence(d, words);
    }
}

static void put_work(const report_run *r, document *d) {
    int64_t trees = 0, nodes = 0, pairs = 0, updates = 0, sampled = 0, judged = 0, computed = 0, searched = 0,
            sft = 0;
    for (int64_t i = 0; i < r->iteration_count; i++) {
        const report_iteration *it = &r->iterations[i];
        trees += it->trees, nodes += it->nodes, pairs += it->pairs, updates += it->updates;
        sampled += it->sampled, judged += it->judged;
        computed += it->computed + it->learned;
        searched += it->trees > 0;
    }
    for (int64_t i = 0; i < r->updates.count; i++) sft += strcmp(r->updates.at[i].phase, "sft") == 0;
    if (sft)
        put_sentence(
            d, mem_printf("Before the search, the model was fine-tuned on worked solutions in %s update%s.",
                          count_of(sft).text, plural(sft).text));
    if (trees)
        put_sentence(
            d, mem_printf(
                   "In %s iteration%s it grew %s search tree%s of %.0f steps on average, took %s preference "
                   "pair%s from them, and made %s update%s.",
                   count_of(searched).text, plural(searched).text, count_of(trees).text, plural(trees).text,
                   (double)nodes / (double)trees, count_of(pairs).text, plural(pairs).text,
                   count_of(updates).text, plural(updates).text));
    if (sampled)
        put_sentence(
            d,
            mem_printf("This took %s tokens sampled, %s read by the judge, and %s computed in all, including "
                       "training.",
                       about(sampled).text, about(judged).text, about(computed).text));
    else if (computed)
        put_sentence(d, mem_printf("This took %s tokens computed.", about(computed).text));
}

static void put_judge(const report_run *r, document *d) {
    const area_share *a = &r->judge[JUDGE_ALL].within;
    if (a->comparisons > 0)
        put_sentence(
            d,
            mem_printf("Of two steps of one problem, one that leads to correct solutions and one that does "
                       "not, self-evaluation rated the better one higher in %.0f%% of %s comparisons (AUC "
                       "within problems %.2f, %.2f to %.2f; chance level is 0.5).",
                       100 * a->share, count_of(a->comparisons).text, a->share, a->interval.low,
                       a->interval.high));
}

static void put_position(const report_run *r, document *d) {
    if (r->position.phase == STORE_PHASE_DONE) return;
    put_sentence(d, mem_printf("The run is not finished: the next phase is %s of iteration %lld.",
                               store_phase_name(r->position.phase), (long long)r->position.iteration));
}

/* ---- watch list ---- */

static void watch(document *d, bool warn, char *text) {
    document_begin(d, '{');
    document_put_text(d, "level", warn ? "warn" : "ok");
    document_put_text(d, "text", text);
    document_end(d, '}');
    mem_free(text);
}

/* A metric of the learning updates: its mean in the first and in the last third, and the standard error of
 * the difference. */
typedef struct {
    int64_t count; /* updates that have the figure; fewer than LEAST are not reported */
    double first, last, error, error_last;
} trend;
enum { LEAST = 9 };

static trend trend_of(const report_run *r, const char *metric) {
    MEM_LIST(double) values = {0};
    for (int64_t i = 0; i < r->updates.count; i++) {
        const store_update *u = &r->updates.at[i];
        double value = store_update_metric(u, metric);
        if (strcmp(u->phase, "learn") == 0 && isfinite(value)) MEM_LIST_PUSH(&values, value);
    }
    trend t = {.count = values.count};
    int64_t third = values.count / 3;
    if (t.count >= LEAST) {
        const double *end = values.at + values.count - third;
        double a = metrics_deviation(values.at, third), b = metrics_deviation(end, third);
        t.first = metrics_mean(values.at, third);
        t.last = metrics_mean(end, third);
        t.error = sqrt((a * a + b * b) / (double)third);
        t.error_last = b / sqrt((double)third);
    }
    MEM_LIST_FREE(&values);
    return t;
}

static bool fell(const trend *t) {
    return t->last < t->first - 2 * t->error;
}

static const char *logps_words(const trend *w, const trend *l) {
    if (fell(w) && fell(l)) return "The log-probs of chosen and of rejected steps fall together";
    if (fell(w)) return "The log-probs of chosen steps fall";
    if (fell(l)) return "The log-probs of rejected steps fall, those of chosen steps do not";
    return "The log-probs of chosen and rejected steps do not fall together";
}

static void watch_logps(const report_run *r, document *d) {
    trend w = trend_of(r, "logp_chosen"), l = trend_of(r, "logp_rejected");
    if (w.count < LEAST || l.count < LEAST) return;
    watch(d, fell(&w),
          mem_printf(
              "%s: chosen %.2f to %.2f, rejected %.2f to %.2f nats per step (means of the first and the last "
              "third of %s updates).%s",
              logps_words(&w, &l), w.first, w.last, l.first, l.last, count_of(w.count).text,
              fell(&w) ? " A larger learn.nll keeps those of chosen steps up." : ""));
}

static void watch_kl(const report_run *r, document *d) {
    trend t = trend_of(r, "kl");
    if (t.count < LEAST) return;
    bool grows = t.last > t.first + 2 * t.error && t.last > 0.05 && t.last > 2 * t.first;
    watch(d, grows,
          mem_printf(
              "%s: %.3f to %.3f nats per step (first and last third of %s updates).%s",
              grows ? "The log-prob that the pairs' steps lose to the reference grows"
              : t.last > t.first + 2 * t.error
                  ? "The log-prob that the pairs' steps lose to the reference grows by less than a factor "
                    "of 2"
                  : "The log-prob that the pairs' steps lose to the reference does not grow",
              t.first, t.last, count_of(t.count).text,
              grows ? " A larger learn.beta or a smaller learn.lr limits it." : ""));
}

static void watch_margin(const report_run *r, document *d) {
    trend t = trend_of(r, "margin");
    if (t.count < LEAST) return;
    bool flat = t.last < 2 * t.error_last;
    watch(d, flat,
          mem_printf("%s: %+.4f in the first third of %s updates, %+.4f in the last (standard error %.4f).%s",
                     flat ? "The implicit reward margin does not rise above zero"
                          : "The implicit reward margin is above zero: chosen steps gain on rejected ones",
                     t.first, count_of(t.count).text, t.last, t.error_last,
                     flat ? " There may be too few updates, or learn.lr may be too small." : ""));
}

static void watch_losses(const report_run *r, document *d) {
    int64_t bad = 0;
    for (int64_t i = 0; i < r->updates.count; i++)
        bad += !isfinite(r->updates.at[i].loss) || !isfinite(r->updates.at[i].grad_norm);
    if (bad)
        watch(d, true,
              mem_printf("In %s of %s updates the loss or the gradient was not a finite number.",
                         count_of(bad).text, count_of(r->updates.count).text));
}

/* Whether a share of chains fell: a two-proportion z-test. */
static bool share_fell(double first, int64_t n, double last, int64_t m) {
    if (!isfinite(first) || !isfinite(last) || n < 1 || m < 1) return false;
    double pooled = (first * (double)n + last * (double)m) / (double)(n + m);
    double error = sqrt(pooled * (1 - pooled) * (1 / (double)n + 1 / (double)m));
    return first - last > 2 * error && first - last > 0.02;
}

static void watch_finishing(const report_run *r, document *d) {
    const report_iteration *a = report_first_evaluated(r), *b = report_last_evaluated(r);
    if (!a || a == b || !isfinite(a->finished_share) || !isfinite(b->finished_share)) return;
    bool falls = share_fell(a->finished_share, a->main.problems, b->finished_share, b->main.problems);
    bool few = b->finished_share < 0.5;
    watch(d, falls || few,
          mem_printf("%s: %.1f%% of evaluated chains after iteration %lld, %.1f%% after iteration %lld.",
                     falls ? "Fewer chains finish"
                     : few ? "Few chains finish"
                           : "Chains finish at least as often as before",
                     100 * a->finished_share, (long long)a->iteration, 100 * b->finished_share,
                     (long long)b->iteration));
}

static void watch_lengths(const report_run *r, document *d) {
    const report_iteration *a = report_first_evaluated(r), *b = report_last_evaluated(r);
    if (!a || a == b || !(a->mean_tokens > 0) || !isfinite(b->mean_tokens)) return;
    double ratio = b->mean_tokens / a->mean_tokens;
    bool off = ratio > 1.5 || ratio < 0.5;
    const char *what = ratio > 1.5   ? "Chains become longer"
                       : ratio < 0.5 ? "Chains become shorter"
                                     : "The length of chains is stable";
    watch(d, off,
          mem_printf("%s: %.0f tokens after iteration %lld, %.0f after iteration %lld.", what, a->mean_tokens,
                     (long long)a->iteration, b->mean_tokens, (long long)b->iteration));
}

/* Compares the last evaluation with the best earlier one, on the same problems. */
static void watch_best(const report_run *r, document *d) {
    const report_iteration *last = report_last_evaluated(r), *best = NULL;
    for (int64_t i = 0; i < r->iteration_count; i++) {
        const report_iteration *it = &r->iterations[i];
        if (it->evaluated && it != last && (!best || it->main.accuracy > best->main.accuracy)) best = it;
    }
    if (!last || !best || !(best->main.accuracy > last->main.accuracy)) return;
    evaluation a, b;
    evaluation_difference diff;
    if (!report_read_evaluation(r, last->iteration, r->method, &a)) return;
    if (report_read_evaluation(r, best->iteration, r->method, &b)) {
        uint64_t seed = r->recipe ? (uint64_t)r->recipe->run.seed : 1;
        if (evaluation_compare(&a, &b, seed, &diff, NULL) == ESP_OK) {
            bool beyond = diff.interval.high < 0;
            watch(d, beyond,
                  mem_printf("Accuracy %s its best: %.1f%% after iteration %lld, %.1f%% at the end (paired "
                             "difference %+.1f "
                             "points, %+.1f to %+.1f).",
                             beyond ? "fell from" : "ended slightly, but not significantly, below",
                             100 * best->main.accuracy, (long long)best->iteration, 100 * last->main.accuracy,
                             100 * diff.difference, 100 * diff.interval.low, 100 * diff.interval.high));
        }
        evaluation_free(&b);
    }
    evaluation_free(&a);
}

/* "AUC within problems 0.62 (0.55 to 0.70), among siblings 0.60 (0.50 to 0.69)" */
static char *judge_words(const judge_quality judged[JUDGE_KINDS]) {
    const area_share *w = &judged[JUDGE_ALL].within, *s = &judged[JUDGE_ALL].siblings;
    char *within =
        mem_printf("AUC within problems %.2f (%.2f to %.2f)", w->share, w->interval.low, w->interval.high);
    if (s->comparisons == 0) return within;
    char *both = mem_printf("%s, accuracy among siblings %.2f (%.2f to %.2f)", within, s->share,
                            s->interval.low, s->interval.high);
    mem_free(within);
    return both;
}

static void watch_judge(const report_run *r, document *d) {
    const report_iteration *last = NULL;
    for (int64_t i = 0; i < r->iteration_count; i++)
        if (r->iterations[i].judge[JUDGE_ALL].within.comparisons > 0) last = &r->iterations[i];
    if (!last) return;
    metrics_interval i = last->judge[JUDGE_ALL].within.interval;
    bool at_chance = i.low <= 0.5;
    const char *what = i.high < 0.5 ? "Self-evaluation rates steps that lead to incorrect solutions higher"
                       : at_chance
                           ? "Self-evaluation is not known to be better than chance"
                           : "Self-evaluation tells which steps of a problem lead to correct solutions";
    char *figures = judge_words(last->judge);
    watch(d, at_chance,
          mem_printf("%s: %s, on the trees of iteration %lld.%s", what, figures, (long long)last->iteration,
                     at_chance ? " Train it (sft.judge_examples), or turn it off (self_eval.enabled)." : ""));
    mem_free(figures);
}

/* The judge in the last evaluation by search, where no gold answer was shown. */
static void watch_judge_at_inference(const report_run *r, document *d) {
    for (int64_t i = r->iteration_count - 1; i >= 0; i--) {
        evaluation e;
        if (!report_read_evaluation(r, r->iterations[i].iteration, "search", &e)) continue;
        const area_share *a = &e.search.judged[JUDGE_ALL].within;
        char *figures = judge_words(e.search.judged);
        if (a->comparisons > 0)
            watch(d, a->interval.low <= 0.5,
                  mem_printf("%s: %s, in search at inference after iteration %lld, without gold answers.",
                             a->interval.low <= 0.5
                                 ? "On new problems, self-evaluation is not known to be better than chance"
                                 : "Self-evaluation works on new problems",
                             figures, (long long)r->iterations[i].iteration));
        mem_free(figures);
        evaluation_free(&e);
        return;
    }
}

/* Whether the last finished search gave fewer pairs than one batch. */
static void watch_pairs(const report_run *r, document *d) {
    const report_iteration *last = NULL;
    for (int64_t i = 0; i < r->iteration_count; i++) {
        const report_iteration *it = &r->iterations[i];
        bool searching = r->position.phase == STORE_PHASE_SEARCH && it->iteration >= r->position.iteration;
        if (it->trees > 0 && !searching) last = it;
    }
    if (!last || (r->recipe && recipe_objective(r->recipe)->paths < 2)) return;
    int64_t batch = r->recipe ? r->recipe->learn.batch : 8;
    if (r->recipe && r->recipe->learn.batch_of == RECIPE_BATCH_PROBLEMS) return; /* pairs fill no batch */
    double solved = (double)last->trees_right / (double)last->trees;
    bool few = last->pairs < batch, used_up = few && solved >= 0.9;
    char *why = used_up ? mem_printf(": the committed path is correct in %.1f%%.", 100 * solved)
                        : mem_strdup(few ? ", not enough for one batch." : ".");
    watch(d, few && !used_up,
          mem_printf("%s: iteration %lld gave %s pair%s from %s tree%s%s",
                     used_up ? "Few pairs are left, because most problems are solved"
                     : few   ? "Few pairs"
                             : "There are enough pairs",
                     (long long)last->iteration, count_of(last->pairs).text, plural(last->pairs).text,
                     count_of(last->trees).text, plural(last->trees).text, why));
    mem_free(why);
}

/* Answers that could not be judged, in the search and in the last evaluation. */
static void watch_unknown(const report_run *r, document *d) {
    int64_t chains = 0;
    for (int64_t i = 0; i < r->iteration_count; i++) chains += r->iterations[i].unknown;
    if (chains > 0)
        watch(d, true,
              mem_printf("%s solution%s of the searches could not be judged; task.unknown is %s.",
                         count_of(chains).text, plural(chains).text,
                         r->recipe ? r->recipe->task.unknown : "unknown"));
    const report_iteration *last = report_last_evaluated(r);
    int64_t answers = last ? last->main.unknown : 0;
    if (answers == 0) return;
    text_buffer text = {0};
    double judged =
        last->main.k > 1 ? NAN : metrics_judged_accuracy(last->main.right, last->main.problems, answers);
    text_printf(&text, "After iteration %lld: ", (long long)last->iteration);
    evaluation_unknown_words(answers, judged, &text);
    text_puts(&text, ".");
    watch(d, true, text.at);
}

static void watch_replays(const report_run *r, document *d) {
    if (r->trees.count && !r->recipe)
        watch(d, true,
              mem_printf("This version cannot read the run's recipe.yaml, so searches are not replayed."));
}

void report_words(const report_run *r, const report_gain *gain, const document *notes, document *d) {
    document_key(d, "summary");
    document_begin(d, '{');
    document_key(d, "sentences");
    document_begin(d, '[');
    put_accuracy(r, gain, d);
    put_position(r, d);
    put_work(r, d);
    put_judge(r, d);
    document_end(d, ']');
    document_end(d, '}');
    document_key(d, "watch");
    document_begin(d, '[');
    watch_best(r, d);
    watch_losses(r, d);
    watch_logps(r, d);
    watch_margin(r, d);
    watch_kl(r, d);
    watch_finishing(r, d);
    watch_lengths(r, d);
    watch_judge(r, d);
    watch_judge_at_inference(r, d);
    watch_pairs(r, d);
    watch_unknown(r, d);
    watch_replays(r, d);
    if (notes->text.length) document_raw(d, notes->text.at, notes->text.length);
    document_end(d, ']');
}
