"""TRL: GRPO's loss on a batch that Espalier learned from. usage: trl_grpo.py [ESPALIER] [OUT_DIR]

Espalier searches 32 generated problems (8 solutions each) and takes one update with all of them (run `one`), and two (run
`two`, which begins with the same bits). The loss of the first update is that of the policy that sampled, the loss of the
second that of the policy after the first, whose ratios are no longer 1. TRL's GRPOTrainer computes both from the same
tokens, rewards and log-probs, which are in run.db. Prints one JSON line for each; exit status 1 where they differ by more than
1e-5.
"""

import json, os, sqlite3, struct, subprocess, sys, tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast
from trl import GRPOConfig, GRPOTrainer

here = os.path.dirname(os.path.abspath(__file__))
root = os.path.dirname(os.path.dirname(here))
a = sys.argv[1:] + [None] * 2
espalier, out = a[0] or root + "/build/espalier", a[1] or tempfile.mkdtemp()
GROUP = 8


def espalier_run(name, epochs):
    keys = {
        "search.preset": "grpo", "learn.preset": "grpo", "search.root_probe": GROUP, "self_eval.enabled": "false",
        "run.iterations": 1, "run.problems_per_iteration": 32, "model.dtype": "f32", "eval.limit": 1,
        "eval.compare_k": 0, "eval.compare_search": "off", "learn.batch": 100000, "learn.epochs": epochs,
        "learn.lr": "1e-3", "learn.schedule": "constant", "learn.warmup": 0,
    }
    command = [espalier, "run", "recipes/quickstart.yaml", "--out", f"{out}/{name}"]
    for key, value in keys.items():
        command += ["--set", f"{key}={value}"]
    subprocess.run(command, cwd=root, check=True, capture_output=True)
    return f"{out}/{name}"


def numbers(blob, kind):
    return list(struct.unpack(f"<{len(blob) // 4}{kind}", blob))


def read_groups(db):
    """(prompt, completion, log-probs, reward) of each sampled chain, by tree."""
    for tree, prompt in db.execute("SELECT tree, prompt_ids FROM trees ORDER BY tree"):
        rows = db.execute(
            "SELECT node, parent, ids, logprobs, outcome, flags FROM nodes WHERE tree = ? ORDER BY node", (tree,)
        ).fetchall()
        chains, group = {0: ([], [])}, []
        for node, parent, ids, logprobs, outcome, flags in rows[1:]:
            above = chains[parent]
            chains[node] = (above[0] + numbers(ids, "i"), above[1] + numbers(logprobs, "f"))
            if flags & 3:  # finished or cut
                group += [(numbers(prompt, "i"), *chains[node], outcome)] * (flags >> 8)
        assert len(group) == GROUP, (tree, len(group))
        yield group


def batch_of(groups):
    """TRL's inputs: prompts padded on the left, completions on the right. Groups of one outcome are left out, as Espalier
    does; TRL would keep them with an advantage of 0."""
    kept = [g for g in groups if len({chain[3] for chain in g}) > 1]
    rewards = torch.tensor([[chain[3] for chain in g] for g in kept], dtype=torch.float64)
    advantages = (rewards - rewards.mean(1, keepdim=True)) / (rewards.std(1, keepdim=True) + 1e-4)
    chains = [chain for g in kept for chain in g]
    before, after = max(len(c[0]) for c in chains), max(len(c[1]) for c in chains)
    pad = lambda rows, width, left, fill: torch.tensor(
        [[fill] * ((width - len(r)) * left) + r + [fill] * ((width - len(r)) * (not left)) for r in rows]
    )
    prompts, completions = [c[0] for c in chains], [c[1] for c in chains]
    mask = pad([[1] * len(c) for c in completions], after, False, 0)
    return dict(
        prompt_ids=pad(prompts, before, True, 0),
        prompt_mask=pad([[1] * len(p) for p in prompts], before, True, 0),
        completion_ids=pad(completions, after, False, 0),
        completion_mask=mask,
        advantages=advantages.reshape(-1).float(),
        old_per_token_logps=pad([c[2] for c in chains], after, False, 0.0),
        num_items_in_batch=mask.sum(),
    )


def trl_loss(folder, batch):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=f"{root}/data/arith/policy/tokenizer.json", pad_token="<eos>")
    config = GRPOConfig(
        output_dir=out + "/trl", per_device_train_batch_size=GROUP, num_generations=GROUP, beta=0.0, epsilon=0.2,
        epsilon_high=0.28, loss_type="dapo", temperature=1.0, use_cpu=True, bf16=False, report_to=[],
    )
    trainer = GRPOTrainer(
        model=model, args=config, processing_class=tokenizer, reward_funcs=lambda completions, **_: [0.0] * len(completions),
        train_dataset=Dataset.from_list([{"prompt": "x"}] * GROUP),
    )
    trainer.model.eval()
    with torch.no_grad():
        loss = trainer._compute_loss(trainer.model, batch).item()
    metrics = trainer._metrics["eval"]
    return loss, metrics["clip_ratio/region_mean"][-1]


one, two = espalier_run("one", 1), espalier_run("two", 2)
db = sqlite3.connect(two + "/run.db")
batch = batch_of(list(read_groups(db)))
worst = 0
for update, folder in (1, root + "/data/arith/policy"), (2, one + "/checkpoints/iteration-1"):
    (ours,) = db.execute("SELECT loss FROM updates WHERE phase = 'learn' AND step = ?", (update,)).fetchone()
    clipped = db.execute(
        "SELECT value FROM update_metrics WHERE phase = 'learn' AND step = ? AND name = 'clipped'", (update,)
    ).fetchone()[0]
    theirs, their_clipped = trl_loss(folder, batch)
    worst = max(worst, abs(ours - theirs))
    print(json.dumps(dict(peer="TRL GRPO loss", update=update, chains=len(batch["advantages"]),
                          tokens=int(batch["completion_mask"].sum()), espalier=ours, trl=theirs, difference=ours - theirs,
                          clipped=clipped, trl_clipped=their_clipped)))
sys.exit(worst > 1e-5)
