#!/bin/bash
# espalier show: trees of a real run by number and by name, as JSON equal to the database, on terminals of any width;
# what a model or a data set wrote cannot command the terminal.
. "$(dirname "$0")/../lib.sh"
. "$ESPALIER_SOURCE_DIR/tests/e2e/run.bash"

run_tiny 0 run --set eval.limit=4
expect_exit 0 "$ESPALIER" show run
[ "$(grep -cE '^ +[0-9]+ ' out)" = 16 ] || fail "not one line per tree"
[ "$(awk 'NR == 2 { print $3 }' out)" = 2 ] || fail "the newest iteration is not first"
problem=$(awk 'NR == 2 { print $1 }' out) name=$(awk 'NR == 2 { print $2 }' out)
expect_exit 0 "$ESPALIER" show run "$problem"
cp out by-number
expect_in out '^problem '"$problem $name"', iteration 2: the committed path is '
expect_in out ' N +Q +C$'
expect_exit 0 "$ESPALIER" show run "$name"
expect_same out by-number
expect_exit 0 "$ESPALIER" show run --iteration 1
expect_in out '^espalier show run [0-9]+   # draws one'
expect_exit 1 "$ESPALIER" show run no-such-problem
expect_in err 'there is no tree of problem "no-such-problem"'
expect_exit 1 "$ESPALIER" show run --iteration 9
expect_in err 'no trees in that iteration'
expect_exit 1 "$ESPALIER" show nowhere
expect_absent nowhere
expect_exit 2 "$ESPALIER" show

# JSON: what the database holds.
expect_exit 0 "$ESPALIER" show run --json
cp out list.json
expect_exit 0 "$ESPALIER" show run "$problem" --json
python3 - "$problem" << 'PYTHON' || fail "the JSON is not what the database holds"
import json, sqlite3, sys
db = sqlite3.connect('run/run.db')
listed, tree = json.load(open('list.json')), json.load(open('out'))
assert len(listed['trees']) == 16 and [t['iteration'] for t in listed['trees']] == [2] * 8 + [1] * 8
for t in listed['trees']:
    one = lambda sql: db.execute(sql, (t['tree'],)).fetchone()[0]
    assert t['nodes'] == one('SELECT count(*) FROM nodes WHERE tree = ?')
    assert t['pairs'] == one('SELECT count(*) FROM pairs WHERE tree = ?')
rows = db.execute('SELECT node, parent, visits, q, text FROM nodes WHERE tree = ? ORDER BY node', (tree['tree'],)).fetchall()
assert [(n['node'], n['parent'], n['N'], n['Q'], n['text']) for n in tree['nodes']] == rows
assert tree['problem'] == int(sys.argv[1]) and tree['iteration'] == 2
pairs = db.execute('SELECT state, chosen, rejected FROM pairs WHERE tree = ? ORDER BY pair', (tree['tree'],)).fetchall()
assert [(p['state'], p['chosen'], p['rejected']) for p in tree['pairs']] == pairs
PYTHON

# Hostile strings: nothing below a space but line ends reaches a file; on a terminal only our own colours do.
python3 - "$problem" << 'PYTHON'
import sqlite3, sys
db = sqlite3.connect('run/run.db')
evil = '\x1b[2J\x1b]52;c;QQ==\x07\r\x08\u202e\u009b31m"<script>' + '\u0301' * 500 + 'שלום'
db.execute('UPDATE problems SET question = ?, name = ?', (evil + 'q' * 1000000, evil))
db.execute("UPDATE problems SET answer = CAST(x'ff1bfe' AS TEXT)")
db.execute('UPDATE nodes SET text = ? WHERE node % 2 = 1', (evil,))
db.execute('UPDATE nodes SET text = ? WHERE node = 2', ('漢' * 400000,))
db.commit()
PYTHON
for options in "" "--all" "$problem" "$problem --all" "$problem --json" "--json"; do
    # shellcheck disable=SC2086
    expect_exit 0 "$ESPALIER" show run $options
    if LC_ALL=C grep -nP '[\x00-\x08\x0b-\x1f\x7f]' out | head -c 300 | grep -a .; then fail "show run $options: control characters"; fi
    python3 -c 'open("out", encoding="utf-8").read()' || fail "show run $options: not UTF-8"
done
cat > terminal.py << 'PYTHON'
import fcntl, os, pty, re, struct, sys, termios, unicodedata
width, words = int(sys.argv[1]), sys.argv[2:]
pid, fd = pty.fork()
if pid == 0:
    os.execvpe(words[0], words, {**os.environ, 'TERM': 'xterm-256color', 'COLUMNS': str(width)})
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', 40, width, 0, 0))
seen = b''
while True:
    try: piece = os.read(fd, 65536)
    except OSError: break
    if not piece: break
    seen += piece
assert os.waitpid(pid, 0)[1] == 0, seen[-500:]
text = re.sub('\x1b\\[[0-9;]*m', '', seen.decode())
assert '\x1b[' in seen.decode(), 'no colours on a terminal'
for line in text.replace('\r\n', '\n').split('\n'):
    assert all(c >= ' ' and not '\x7f' <= c <= '\x9f' for c in line), repr(line[:200])
    columns = sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in 'WF' else 1 for c in line)
    assert columns <= width, (columns, line)
PYTHON
for width in 60 80 120; do
    LC_ALL=C.UTF-8 python3 terminal.py $width "$ESPALIER" show run "$problem" || fail "a tree at $width columns"
    LC_ALL=C.UTF-8 python3 terminal.py $width "$ESPALIER" show run || fail "the list at $width columns"
done

# The same in messages.
expect_exit 1 "$ESPALIER" show "$(printf 'no\033[2Jwhere')"
expect_not_in err "$(printf '\033')"
expect_exit 2 "$ESPALIER" "$(printf 'ru\033n')"
expect_not_in err "$(printf '\033')"
