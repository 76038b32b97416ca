"""The reference for "no worse": a plain training loop with the same encoder and budget as `clue train`.

    python tests/benchmarks/reference_loop.py tnews --data tnews_public.zip [--encoder DIR] [--scratch] [--epochs 2] ...
    python tests/benchmarks/reference_loop.py cluener --data cluener_public.zip

Encoder, mean pooling and a linear layer (cluener: a linear layer a token, BIO tags, softmax), AdamW, linear warm-up and
decay, clipping, random batches; no other trick. Length, batch, epochs and rate are those of clue's recipe unless given.
Only the reading of rows is shared with clue. Prints the dev figure by epoch (accuracy, or micro F1 over exact spans).
"""

from __future__ import annotations

import argparse
import random
import time
from contextlib import nullcontext
from typing import Any

import torch
import transformers
from common import cores, quiet_transformers, show_machine
from torch.nn import functional as F
from torch.optim.lr_scheduler import LambdaLR
from transformers import AutoConfig, AutoTokenizer

from clue_cli.contract import Tally
from clue_cli.encoders.location import resolve
from clue_cli.registry import find_task
from clue_cli.sources import locate


class Plain(torch.nn.Module):
    """Encoder and one linear layer, over the mean of the tokens or over each token."""

    def __init__(self, encoder: Any, outputs: int, pooled: bool, dropout: float) -> None:
        super().__init__()
        self.encoder, self.pooled = encoder, pooled
        self.dropout = torch.nn.Dropout(dropout)
        self.linear = torch.nn.Linear(encoder.config.hidden_size, outputs)

    def forward(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        last = self.encoder(**inputs).last_hidden_state
        if self.pooled:
            mask = inputs["attention_mask"].unsqueeze(-1)
            last = (last * mask).sum(1) / mask.sum(1)
        logits: torch.Tensor = self.linear(self.dropout(last))
        return logits.float()


class Rows:
    """Rows of a split as token ids with their targets: one class, or one BIO tag a token (-100 beside the text)."""

    def __init__(self, task: Any, tokenizer: Any, examples: list[Any], length: int) -> None:
        self.examples, self.tokenizer, self.spans = examples, tokenizer, task.spans
        kinds = {label: number for number, label in enumerate(task.labels)}
        texts = [list(column) for column in zip(*(e.texts for e in examples), strict=True)]
        encoded = tokenizer(*texts, truncation=True, max_length=length, return_offsets_mapping=self.spans)
        self.offsets = encoded.pop("offset_mapping", None)
        self.inputs = [dict(zip(encoded, values, strict=True)) for values in zip(*encoded.values(), strict=True)]
        if self.spans:
            self.targets: list[Any] = [tags(e, o, kinds) for e, o in zip(examples, self.offsets, strict=True)]
        else:
            self.targets = [kinds[e.gold] for e in examples]

    def batch(self, rows: list[int]) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        inputs = self.tokenizer.pad([self.inputs[i] for i in rows], return_tensors="pt")
        targets = [self.targets[i] for i in rows]
        if self.spans:
            width = inputs["input_ids"].shape[1]
            targets = [row + [-100] * (width - len(row)) for row in targets]
        return dict(inputs), torch.tensor(targets)


def tags(example: Any, offsets: list[tuple[int, int]], kinds: dict[str, int]) -> list[int]:
    found = [-100 if start == end else 0 for start, end in offsets]
    for span in example.gold:
        first = True
        for position, (start, end) in enumerate(offsets):
            if start < end and start >= span.start and end <= span.end:
                found[position] = 2 * kinds[span.type] + (1 if first else 2)
                first = False
    return found


def spans(path: list[int], offsets: list[tuple[int, int]], labels: tuple[str, ...]) -> set[tuple[int, int, str]]:
    """Entities of a row of tags; an I that continues nothing is left out."""
    found: list[list[Any]] = []
    before = 0
    for tag, (start, end) in zip(path, offsets, strict=False):
        tag = 0 if start == end else tag
        if tag % 2 == 1:
            found.append([start, end, labels[tag // 2]])
        elif tag and before in (tag, tag - 1):
            found[-1][1] = end
        else:
            tag = 0
        before = tag
    return {(start, end, kind) for start, end, kind in found}


@torch.no_grad()
def dev_figure(model: Plain, rows: Rows, labels: tuple[str, ...], context: Any) -> float:
    """Accuracy, or micro F1 over exact spans, in per cent."""
    model.eval()
    right = predicted = gold = 0
    order = sorted(range(len(rows.examples)), key=lambda i: len(rows.inputs[i]["input_ids"]))
    for start in range(0, len(order), 64):
        part = order[start : start + 64]
        inputs, targets = rows.batch(part)
        with context:
            best = model(inputs).argmax(-1)
        if not rows.spans:
            right += int((best == targets).sum())
            continue
        for i, path in zip(part, best.tolist(), strict=True):
            ours = spans(path, rows.offsets[i], labels)
            truth = {(s.start, s.end, s.type) for s in rows.examples[i].gold}
            right, predicted, gold = right + len(ours & truth), predicted + len(ours), gold + len(truth)
    model.train()
    return 100 * (2 * right / max(predicted + gold, 1) if rows.spans else right / len(order))


def train(model: Plain, train_rows: Rows, dev_rows: Rows, labels: tuple[str, ...], options: argparse.Namespace) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.learning_rate, weight_decay=0.01)
    size, count = options.batch_size, len(train_rows.examples)
    steps = -(-count // size) * options.epochs
    rising = max(round(0.1 * steps), 1)
    schedule = LambdaLR(optimizer, lambda step: min(step / rising, (steps - step) / max(steps - rising, 1)))
    context = torch.autocast("cpu", torch.bfloat16) if options.bf16 else nullcontext()
    order, seconds = list(range(count)), 0.0
    for epoch in range(1, options.epochs + 1):
        random.shuffle(order)
        begun, total = time.perf_counter(), 0.0
        for start in range(0, count, size):
            inputs, targets = train_rows.batch(order[start : start + size])
            with context:
                logits = model(inputs)
            loss: Any = F.cross_entropy(logits.flatten(0, -2), targets.flatten())
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total += loss.item() * len(targets)
        seconds += time.perf_counter() - begun
        figure = dev_figure(model, dev_rows, labels, context)
        line = f"loss {total / count:.4f}, dev {figure:.2f}, {seconds:.0f} s of training"
        print(f"epoch {epoch}/{options.epochs}: {line}", flush=True)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("task")
    parser.add_argument("--data", help="directory or official zip; default: the shipped sample")
    parser.add_argument("--encoder")
    parser.add_argument("--scratch", action="store_true", help="random weights of the same shape")
    parser.add_argument("--size", default="small", help="encoder size whose recipe gives the defaults")
    parser.add_argument("--head", help="the head whose recipe gives the defaults")
    for name, kind in (("epochs", int), ("batch-size", int), ("max-length", int), ("learning-rate", float)):
        parser.add_argument(f"--{name}", type=kind)
    parser.add_argument("--dropout", type=float, default=0.1, help="before the linear layer; the encoder keeps its own")
    parser.add_argument("--bf16", action="store_true", help="autocast")
    parser.add_argument("--limit", type=int, help="rows of train")
    parser.add_argument("--eval-limit", type=int, help="rows of dev")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=cores())
    return parser.parse_args()


def main() -> None:
    options = parsed()
    task = find_task(options.task)
    head = options.head or ("softmax" if "softmax" in task.heads else task.default_head)
    recipe, _ = task.recipe_for(head, options.size)
    for name in ("epochs", "batch_size", "max_length", "learning_rate"):
        if getattr(options, name) is None:
            setattr(options, name, getattr(recipe, name))
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    random.seed(options.seed)
    quiet_transformers()
    source, sample = locate(task.name, options.data, hub=task.hub)
    directory = str(resolve(options.encoder).fetch())
    tokenizer = AutoTokenizer.from_pretrained(directory)
    read = {split: list(task.read(source, split, Tally())) for split in ("train", "dev")}
    random.shuffle(read["train"])
    rows = {
        split: Rows(task, tokenizer, read[split][:limit], options.max_length)
        for split, limit in (("train", options.limit), ("dev", options.eval_limit))
    }
    auto: Any = transformers.AutoModel
    if options.scratch:
        encoder = auto.from_config(AutoConfig.from_pretrained(directory), dtype=torch.float32)
    else:
        encoder = auto.from_pretrained(directory, dtype=torch.float32)
    outputs = 2 * len(task.labels) + 1 if task.spans else len(task.labels)
    show_machine(f"{options.threads} threads, {'bf16 autocast' if options.bf16 else 'float32'}")
    shown = f"batch {options.batch_size}, length {options.max_length}, rate {options.learning_rate:g}"
    data, weights = " (shipped sample)" if sample else "", "random weights" if options.scratch else "pretrained"
    print(f"plain loop: {task.name}{data}, {options.encoder or 'mini-zh'} ({weights}), {shown}, seed {options.seed}")
    train(Plain(encoder, outputs, not task.spans, options.dropout), rows["train"], rows["dev"], task.labels, options)


if __name__ == "__main__":
    main()
