/* Composed option tables: groups, base offsets, and alternatives of which one is chosen. */
#include "support.h"

#include "base/options.h"

#include <string.h>

static esp_error error;

typedef struct {
    int64_t legs;
    double weight;
} animal;
typedef struct {
    double weight, size;
    bool flies;
} bird;
typedef struct {
    double weight;
    int64_t depth;
    double size;
} fish;
typedef struct {
    int64_t seed;
    animal pet;
    int kind;
    option_space chosen;
} zoo;

static const char *kind_name(int value) {
    static const char *const names[] = {"bird", "fish"};
    return value >= 0 && value < 2 ? names[value] : NULL;
}

#define COUNT(table) ((int)(sizeof(table) / sizeof *(table)))

static const option zoo_options[] = {
    {.key = "seed", .type = OPTION_INT, .offset = offsetof(zoo, seed), .initial = "3", .help = "seed"},
    {.key = "kind",
     .type = OPTION_ENUM,
     .choice = kind_name,
     .offset = offsetof(zoo, kind),
     .initial = "bird",
     .help = "kind"},
};
static const option animal_options[] = {
    {.key = "legs",
     .flag = "--legs",
     .type = OPTION_INT,
     .low = 0,
     .high = 8,
     .offset = offsetof(animal, legs),
     .initial = "4",
     .help = "legs"},
};
static const option bird_options[] = {
    {.key = "size", .flag = "--size", .type = OPTION_FLOAT, .offset = offsetof(bird, size), .help = "size"},
    {.key = "weight",
     .flag = "--weight",
     .type = OPTION_FLOAT,
     .offset = offsetof(bird, weight),
     .initial = "0.5",
     .help = "weight"},
    {.key = "flies",
     .type = OPTION_BOOL,
     .offset = offsetof(bird, flies),
     .initial = "true",
     .help = "flies"},
};
static const option fish_options[] = {
    {.key = "size", .flag = "--size", .type = OPTION_FLOAT, .offset = offsetof(fish, size), .help = "size"},
    {.key = "depth", .type = OPTION_INT, .offset = offsetof(fish, depth), .initial = "9", .help = "depth"},
    {.key = "weight",
     .flag = "--weight",
     .type = OPTION_FLOAT,
     .offset = offsetof(fish, weight),
     .initial = "7",
     .help = "weight"},
};

static const option_part parts[] = {
    {.group = "zoo", .rows = {zoo_options, COUNT(zoo_options)}},
    {.group = "pet", .rows = {animal_options, COUNT(animal_options)}, .base = offsetof(zoo, pet)},
    {.group = "zoo",
     .rows = {bird_options, COUNT(bird_options)},
     .base = offsetof(zoo, chosen),
     .chooser = "zoo.kind",
     .chosen = 0},
    {.group = "zoo",
     .rows = {fish_options, COUNT(fish_options)},
     .base = offsetof(zoo, chosen),
     .chooser = "zoo.kind",
     .chosen = 1},
};

static option_table compose(arena *memory) {
    return options_compose(parts, COUNT(parts), memory);
}

static void rows_reach_their_structs(void **state) {
    (void)state;
    arena *memory = arena_new();
    option_table table = compose(memory);
    zoo z;
    memset(&z, 0xff, sizeof z);
    z.kind = 0;
    options_defaults(table, &z);
    assert_int_equal(table.count, 9);
    assert_true(z.seed == 3 && z.pet.legs == 4 && z.kind == 0);
    bird *b = (bird *)&z.chosen;
    assert_true(b->weight == 0.5 && b->flies);
    OK(option_set(option_by_key(table, "pet.legs"), &z, "6", &error));
    assert_int_equal(z.pet.legs, 6);
    assert_int_equal(option_set(option_by_key(table, "pet.legs"), &z, "9", &error), ESP_FAILED);
    assert_string_equal(error.message, "pet.legs must be a whole number from 0 to 8, not \"9\"");
    assert_int_equal(option_set(option_by_key(table, "zoo.kind"), &z, "cat", &error), ESP_FAILED);
    assert_string_equal(error.message, "zoo.kind must be one of bird, fish, not \"cat\"");
    arena_free(memory);
}

static void only_the_chosen_rows_apply(void **state) {
    (void)state;
    arena *memory = arena_new();
    option_table table = compose(memory);
    zoo z = {0};
    options_defaults(table, &z);
    assert_null(option_in_use(table, "zoo.depth", &z));
    assert_ptr_equal(option_in_use(table, "zoo.weight", &z), option_by_key(table, "zoo.weight"));
    OK(option_set(option_by_key(table, "zoo.kind"), &z, "fish", &error));
    z.seed = 11;
    options_defaults_of_choice(table, &z);
    fish *f = (fish *)&z.chosen;
    assert_true(f->depth == 9 && f->weight == 7 && z.seed == 11);
    assert_null(option_in_use(table, "zoo.flies", &z));
    const option *weight = option_in_use(table, "zoo.weight", &z);
    assert_ptr_not_equal(weight, option_by_key(table, "zoo.weight"));
    OK(option_set(weight, &z, "8", &error));
    assert_true(f->weight == 8 && f->depth == 9);
    arena_free(memory);
}

static void readers_are_told_when_a_row_applies(void **state) {
    (void)state;
    arena *memory = arena_new();
    option_table table = compose(memory);
    text_buffer text = {0};
    option_condition(table, option_by_key(table, "zoo.depth"), &text);
    assert_string_equal(text.at, "zoo.kind fish");
    text_clear(&text);
    option_condition(table, option_by_key(table, "zoo.size"), &text);
    assert_string_equal(text.at, "zoo.kind bird or fish");
    text_clear(&text);
    option_condition(table, option_by_key(table, "pet.legs"), &text);
    assert_int_equal(text.length, 0);
    /* one entry per key, and a flag that two alternatives have is not ambiguous */
    assert_int_equal(option_meanings(table, "--weight", "zoo pet", " or ", NULL), 1);
    options_manual(table, "zoo", 200, &text);
    assert_non_null(strstr(text.at, "depth; a whole number; only with zoo.kind fish [9]\n"));
    assert_non_null(strstr(text.at, "weight; a number; only with zoo.kind bird [0.5]\n"));
    assert_non_null(strstr(text.at, "weight; a number; only with zoo.kind fish [7]\n"));
    const char *first = strstr(text.at, "--size, zoo.size\n");
    assert_non_null(first);
    assert_null(strstr(strchr(first, 10), "zoo.size\n"));
    text_free(&text);
    arena_free(memory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_reach_their_structs),
        cmocka_unit_test(only_the_chosen_rows_apply),
        cmocka_unit_test(readers_are_told_when_a_row_applies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
