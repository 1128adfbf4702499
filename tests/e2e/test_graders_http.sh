#!/bin/bash
# timeout: 120
# Graders that are servers: good ones, busy ones, and those that answer what is no answer.
. "$(dirname "$0")/../lib.sh"
need_program
cat > server.py << 'PYTHON'
import http.server, json, threading, time
asked, lock, now, most = {}, threading.Lock(), 0, 0

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *arguments):
        pass
    def reply(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_POST(self):
        global now, most
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = question["answer"]
        with lock:
            asked[text] = asked.get(text, 0) + 1
            now += 1
            most = max(most, now)
        time.sleep(0.05)
        if self.headers["Content-Type"] != "application/json" or "id" in question:
            self.reply(400, b"not like this")
        elif self.path == "/html":
            self.reply(200, b"<html>hello\nthere</html>")
        elif self.path == "/missing":
            self.reply(404, b"no such grader")
        elif self.path == "/large":
            self.reply(200, b" " * (2 << 20))
        elif "BUSY" in text and asked[text] < 3:
            self.reply(503, b"later")
        elif "SLOW" in text or self.path == "/silent":
            time.sleep(5)
            self.reply(200, b"{}")
        elif "count" in text:
            self.reply(200, json.dumps({"correct": True, "reason": f"most {most}"}).encode())
        else:
            self.reply(200, json.dumps({"correct": text.endswith(str(question["gold"])), "reason": question["problem"]}).encode())
        with lock:
            now -= 1

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
open("port.new", "w").write(str(server.server_port))
import os
os.rename("port.new", "port")
server.handle_error = lambda *what: None
server.serve_forever()
PYTHON
python3 server.py &
server=$!
trap 'status=$?; kill $server 2> /dev/null; lib_cleanup $status' EXIT
for _ in $(seq 100); do if [ -e port ]; then break; fi; sleep 0.05; done
url=http://127.0.0.1:$(cat port)

# grader PATH KEYS...
grader() {
    printf 'extends: gsm8k\ngrader: http\ngrader_url: %s\n' "$1" > task.yaml
    shift
    printf '%s\n' "$@" >> task.yaml
}
rows() { for answer in "$@"; do printf '{"id": "row", "question": "2 + 2?", "answer": "%s", "gold": 4}\n' "$answer"; done > rows.jsonl; }
verdicts() { python3 -c 'import json; print("".join(json.loads(line)["verdict"][0] for line in open("out")))'; }
grade() { LIB_FRAME=1 expect_exit "$1" "$ESPALIER" grade --task task.yaml rows.jsonl; }

grader "$url/grade"
rows 'It is 4' 'It is 5' '4'
grade 0
[ "$(verdicts)" = ede ] || fail "verdicts $(verdicts)"
expect_in out '"reason":"row"'

# Many at once, no more than asked for, in order.
answers=()
for i in $(seq 60); do answers+=("$i is $((i % 5))"); done
rows "${answers[@]}" 'count'
grader "$url/grade" 'grader_workers: 8'
grade 0
[ "$(verdicts)" = "$(python3 -c 'print("".join("e" if i % 5 == 4 else "d" for i in range(1, 61)) + "e")')" ] || fail "verdicts $(verdicts)"
most=$(sed -n 's/.*"most \([0-9]*\)".*/\1/p' out)
if [ "$most" -lt 3 ] || [ "$most" -gt 8 ]; then fail "$most requests were under way at once"; fi

# A busy server is asked again; a slow one is not waited for.
rows 'BUSY 4' 'It is 4'
grader "$url/grade"
grade 0
[ "$(verdicts)" = ee ] || fail "verdicts $(verdicts)"
rows 'It is 4' 'SLOW' 'It is 4'
grader "$url/grade" 'grader_seconds: 0.4'
grade 0
[ "$(verdicts)" = eue ] || fail "verdicts $(verdicts)"
expect_in out 'the grader gave no answer within 0.4 s'

# One that takes questions and answers none: an error, after a few of them.
answers=()
for i in $(seq 40); do answers+=("$i is 4"); done
rows "${answers[@]}"
grader "$url/silent" 'grader_seconds: 0.3' 'grader_workers: 2'
grade 1
expect_in err "the grader at $url/silent gave no answer within 0.3 s, to 3 questions in a row"
# One that did answer is given more time: the others of its questions count.
rows 'It is 4' 'SLOW 1' 'SLOW 2' 'SLOW 3' 'SLOW 5' 'It is 4'
grader "$url/grade" 'grader_seconds: 0.3' 'grader_workers: 1'
grade 0
[ "$(verdicts)" = euuuue ] || fail "verdicts $(verdicts)"
grader "$url/grade" 'grader_seconds: 0.3' 'grader_workers: 1' 'grader_restarts: 4'
grade 1
expect_in err 'to 4 questions in a row'

# What is no answer: an error with the address and the beginning of what came.
rows 'It is 4'
refuses() {
    grader "$1" 'grader_restarts: 2'
    LIB_FRAME=1 grade 1
    expect_in err "$2"
    expect_in err "$1"
}
refuses "$url/missing" 'answered with status 404: no such grader'
refuses "$url/html" 'answered what is no JSON: <html>hello there</html>'
refuses "$url/large" 'answered with more than a megabyte'
refuses http://127.0.0.1:1/x 'cannot be asked: .*127.0.0.1'
refuses ftp://127.0.0.1/x 'is no address of a server'
refuses http://no-such-host.invalid/x 'cannot be asked: .*no-such-host.invalid'
printf 'extends: gsm8k\ngrader: http\n' > task.yaml
grade 2
expect_in err 'task.grader is http, and no address is named'
