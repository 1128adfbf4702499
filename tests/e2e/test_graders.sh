#!/bin/bash
# timeout: 300
# Graders that are programs, by `espalier grade`: good ones, and all the ways of not being one. Every question gets a verdict
# or the run one clear error, and no process is left behind.
. "$(dirname "$0")/../lib.sh"
need_program
cp "$ESPALIER_SOURCE_DIR/tests/e2e/graders/grader.py" .

# grader KEYS... : the task file task.yaml with these keys besides.
grader() {
    printf 'extends: gsm8k\nunknown: skip\ngrader: command\n' > task.yaml
    printf '%s\n' "$@" >> task.yaml
}
# rows ANSWER...: rows.jsonl, gold 4 each.
rows() {
    for answer in "$@"; do printf '{"question": "2 + 2?", "answer": "%s", "gold": 4, "extra": [1]}\n' "$answer"; done > rows.jsonl
}
# verdicts: what came, a letter for each row: e equal, d different, u unknown.
verdicts() { python3 -c 'import json, sys; print("".join(json.loads(line)["verdict"][0] for line in open(sys.argv[1])))' "${1:-out}"; }
expect_verdicts() {
    [ "$(verdicts)" = "$1" ] || LIB_FRAME=1 fail "verdicts $(verdicts) instead of $1"
}
grade() { expect_exit "$1" "$ESPALIER" grade --task task.yaml rows.jsonl; }
# marked WORD: how many processes have the word in their command line.
marked() { grep -lsaF -f <(printf '%s' "$1") /proc/[0-9]*/cmdline | wc -l; }
# No such process is left; one that was told to end may take a moment.
expect_gone() {
    for _ in $(seq 100); do
        if [ "$(marked "$1")" = 0 ]; then return; fi
        sleep 0.1
    done
    LIB_FRAME=1 fail "$(marked "$1") processes were left behind"
}
mark="espalier-grader-$$" # in the command line of every grader of this test
command="grader_command: [python3, grader.py, $mark]"

# Good ones: the row's fields arrive, in the order of the rows whatever the order of the answers.
grader "$command"
rows 'It is 4' 'It is 5' 'UNKNOWN' 'REWARD 0.25' 'REWARD -1'
grade 0
expect_verdicts edued
expect_in out '"extracted":"4","verdict":"equal","correct":true,"reason":"compared the last number"'
expect_in out '"verdict":"unknown","correct":false,"reason":"nobody knows"'
expect_in out '"reward":0.25'
expect_gone "$mark"

many=() wanted=
for i in $(seq 0 199); do
    many+=("$i: $((i % 5))")
    if [ $((i % 5)) = 4 ]; then wanted+=e; else wanted+=d; fi
done
wanted=${wanted%e}d
many[199]='END 5'
rows "${many[@]}"
for keys in 'grader_in_flight: 1' 'grader_workers: 4' 'grader_in_flight: 64'; do
    grader "$command" "$keys"
    grade 0
    expect_verdicts "$wanted"
done
grader "grader_command: [python3, grader.py, $mark, --shuffle]" 'grader_in_flight: 8'
grade 0
expect_verdicts "$wanted"

# No shell: an argument with its characters is an argument.
cat > args.py << 'PYTHON'
import json, sys
for line in sys.stdin:
    print(json.dumps({"id": json.loads(line)["id"], "correct": sys.argv[1] == "$(touch x); 'a b' *", "reason": sys.argv[1]}), flush=True)
PYTHON
grader "grader_command: [python3, args.py, \"\$(touch x); 'a b' *\"]"
rows 'x'
grade 0
expect_verdicts e
expect_absent x

