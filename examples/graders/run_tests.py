"""A grader for code: runs the unit tests of a row against the Python code that a model wrote.

A row of the data file has its tests, Python code with assertions, in the field "tests":

    {"question": "Write a function add(a, b).", "answer": "def add(a, b): return a + b", "tests": "assert add(1, 2) == 3"}

The code is the last ```python block of the solution, or all of it where there is none. Each runs in a process of its own with a
time limit. This is no sandbox: run code that you do not trust in a container or on a machine that you can lose.
"""
import json
import re
import subprocess
import sys

SECONDS = 5


def code_of(answer):
    blocks = re.findall(r"```(?:python)?\s*\n(.*?)```", answer, re.S)
    return (blocks[-1] if blocks else answer).strip("\n ")


def judge(question):
    tests = question.get("row", {}).get("tests")
    if not tests:
        return None, "the row has no tests"
    program = code_of(question["answer"]) + "\n\n" + tests
    try:
        run = subprocess.run([sys.executable, "-I", "-c", program], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                             errors="replace", timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return False, f"more than {SECONDS} s"
    if run.returncode == 0:
        return True, "all tests pass"
    lines = run.stderr.strip().splitlines()
    return False, lines[-1] if lines else f"status {run.returncode}"


for line in sys.stdin:
    question = json.loads(line)
    correct, reason = judge(question)
    print(json.dumps({"id": question["id"], "correct": correct, "reason": reason}), flush=True)
