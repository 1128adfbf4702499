#!/bin/bash
# The manual page has every verb, option and recipe key, and troff takes it without a warning.
. "$(dirname "$0")/../lib.sh"
need_program

expect_exit 0 "$ESPALIER" help --man
sed 's/\\-/-/g' out > page
for verb in $("$ESPALIER" --help | sed -n 's/^  \([a-z]*\) .*/\1/p'); do
    expect_in page "^\.SS espalier $verb "
    for flag in $("$ESPALIER" "$verb" --help | sed -n '/^Options/,/^Recipe keys/s/^  \(--[a-z-]*\).*/\1/p'); do
        expect_in page "^\\\\fB$flag\\\\fR"
    done
done
"$ESPALIER" run --help | sed -n 's/^  \(--[a-z0-9-]*, \)\{0,1\}\([a-z_]*\.[a-z0-9_]*\)$/\2/p' > keys
[ "$(wc -l < keys)" -gt 90 ] || fail "only $(wc -l < keys) keys were found"
while read -r key; do
    expect_in page "^\\\\fB$key\\\\fR"
done < keys
expect_in page 'default 0\.1\.'

expect_exit 0 "$ESPALIER" help show
expect_in out '^espalier show '
expect_exit 2 "$ESPALIER" help shwo
expect_in err 'did you mean show'

if command -v groff > /dev/null; then
    "$ESPALIER" help --man > espalier.1
    groff -man -Tutf8 -ww -z espalier.1 2> warnings || fail "groff fails"
    [ -s warnings ] && fail "groff warns: $(head -3 warnings)"
    groff -man -Tascii -P-cbou espalier.1 > shown
    expect_in shown 'search\.simulations, --simulations'
    expect_in shown '^ +espalier show \[options\] RUN \[PROBLEM\]'
else
    [ -z "${CI:-}" ] || fail "groff is absent in CI; run tools/deps test"
    echo "groff is absent: the page is not rendered" >&2
fi
exit 0
