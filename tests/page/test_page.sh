#!/usr/bin/env bash
# The report page in a real headless Chromium: pages that the program made of a small run, of the same run with hostile
# strings in every column, of hardly any data and of very much; the pages of curves and of the theory. test_page.py looks at them. timeout: 600
. "$(dirname "$0")/../lib.sh"
HERE=$ESPALIER_SOURCE_DIR/tests/page
PYTHON=
for candidate in python3 /usr/bin/python3; do
    if "$candidate" -c 'import selenium' 2> /dev/null; then PYTHON=$candidate && break; fi
done
[ -n "$PYTHON" ] || skip "needs python3-selenium; run tools/deps page"
command -v chromium > /dev/null && command -v chromedriver > /dev/null || skip "needs chromium and chromium-driver; run tools/deps page"
. "$HERE/../e2e/run.bash"

run_tiny 0 run
expect_exit 0 "$ESPALIER" report run --out page.html
expect_exit 0 "$ESPALIER" report run --out baseline.html --baseline 'The same <b>again</b>'=run

expect_exit 0 "$ESPALIER" theory --html theory.html
expect_exit 0 "$ESPALIER" curves run "<b>again</b>=run" --html curves.html

# Whatever a model may have said, a data set held, or a person named.
cp -r run hostile
python3 - << 'PYTHON'
import sqlite3
hostile = [
    '</script><script>window.struck = 1</script><!--', '<img src=x onerror="window.struck = 2">', '"><svg onload=window.struck=3>',
    "'; window.struck = 4; '", '${window.struck = 5}', 'a\u202eb\u202cc\u2066d\u200ee\u2028f\ufeff', 'bell\a back\b escape\x1b[31m delete\x7f',
    '\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627 12 + 3', '\\(\\frac{1}{2} + x^2\\) costs $5 and \\(\\href{javascript:window.struck=6}{here}\\)',
    '$$\\unknown{$$ $x_1$ \\(\\def\\a{\\a\\a}\\a\\)', '\U0001f469\u200d\U0001f52c' * 40, 'word' * 250000, '', '\n\n\n']
db = sqlite3.connect('hostile/run.db')
for table, column, key in ('nodes', 'text', 'tree * 31 + node'), ('problems', 'question', 'problem'), ('problems', 'name', 'problem + 1'), \
        ('problems', 'answer', 'problem + 2'), ('eval_results', 'text', 'problem'), ('eval_results', 'answer', 'problem + 3'), ('events', 'text', 'id'):
    for i, text in enumerate(hostile):
        text = text if len(text) < 99999 or column == 'text' else text[:99999]
        db.execute(f'UPDATE {table} SET {column} = ? WHERE ({key}) % ? = ?', (text, len(hostile), i))
db.execute("UPDATE nodes SET text = CAST(x'6261642080ff20c3' AS TEXT) WHERE node = 1 AND tree % 3 = 0")
db.commit()
PYTHON
forget_sums hostile
expect_exit 0 "$ESPALIER" report hostile --out hostile.html --baseline '</script><script>window.x()</script>=run'
size=$(stat -c %s hostile.html)
[ "$size" -lt 15000000 ] || fail "a page of $size bytes"

"$PYTHON" "$HERE/test_page.py" "$WORK" || fail "test_page.py, above"
