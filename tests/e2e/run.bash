# What the tests of `espalier run` share: a run of seconds, means to strike it at a known moment, and how runs are
# compared. Sourced after lib.sh.
# shellcheck shell=bash
need_program
RECIPES=$ESPALIER_SOURCE_DIR/tests/e2e/recipes

# Short questions of GSM8K, each with an answer that so small a model can hit: train.jsonl, test.jsonl.
python3 - "$ESPALIER_SOURCE_DIR/data/gsm8k" << 'PYTHON'
import gzip, json, sys
for name in 'train', 'test':
    with gzip.open(f'{sys.argv[1]}/{name}.jsonl.gz', 'rt') as source, open(f'{name}.jsonl', 'w') as out:
        short = [row for row in map(json.loads, source) if len(row['question']) < 150][:64]
        for i, row in enumerate(short):
            n = i % 2 + 2
            print(json.dumps({'question': row['question'], 'answer': f'It is {n}.\n#### {n}'}), file=out)
PYTHON

# tiny OUT ARGS...: the words of a run of recipes/tiny.yaml, into the array TINY_RUN.
tiny() {
    TINY_RUN=("$ESPALIER" run "${RECIPE:-$RECIPES/tiny.yaml}" --model "$TINY" --train "$WORK/train.jsonl"
        --test "$WORK/test.jsonl" --out "$@")
}
# run_tiny CODE OUT ARGS...: runs it; what it wrote is in the files out and err.
run_tiny() {
    local code=$1
    shift
    tiny "$@"
    LIB_FRAME=1 expect_exit "$code" "${TINY_RUN[@]}"
}

# The disk changes only in calls of the system, so a kill between two of them leaves what a kill at the second one
# leaves: to strike at the n-th call is to strike at any moment, at the same one on a fast machine and on a busy one.
# A write that is struck by a kill is half done.
make_strike() {
    command -v cc > /dev/null || skip "needs a C compiler"
    cat > strike.c << 'C'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

static long count, when = -1;
static int number;

/* 1: this call is the one, and the process is to be killed in it. Other signals are sent here. */
static int struck(void) {
    if (when < 0) {
        const char *at = getenv("STRIKE_AT"), *with = getenv("STRIKE_SIGNAL");
        when = at ? atol(at) : 0;
        number = with ? atoi(with) : SIGKILL;
    }
    if (++count != when) return 0;
    if (number == SIGKILL) return 1;
    kill(getpid(), number);
    return 0;
}
static void end(void) { kill(getpid(), SIGKILL); }

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define PLAIN(name, formal, actual)                                                                          \
    int name formal {                                                                                        \
        if (struck()) end();                                                                                 \
        return NEXT(name) actual;                                                                            \
    }
#define WRITE(name, formal, half, actual)                                                                    \
    ssize_t name formal {                                                                                    \
        if (fd > 2 && struck()) NEXT(name) half, end();                                                      \
        return NEXT(name) actual;                                                                            \
    }
PLAIN(fsync, (int fd), (fd))
PLAIN(fdatasync, (int fd), (fd))
PLAIN(fflush, (FILE *f), (f))
PLAIN(rename, (const char *a, const char *b), (a, b))
PLAIN(renameat2, (int i, const char *a, int j, const char *b, unsigned how), (i, a, j, b, how))
PLAIN(unlink, (const char *a), (a))
PLAIN(rmdir, (const char *a), (a))
PLAIN(mkdir, (const char *a, mode_t m), (a, m))
PLAIN(ftruncate, (int fd, off_t n), (fd, n))
PLAIN(ftruncate64, (int fd, off64_t n), (fd, n))
WRITE(write, (int fd, const void *at, size_t n), (fd, at, n / 2), (fd, at, n))
WRITE(pwrite, (int fd, const void *at, size_t n, off_t to), (fd, at, n / 2, to), (fd, at, n, to))
WRITE(pwrite64, (int fd, const void *at, size_t n, off64_t to), (fd, at, n / 2, to), (fd, at, n, to))

__attribute__((destructor)) static void tell(void) {
    const char *path = getenv("STRIKE_COUNT");
    FILE *out = path ? fopen(path, "w") : NULL;
    if (out) fprintf(out, "%ld\n", count), fclose(out);
}
C
    cc -std=gnu17 -O1 -shared -fPIC -o strike.so strike.c -ldl
    local asan=${ASAN_OPTIONS:-}
    STRIKE=(env "LD_PRELOAD=$WORK/strike.so" "ASAN_OPTIONS=${asan:+$asan:}verify_asan_link_order=0")
}
# strike_tiny CODE AT SIGNAL OUT ARGS...: runs it and strikes at call number AT. AT 0: never, the calls are counted
# into the file calls.
strike_tiny() {
    local code=$1 at=$2 signal=$3
    shift 3
    tiny "$@"
    { # without the line that bash writes about a process that was killed
        LIB_FRAME=1 expect_exit "$code" "${STRIKE[@]}" "STRIKE_AT=$at" "STRIKE_SIGNAL=$signal" \
            "STRIKE_COUNT=$WORK/calls" "${TINY_RUN[@]}"
    } 2> >(grep -v ' Killed  ' >&2)
}

# position_of RUN: "PHASE iteration wave update checkpoint", and whether run.db is sound.
position_of() {
    python3 - "$1" << 'PYTHON'
import sqlite3, sys
db = sqlite3.connect(f'{sys.argv[1]}/run.db')
sound = db.execute('PRAGMA integrity_check').fetchone()[0]
assert sound == 'ok', sound
tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
at = db.execute('SELECT phase, iteration, wave, step, checkpoint FROM position').fetchone() if tables else None
at = at or (0, 0, 0, 0, '')
print(('sft', 'search', 'learn', 'evaluate', 'done')[at[0]], *at[1:4], at[4] or '-')
PYTHON
}

# count RUN SQL: the one number that a query gives.
count() {
    python3 -c 'import sqlite3, sys; print(sqlite3.connect(f"{sys.argv[1]}/run.db").execute(sys.argv[2]).fetchone()[0])' "$1" "$2"
}

# dump RUN: every row of every table but those of times, as SQL; without what depends on the folder and on stops: the sum of
# recipe.yaml, which names the folder, the sums of tables, and how often the position was set.
dump() {
    python3 - "$1" << 'PYTHON'
import re, sqlite3, sys
for line in sqlite3.connect(f'{sys.argv[1]}/run.db').iterdump():
    if line.startswith('INSERT INTO "position"'): line = re.sub(r',\d+\);$', ');', line)
    if not re.match(r'INSERT INTO "(metrics|events|sums)"|INSERT INTO "files" VALUES\(.recipe\.yaml', line): print(line)
PYTHON
}

# same_runs RUN RUN: the same bits in all checkpoints, all rows and the pairs.
same_runs() {
    local run n=0
    diff -r "$1/checkpoints" "$2/checkpoints" || LIB_FRAME=1 fail "the checkpoints of $1 and $2 differ"
    for run in "$1" "$2"; do
        n=$((n + 1))
        dump "$run" > "$WORK/dump-$n"
        expect_exit 0 "$ESPALIER" pairs "$run" --format native
        mv "$WORK/out" "$WORK/pairs-$n"
        [ -s "$WORK/pairs-$n" ] || LIB_FRAME=1 fail "$run has no pairs"
    done
    cmp "$WORK/dump-1" "$WORK/dump-2" || LIB_FRAME=1 fail "the rows of $1 and $2 differ"
    cmp "$WORK/pairs-1" "$WORK/pairs-2" || LIB_FRAME=1 fail "the pairs of $1 and $2 differ"
}
