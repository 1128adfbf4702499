"""A grader for tests: correct where the last whole number of the answer is the gold answer's. What else it does is the
answer's affair: a word in it makes it hang, die, break the rules, flood or take memory. $ASKED: a file that notes each question."""
import json
import os
import random
import sys
import time


def answer(question):
    text = question["answer"]
    note = os.environ.get("ASKED")
    if note:
        with open(note, "a") as out:
            out.write(json.dumps([question.get("problem"), text]) + "\n")
    if "HANG" in text:
        time.sleep(1000)
    if "DIE" in text:
        sys.exit("the grader does not like this answer")
    if "SLOW" in text:
        time.sleep(0.2)
    if "MEMORY" in text:
        hog = bytearray(1 << 30)
        hog[::4096] = b"x" * len(hog[::4096])
    if "SILENT" in text:
        return None
    if "NOJSON" in text:
        return "this is no JSON"
    if "WRONGID" in text:
        return json.dumps({"id": 10**9, "correct": True})
    if "TWICE" in text:
        line = json.dumps({"id": question["id"], "correct": True})
        return line + "\n" + line
    if "FLOOD" in text:
        while True:
            print('{"id": %d, "correct": true}' % random.randrange(10**6, 10**7))
    if "ENDLESS" in text:
        while True:
            sys.stdout.write("y" * 65536)
    if "NOISE" in text:
        while True:
            os.write(2, b"noise " * 10000)
    if "UNKNOWN" in text:
        return json.dumps({"id": question["id"], "correct": None, "reason": "nobody knows"})
    if "REWARD" in text:
        return json.dumps({"id": question["id"], "reward": float(text.split()[-1])})
    numbers = [word.strip(".") for word in text.split() if word.strip(".").lstrip("-").isdigit()]
    correct = bool(numbers) and numbers[-1] == str(question["gold"])
    return json.dumps({"id": question["id"], "correct": correct, "reason": "compared the last number"})


def main():
    shuffled = "--shuffle" in sys.argv
    waiting = []
    for line in sys.stdin:
        waiting.append(json.loads(line))
        if shuffled and len(waiting) < 4 and "END" not in line:
            continue
        random.Random(len(waiting)).shuffle(waiting)
        for question in waiting:
            out = answer(question)
            if out is not None:
                print(out, flush=True)
        waiting = []


main()
