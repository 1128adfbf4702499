#!/bin/bash
# Completion: what the program offers, and what bash makes of it.
. "$(dirname "$0")/../lib.sh"
need_program

# offers WORDS...: the names that may come next, the last word being typed, on one line.
offers() { "$ESPALIER" help --candidates "$@" | cut -f 1 | tr '\n' ' '; }
# is WANTED WORDS...
is() {
    local wanted=$1
    shift
    [ "$(offers "$@")" = "$wanted" ] || LIB_FRAME=1 fail "after '$*': $(offers "$@")"
}
is "sft search score show status sweep " s
is "run " ru
is "help " he
is "check " help che
is "--man " help --m
is "" nothing ""
is "--resume " run --resu
is "--from " run r.yaml --fro
is "--json " check --j
is "" check --mod
is "bf16 f32 " run --dtype ""
is "f32 " export --dtype f
is "search.rule= " run --set search.rul
is "search.rule=gumbel " run r.yaml --set search.rule=gu
is "run.keep=all run.keep=last run.keep=best " run --set run.keep=
is "" run --set run.seed=
is "" run recipes/
is "" run --out ""
# Every flag that a verb's help names is offered, with its help.
for verb in $("$ESPALIER" --help | sed -n 's/^  \([a-z]*\) .*/\1/p'); do
    "$ESPALIER" help --candidates "$verb" -- > offered
    for flag in $("$ESPALIER" "$verb" --help | sed -n 's/^  \(--[a-z0-9-]*\).*/\1/p' | sort -u); do
        grep -q -- "^$flag"$'\t' offered || fail "espalier $verb: $flag is not offered"
    done
    [ -z "$(cut -f 1 offered | sort | uniq -d)" ] || fail "espalier $verb: offered twice: $(cut -f 1 offered | sort | uniq -d)"
done

# bash: LINE, WANTED.
bash_completes() {
    LINE=$1 bash --norc > shown << 'BASH' || LIB_FRAME=1 fail "bash: $1"
. "$ESPALIER_SOURCE_DIR/tools/completion/espalier.bash"
compopt() { :; }
PATH=$(dirname "$ESPALIER"):$PATH
COMP_LINE=$LINE COMP_POINT=${#LINE}
# As readline splits: at blanks, and at "=" and ":", which are words of their own.
mapfile -t COMP_WORDS < <(sed 's/[=:]/ & /g' <<< "$LINE" | xargs -n 1)
[[ $LINE == *" " ]] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_espalier
echo "${COMPREPLY[*]}"
BASH
    [ "$(cat shown)" = "$2" ] || LIB_FRAME=1 fail "bash completes '$1' with: $(cat shown)"
}
bash_completes "espalier stat" "status"
bash_completes "espalier run --dty" "--dtype"
bash_completes "espalier run --dtype " "bf16 f32"
bash_completes "espalier run r.yaml --set search.rul" "search.rule="
bash_completes "espalier run r.yaml --set search.rule=" "puct gumbel widening"
bash_completes "espalier run r.yaml --set search.rule=gu" "gumbel"
bash_completes "espalier run " ""
