#!/bin/bash
# The library as another project meets it: installed, found by pkg-config, linked shared and static.
# timeout: 600
. "$(dirname "$0")/../lib.sh"

cmake --install "$ESPALIER_BUILD_DIR" --prefix "$WORK/prefix" > install.log || fail "cmake --install"
export PKG_CONFIG_PATH=$WORK/prefix/lib/pkgconfig:$WORK/prefix/lib64/pkgconfig:$(echo "$WORK"/prefix/lib/*/pkgconfig)
[ -f "$WORK/prefix/include/espalier.h" ] || fail "the header was not installed"
[ -s "$WORK/prefix/share/man/man1/espalier.1" ] || fail "the manual page was not installed"

cat > prog.c << 'PROGRAM'
#include <espalier.h>
#include <stdio.h>
#include <string.h>

int arena_alloc(int x);                    /* a name that the library has inside, too */
int arena_alloc(int x) { return x - 1; }

int main(void) {
    if (strcmp(esp_version(), ESP_VERSION) != 0) return 1;
    if (arena_alloc(1) != 0) return 2;
    printf("espalier %s\n", esp_version());
    return 0;
}
PROGRAM
sanitize=""
if [ "$ESPALIER_SANITIZE" = ON ]; then sanitize="-fsanitize=address,undefined"; fi
compile="cc -std=c17 -Wall -Wextra -Werror $sanitize prog.c"

version=$(pkg-config --modversion espalier) || fail "pkg-config does not find espalier"
libdir=$(pkg-config --variable=libdir espalier)

# The file must name the place it was installed to, not the one the build was configured for.
case $(cd "$libdir" && pwd) in
    "$WORK"/prefix/*) ;;
    *) fail "espalier.pc names $libdir, outside the prefix it was installed to" ;;
esac

# shellcheck disable=SC2046
$compile -o shared $(pkg-config --cflags --libs espalier) || fail "the shared library does not link"
LD_LIBRARY_PATH=$libdir expect_exit 0 ./shared
expect_in out "^espalier ${version//./\\.}$"
ldd ./shared > ldd.txt 2>&1 || true
expect_in ldd.txt 'libespalier\.so'

# shellcheck disable=SC2046
$compile -o static $(pkg-config --static --cflags --libs espalier | sed 's/-lespalier/-l:libespalier.a/') ||
    fail "the static library does not link"
expect_exit 0 ./static
expect_in out "^espalier ${version//./\\.}$"
ldd ./static > ldd.txt 2>&1 || true
expect_not_in ldd.txt 'libespalier\.so'

# The header needs no other, in C and in C++.
echo '#include <espalier.h>' > alone
cc -std=c99 -x c -pedantic -Wall -Wextra -Werror -fsyntax-only -I"$WORK/prefix/include" alone ||
    fail "espalier.h cannot be compiled alone in C"
if command -v c++ > /dev/null; then
    c++ -std=c++11 -x c++ -pedantic -Wall -Wextra -Werror -fsyntax-only -I"$WORK/prefix/include" alone ||
        fail "espalier.h cannot be compiled alone in C++"
elif [ -n "${CI:-}" ]; then
    fail "c++ is absent in CI; run tools/deps test"
fi

# Programs against the whole interface. build NAME: NAME.c to NAME-shared and NAME-static.
build() {
    # shellcheck disable=SC2046
    cc -std=c17 -Wall -Wextra -Werror $sanitize "$1.c" -o "$1-shared" $(pkg-config --cflags --libs espalier) ||
        fail "$1 does not link with the shared library"
    # shellcheck disable=SC2046
    cc -std=c17 -Wall -Wextra -Werror $sanitize "$1.c" -o "$1-static" \
        $(pkg-config --static --cflags --libs espalier | sed 's/-lespalier/-l:libespalier.a/') ||
        fail "$1 does not link with the static library"
}

# What needs no model.
cat > pure.c << 'PROGRAM'
#include <espalier.h>
#include <stdio.h>
#include <string.h>

int main(void) {
    esp_error error;
    esp_pair_logps pair = {.chosen = -1, .rejected = -2, .ref_chosen = -1.5, .ref_rejected = -1.5};
    esp_dpo_result r = esp_dpo(pair, 0.1, 0.25);
    printf("dpo %.12f %.12f %.12f %.12f\n", r.loss, r.margin, r.dchosen, r.drejected);
    esp_grade_result g;
    if (esp_grade("gsm8k", "So 1,200 in all.\n#### 1,200.0", "1200", &g, &error)) return 1;
    printf("grade %d %s %s\n", g.correct, g.extracted, g.reason);
    esp_free(g.extracted);
    if (esp_grade("gsm8k", "1", "none", &g, &error) != ESP_FAILED || g.extracted || !error.hint[0]) return 2;
    if (esp_grade("no-such-task", "1", "1", &g, &error) != ESP_FAILED) return 3;
    esp_model *model;
    if (esp_model_open(&model, "absent", NULL, &error) != ESP_FAILED || model) return 4;
    if (!strstr(error.message, "absent") || !error.hint[0]) return 5;
    if (esp_model_open(&model, "absent", NULL, NULL) != ESP_FAILED) return 6;
    if (esp_run("absent.yaml", NULL, &error) != ESP_FAILED || !strstr(error.message, "absent.yaml")) return 7;
    esp_setting unknown = {"search.simulation", "1"};
    esp_run_options options = {.settings = &unknown, .setting_count = 1};
    if (esp_run(NULL, &options, &error) == ESP_OK || !strstr(error.message, "search.simulations")) return 8;
    return 0;
}
PROGRAM
build pure
# h = 0.1 (0.5 + 0.5); loss = 0.75 log(1 + e^-h) + 0.25 log(1 + e^h); dloss/dchosen = 0.1 (1 / (1 + e^-h) - 0.75)
for kind in shared static; do
    LD_LIBRARY_PATH=$libdir expect_exit 0 ./pure-$kind
    expect_in out '^dpo 0\.669396660074 0\.100000000000 -0\.022502081252 0\.022502081252$'
    expect_in out '^grade 1 1200 equal$'
done

# The shared library shows the public names and no others.
nm -D --defined-only "$libdir/libespalier.so" | awk '$2 ~ /[TDBRVW]/ { print $3 }' > names
expect_in names '^esp_version$'
if grep -vE '^(esp_|_init$|_fini$|__asan|__odr_asan)' names > others; then
    fail "libespalier.so shows names that are not esp_: $(head -n 5 others | tr '\n' ' ')"
fi

if [ -x "$ESPALIER" ]; then
    [ -x "$WORK/prefix/bin/espalier" ] || fail "the program was not installed"
fi

# A model's log-probs: the first text of the golden file as a tree, whose last run goes another way.
cat > score.c << 'PROGRAM'
#include <espalier.h>
#include <stdio.h>
#include <string.h>

static int failed(const esp_error *error) {
    fprintf(stderr, "%s\n  hint: %s\n", error->message, error->hint);
    return 1;
}

int main(int argc, char **argv) { /* MODEL TEXT */
    if (argc != 3) return 2;
    esp_error error;
    esp_model *model;
    esp_model_options options = {.dtype = ESP_F32, .threads = 2};
    if (esp_model_open(&model, argv[1], &options, &error)) return failed(&error);
    int32_t *ids, tokens[512];
    size_t n, half, length;
    if (esp_tokenize(model, argv[2], strlen(argv[2]), false, &ids, &n, &error)) return failed(&error);
    if (n < 4 || n > 256) return 3;
    half = n / 2;
    memcpy(tokens, ids, n * sizeof *ids);
    for (size_t i = half; i < n; i++) tokens[n + i - half] = ids[n - 1 - (i - half)];
    int32_t start[] = {0, (int32_t)half, (int32_t)n, (int32_t)(n + n - half)}, parent[] = {-1, 0, 0};
    esp_token_tree tree = {.runs = 3, .tokens = tokens, .start = start, .parent = parent};
    float logprobs[512];
    if (esp_score(model, &tree, logprobs, &error)) return failed(&error);
    for (size_t i = 0; i < n; i++) printf("%d %.6f\n", (int)tokens[i], (double)logprobs[i]);
    start[3] = start[2]; /* an empty run */
    if (esp_score(model, &tree, logprobs, &error) != ESP_FAILED || !error.hint[0]) return 4;

    char *text;
    if (esp_detokenize(model, ids, n, false, &text, &length, &error)) return failed(&error);
    if (length != strlen(argv[2]) || strcmp(text, argv[2]) != 0) return 5;
    esp_free(text);
    esp_generate_options sampling = {.max_tokens = 12, .temperature = 0.8, .seed = 7};
    if (esp_generate(model, "Once upon a time", &sampling, &text, NULL, &error)) return failed(&error);
    printf("generated\n%s\n", text);
    esp_free(text);
    esp_free(ids);
    esp_model_close(model);
    return 0;
}
PROGRAM
build score
GOLDEN=$TEST_DATA/golden/tinystories-656k.json
text=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["score"][0]["text"])' "$GOLDEN")
for kind in shared static; do
    LD_LIBRARY_PATH=$libdir expect_exit 0 ./score-$kind "$TINY" "$text"
    mv out "out-$kind"