# Bad answers among good ones: the bad one alone cannot be judged, and it is said why.
for bad in HANG NOISE DIE SILENT NOJSON WRONGID TWICE FLOOD ENDLESS MEMORY; do
    grader "$command" 'grader_seconds: 1.5' 'grader_memory_mb: 512'
    rows 'It is 4' 'It is 3' "$bad" 'It is 4' 'It is 1'
    case $bad in TWICE) wanted=edeed ;; *) wanted=edued ;; esac
    grade 0
    expect_verdicts "$wanted"
    case $bad in
        HANG | NOISE | SILENT) expect_in out '"verdict":"unknown","correct":false,"reason":"the grader gave no answer within 1.5 s"' ;;
        DIE) expect_in out 'the grader ended with status 1; it said: the grader does not like this answer' ;;
        MEMORY) expect_in out 'the grader ended with status 1; it said: MemoryError' ;;
        NOJSON) expect_in out 'the grader wrote what is no JSON: this is no JSON' ;;
        WRONGID) expect_in out 'the grader wrote an answer with id 1000000000, which it was not asked' ;;
        FLOOD) expect_in out 'which it was not asked' ;;
        ENDLESS) expect_in out 'the grader wrote more than a megabyte without an end of line' ;;
    esac
    expect_gone "$mark"
done

# Programs that are no graders at all: one error, soon.
rows 'It is 4' 'It is 3' 'It is 4'
refuses() {
    grader "grader_command: $1"
    LIB_FRAME=1 grade 1
    expect_in err "$2"
}
refuses '[no-such-program-here]' 'task.grader_command: there is no program no-such-program-here'
refuses '[./rows.jsonl]' 'there is no program ./rows.jsonl'
mkdir folder
refuses '[./folder]' 'task.grader_command: there is no program ./folder'
refuses '[/bin/false]' 'the grader /bin/false ended with status 1'
refuses '[sh, -c, "echo broken >&2; exit 3"]' 'ended with status 3; it said: broken'
refuses '[sh, -c, "kill -9 $$"]' 'was ended by signal 9'
refuses '[echo, hello]' 'wrote what is no JSON: hello'
refuses '[yes]' 'wrote what is no JSON: y'
refuses '[cat]' 'wrote neither "correct" nor "reward": .*It is 4'
refuses '[cat, /dev/zero]' 'wrote more than a megabyte without an end of line'
refuses '[sleep, 1000]
grader_seconds: 0.2
grader_start_seconds: 0.1' 'the grader sleep gave no answer within 0.2 s'
rows 'It is 4'
grader 'grader_command: [/bin/false]'
grade 0 # it may be the one answer
expect_verdicts u
rows 'It is 4' 'It is 3' 'It is 4'

printf 'extends: gsm8k\ngrader: command\n' > task.yaml
grade 2
expect_in err 'task.grader is command, and no program is named'
if grep -q -e --set err; then fail "espalier grade has no --set"; fi

# Nothing is left behind when the program is killed: not the grader, not what it has started, whatever it did to get away.
cat > nursery.py << 'PYTHON'
import os, subprocess, sys, time
mark = sys.argv[1]
sleeper = [sys.executable, "-c", "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(1000)", mark]
subprocess.Popen(sleeper)                          # a child
subprocess.Popen(sleeper, start_new_session=True)  # in a session of its own
if os.fork() == 0:                                 # twice forked
    os.setsid()
    if os.fork() == 0: os.execv(sleeper[0], sleeper)
    os._exit(0)
for line in sys.stdin: time.sleep(1000)
PYTHON
grader "grader_command: [python3, nursery.py, $mark]" 'grader_workers: 2' 'grader_in_flight: 1' 'grader_seconds: 100'
for signal in KILL TERM INT; do
    "$ESPALIER" grade --task task.yaml rows.jsonl > out 2> err &
    program=$!
    for _ in $(seq 300); do if [ "$(marked "$mark")" -ge 10 ]; then break; fi; sleep 0.1; done
    [ "$(marked "$mark")" -ge 10 ] || { kill -9 $program; fail "the graders and their children do not run"; }
    kill -$signal $program
    wait $program || true
    expect_gone "$mark"
done
# ... nor when it ends by itself after the grader's time limit.
grader "grader_command: [python3, nursery.py, $mark]" 'grader_seconds: 0.5' 'grader_start_seconds: 2'
rows 'It is 4'
grade 0
expect_verdicts u
expect_gone "$mark"
