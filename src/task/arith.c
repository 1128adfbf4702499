/* Arith: made word problems, the embedded default. Files have GSM8K's form; a source may also be a
 * description of problems to make, key=value joined by commas after "generate:":
 *
 *   count=N      problems (required)
 *   level=NAME   easy, rare or mixed (easy): see arith_story.h
 *   split=NAME   train, dev or test (train). A hash of its question decides which of them has a
 *                problem, so the three never share a problem, whatever their seeds, levels and counts
 *   seed=N       another stream of problems (1)
 *   flaws=X      how flawed the worked solutions are (0: correct); the gold answer is always correct
 */
#include "task/arith_story.h"
#include "task/task_ops.h"

#include <stdlib.h>
#include <string.h>

typedef enum { SPLIT_TRAIN, SPLIT_DEV, SPLIT_TEST } split;
static const char *const splits[] = {"train", "dev", "test"};

typedef struct {
    const arith_level *level;
    split split;
    int64_t count, seed;
    double flaws;
} order;

static const char hint_words[] = "such as generate:level=easy,split=train,count=1000,seed=1,flaws=0 (level "
                                 "easy, rare, mixed; split train, "
                                 "dev, test)";

static bool whole_number(const char *text, int64_t low, int64_t high, int64_t *out) {
    char *end;
    if (*text < '0' || *text > '9' || strlen(text) > 18) return false;
    *out = strtoll(text, &end, 10);
    return !*end && *out >= low && *out <= high;
}

/* The key's place among those that a source may have; -1: unknown. */
static int place_of_key(const char *key) {
    static const char *const keys[] = {"count", "seed", "level", "flaws", "split"};
    for (int k = 0; k < (int)(sizeof keys / sizeof *keys); k++)
        if (strcmp(key, keys[k]) == 0) return k;
    return -1;
}

static bool set_word(order *o, const char *key, const char *value) {
    char *end;
    if (strcmp(key, "count") == 0) return whole_number(value, 1, 100000000, &o->count);
    if (strcmp(key, "seed") == 0) return whole_number(value, 0, 1000000000000000000, &o->seed);
    if (strcmp(key, "level") == 0) return (o->level = arith_level_find(value)) != NULL;
    if (strcmp(key, "flaws") == 0) {
        o->flaws = strtod(value, &end);
        return *value && !*end && o->flaws >= 0 && o->flaws <= 10;
    }
    for (int s = 0; strcmp(key, "split") == 0 && s < 3; s++)
        if (strcmp(value, splits[s]) == 0) {
            o->split = (split)s;
            return true;
        }
    return false;
}

static esp_status read_order(const char *words, order *out, esp_error *error) {
    *out = (order){.level = arith_level_find("easy"), .seed = 1};
    char *copy = mem_strdup(words), *rest = copy;
    unsigned given = 0; /* one bit per key */
    esp_status status = ESP_OK;
    for (char *word; status == ESP_OK && (word = strsep(&rest, ","));) {
        char *value = strchr(word, '=');
        if (value) *value++ = 0;
        int key = place_of_key(word);
        if (key >= 0 && given >> key & 1)
            status = error_fail(error, hint_words, "generate:%s: \"%s\" is given twice", words, word);
        else if (key < 0 || !value || !set_word(out, word, value))
            status = error_fail(error, hint_words, "generate:%s: \"%s%s%s\" is not understood", words, word,
                                value ? "=" : "", value ? value : "");
        else
            given |= 1U << key;
    }
    if (status == ESP_OK && out->count == 0)
        status = error_fail(error, hint_words, "generate:%s: count is missing", words);
    mem_free(copy);
    return status;
}

/* One question in sixteen is for dev, one in sixteen for test. */
static split split_of(const char *question) {
    rng_key_t hash = rng_key(0x61726974);
    for (const char *c = question; *c; c++) hash = rng_mix(hash, (unsigned char)*c);
    uint64_t part = rng_below(hash, 0, 16);
    return part == 0 ? SPLIT_DEV : part == 1 ? SPLIT_TEST : SPLIT_TRAIN;
}

/* The solution of the same story without its misreadings. */
static const char *right_solution(rng_key_t key, const arith_level *level, arena *memory) {
    arith_story story;
    arith_story_make(&story, key, level, 0);
    const char *text = arena_strdup(memory, story.solution.at);
    arith_story_free(&story);
    return text;
}

esp_status arith_generate(const char *words, arena *memory, problem_list *out, esp_error *error) {
    order o;
    ESP_TRY(read_order(words, &o, error));
    rng_key_t stream = rng_mix(rng_key((uint64_t)o.seed), (uint64_t)o.split);
    for (const char *c = o.level->name; *c; c++) stream = rng_mix(stream, (unsigned char)*c);
    for (uint64_t n = 0; out->count < o.count; n++) {
        arith_story story;
        arith_story_make(&story, rng_mix(stream, n), o.level, o.flaws);
        if (split_of(story.question.at) == o.split) {
            char *id = mem_printf("%s-%s:%lld", o.level->name, splits[o.split], (long long)out->count + 1);
            char *gold = mem_printf("%lld", (long long)story.gold);
            problem p = {.index = out->count,
                         .line = out->count + 1,
                         .id = arena_strdup(memory, id),
                         .question = arena_strdup(memory, story.question.at),
                         .gold = arena_strdup(memory, gold)};
            p.rationale = p.raw = arena_strdup(memory, story.solution.at);
            if (story.flawed > 0) p.example = right_solution(rng_mix(stream, n), o.level, memory);
            mem_free(id);
            mem_free(gold);
            MEM_LIST_PUSH(out, p);
        }
        arith_story_free(&story);
    }
    return ESP_OK;
}