done
expect_same out-shared out-static
python3 - "$GOLDEN" out-shared << 'CHECK' || fail "the library's log-probs are not those of $GOLDEN"
import json, sys
row = json.load(open(sys.argv[1]))["score"][0]
lines = [line.split() for line in open(sys.argv[2]).read().split("generated")[0].splitlines()]
got, wanted = [float(line[1]) for line in lines], row["logprobs"]
assert [int(line[0]) for line in lines] == row["ids"], "other ids"
assert got[0] == 0, got[0]
assert len(got) == len(wanted) + 1
worst = max(abs(a - b) for a, b in zip(got[1:], wanted))
assert worst < 1e-3, worst
CHECK

[ -x "$ESPALIER" ] || exit 0
expect_exit 0 "$ESPALIER" generate --model "$TINY" --dtype f32 --threads 2 --prompt "Once upon a time" \
    --max-tokens 12 --temperature 0.8 --seed 7
sed '1,/^generated$/d' out-shared > generated
expect_same out generated

# The loop, stopped at its first report and gone on with: the digest is that of the program's run left alone.
cat > loop.c << 'PROGRAM'
#include <espalier.h>
#include <stdio.h>

typedef struct {
    volatile sig_atomic_t stop;
    int begun, ended, steps;
} watch;

static void on_begin(void *context, const char *title, int64_t total, const char *unit) {
    watch *w = context;
    w->begun += title && unit && total > 0;
}
static void on_step(void *context, int64_t done, const char *detail) {
    watch *w = context;
    (void)detail;
    w->steps += done >= 0;
    w->stop = 1;
}
static void on_end(void *context) {
    ((watch *)context)->ended++;
}

int main(int argc, char **argv) { /* RECIPE FOLDER */
    if (argc != 3) return 2;
    esp_error error;
    watch w = {0};
    esp_run_options options = {.folder = argv[2],
                               .observer = {.context = &w, .begin = on_begin, .step = on_step, .end = on_end},
                               .stop = &w.stop};
    if (esp_run(argv[1], &options, &error) != ESP_INTERRUPTED || error.code != ESP_INTERRUPTED) return 3;
    if (w.begun < 1 || w.begun != w.ended || w.steps < 1) return 4;
    if (esp_run(argv[1], &options, &error) != ESP_FAILED) return 5; /* the folder is there */
    options.resume = true;
    options.stop = NULL;
    if (esp_run(argv[1], &options, &error)) return fprintf(stderr, "%s\n", error.message), 6;
    if (w.begun < 2 || w.begun != w.ended) return 7;
    char *json;
    if (esp_run_summary(argv[2], &json, &error)) return 8;
    puts(json);
    esp_free(json);
    if (esp_run_summary("absent", &json, &error) != ESP_FAILED || json) return 9;
    return 0;
}
PROGRAM
build loop
cat > recipe.yaml << RECIPE
run: {seed: 3, iterations: 1, problems_per_iteration: 4, wave: 2, eval_every: 1, threads: 2}
model: {path: "$TINY", dtype: f32, context: 512}
data: {task: gsm8k, train: "$ESPALIER_SOURCE_DIR/data/gsm8k/train.jsonl.gz", train_limit: 8,
       test: "$ESPALIER_SOURCE_DIR/data/gsm8k/test.jsonl.gz"}
search: {simulations: 4, max_steps: 2, max_step_tokens: 16, max_chain_tokens: 40}
self_eval: {enabled: false}
eval: {limit: 4, max_tokens: 16}
RECIPE
expect_exit 0 "$ESPALIER" run recipe.yaml --out left-alone --json
mv out summary
LD_LIBRARY_PATH=$libdir expect_exit 0 ./loop-shared recipe.yaml stopped
python3 - summary out << 'CHECK' || fail "a run by the library is not the program's"
import json, sys
one, two = (json.load(open(path)) for path in sys.argv[1:])
assert one.pop("run") != two.pop("run")
assert one["digest"] == two["digest"] and len(one["evaluations"]) == 2, (one["digest"], two["digest"])
assert {key: one[key] for key in two} == two  # the program adds what it makes of it, and the page
CHECK

# What was installed can be removed again, and nothing else is.
touch "$WORK/prefix/share/mine"
DESTDIR='' make --no-print-directory -C "$ESPALIER_SOURCE_DIR" uninstall BUILD="$ESPALIER_BUILD_DIR" || fail "make uninstall"
[ "$(find "$WORK/prefix" ! -type d)" = "$WORK/prefix/share/mine" ] || fail "make uninstall leaves: $(find "$WORK/prefix" ! -type d)"
