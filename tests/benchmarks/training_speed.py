"""Training: examples a second and loss, `clue` against `transformers.Trainer`, side by side.

    python tests/benchmarks/training_speed.py [--encoder mini-zh|base|DIR] [--data afqmc_public.zip] [--rounds 8]

Sentence pairs of AFQMC (the shipped sample, repeated, without --data), 128 tokens at most, batches of 32, AdamW, the
same rate and schedule. Three sides, each in a process of its own, take turns of a few steps:

    clue             as `clue train afqmc` does it by default: dropout, precision and batches included
    Trainer          DataCollatorWithPadding and its own defaults: float32, random order
    Trainer, tuned   with bf16 and with batches of like length (train_sampling_strategy="group_by_length")

All see the same examples once, in orders of their own; the loss at the end is that on the same held-out rows.
Tokenising is done before the clock starts, on all sides.

On a GPU (`--device cuda`) the peak of each side's memory is shown too, and its share of the card's matrix rate: 6
operations a weight of the encoder and token with content, embeddings left out, against a large bf16 product measured
in the same run.
"""

from __future__ import annotations

import argparse
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from common import (
    Side,
    answer,
    cores,
    encoder_directory,
    quiet_transformers,
    raw_lines,
    repeated,
    set_threads,
    show_machine,
    texts_of,
    workplace,
    write_data,
)

TASK = "afqmc"
OURS = "clue"


def our_side(connection: Connection, plans: list[dict[str, Any]]) -> None:
    """`clue`, one plan after the other: the next one's facts are the answer to the end of the last."""
    for plan in plans:
        our_training(connection, plan)


def our_training(connection: Connection, plan: dict[str, Any]) -> None:
    """The training that `clue train` prepares, a few steps at a time."""
    from clue_cli import console
    from clue_cli.batching import steps_of_epoch
    from clue_cli.registry import find_task
    from clue_cli.runs import TrainRequest, prepare
    from clue_cli.sources import Source

    console.configure(quiet=True)
    task = find_task(TASK)
    options = {"epochs": 1, "batch_size": plan["batch"], "max_length": 128, "learning_rate": plan["rate"]}
    if plan["dropout"] is not None:
        options["dropout"] = plan["dropout"]
    training = prepare(
        TrainRequest(
            task=task,
            source=Source.open(plan["data"]),
            sample=False,
            head=task.default_head,
            metric=task.default_metric,
            options=options,
            encoder=plan["encoder"],
            seed=plan["seed"],
            device=plan["device"],
            precision=plan["precision"],
            output=Path(plan["work"]) / "run",
        )
    )
    table = training.table
    steps = steps_of_epoch(table.lengths, table.units, plan["batch"], seed=plan["seed"], epoch=0)

    def respond(message: Any) -> Any:
        if message == "loss":
            return our_loss(training)
        if message == "memory":
            return gpu_memory()
        begun, examples, tokens = time.perf_counter(), 0, 0
        for _ in range(message):
            done = training.progress.step
            indices = steps[done]
            training.model.train()
            training._step(indices, steps[done + 1] if done + 1 < len(steps) else None)
            training.progress.step += 1
            examples += len(indices)
            tokens += int(table.lengths[indices].sum())
        return time.perf_counter() - begun, examples, tokens

    facts = f"precision {training.model.precision}, dropout {training.recipe.dropout}"
    answer(connection, respond, (facts, training.model.encoder.parameters_without_embeddings))


def gpu_memory() -> int:
    """Bytes that torch held at most on the GPU of this process since the last call."""
    import torch

    peak = int(torch.cuda.max_memory_allocated())
    torch.cuda.reset_peak_memory_stats()
    return peak


def matrix_rate(connection: Connection) -> None:
    """The card's name, and operations a second of bf16 products of 8,192 x 8,192 matrices: the median of 20 after 5."""
    import torch

    a, b = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    events = [(torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)) for _ in range(25)]
    for begin, end in events:
        begin.record()
        a @ b
        end.record()
    torch.cuda.synchronize()
    times = sorted(begin.elapsed_time(end) for begin, end in events[5:])
    facts = torch.cuda.get_device_name(), 2 * 8192**3 / (times[len(times) // 2] / 1000)
    answer(connection, lambda message: None, facts)


def our_loss(training: Any) -> float:
    """Mean cross-entropy on dev, without dropout."""
    import torch

    from clue_cli.contract import Limits, Tally

    model, dev = training.model, training.dev
    limits = Limits(model.limits.max_length, model.limits.overlap)
    features = list(model.task.features(dev, model.text_encoder, limits, Tally(), segments=model.segments))
    model.eval()
    total = weight = 0.0
    with torch.inference_mode():
        for start in range(0, len(features), 32):
            output = model(model.batch(features[start : start + 32]), want_loss=True)
            total, weight = total + float(output.loss_sum), weight + float(output.weight)
    return total / weight


def trainer_side(connection: Connection, plans: list[dict[str, Any]], tuned: bool) -> None:
    """`transformers.Trainer`, as `our_side`."""
    for plan in plans:
        their_training(connection, plan, tuned)


def their_training(connection: Connection, plan: dict[str, Any], tuned: bool) -> None:
    """A callback hands the turn back after as many steps as it was given."""
    import torch
    from datasets import Dataset
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
    )
    from transformers.trainer_callback import PrinterCallback

    from clue_cli.registry import find_task

    quiet_transformers()
    torch.manual_seed(plan["seed"])
    task = find_task(TASK)
    tokenizer = AutoTokenizer.from_pretrained(plan["encoder"])
    model: Any = AutoModelForSequenceClassification.from_pretrained(plan["encoder"], num_labels=len(task.labels))
    if hasattr(model.config, "classifier_pooling"):
        model.config.classifier_pooling = "mean"  # what clue does with this encoder
    sets = {}
    for split in ("train", "dev"):
        rows = texts_of(task, Path(plan["data"]), split)
        texts = [list(column) for column in zip(*(texts for texts, _ in rows), strict=True)]
        encoded = tokenizer(*texts, truncation=True, max_length=128)
        columns = {**encoded, "labels": [task.labels.index(gold) for _, gold in rows]}
        columns["length"] = [len(ids) for ids in columns["input_ids"]]
        sets[split] = Dataset.from_dict(columns)
    collate = DataCollatorWithPadding(tokenizer)
    more: dict[str, Any] = {"bf16": True, "train_sampling_strategy": "group_by_length"} if tuned else {}
    arguments = TrainingArguments(
        output_dir=str(Path(plan["work"]) / f"trainer-{int(tuned)}"),
        per_device_train_batch_size=plan["batch"],
        num_train_epochs=1,
        learning_rate=plan["rate"],
        warmup_steps=plan["warmup_steps"],
        weight_decay=0.01,
        seed=plan["seed"],
        use_cpu=plan["device"] == "cpu",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        **more,
    )
    turns = turn_taker(connection, sets, collate, f"bf16 {arguments.bf16}, {arguments.train_sampling_strategy} order")
    trainer = Trainer(model, arguments, collate, sets["train"], callbacks=[turns])
    trainer.remove_callback(PrinterCallback)
    trainer.train()


def turn_taker(connection: Connection, sets: dict[str, Any], collate: Any, facts: str) -> Any:
    """The callback: waits for its turn, lets so many steps pass, reports the time; answers "loss"; None stops."""
    import torch
    from transformers import TrainerCallback

    class Turns(TrainerCallback):
        left = 0
        given = 0
        begun = 0.0

        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            connection.send(facts)
            self.wait(control, kwargs["model"])

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.left -= 1
            if not self.left:
                if args.device.type == "cuda":
                    torch.cuda.synchronize()
                connection.send((time.perf_counter() - self.begun, self.given * args.per_device_train_batch_size, 0))
                self.wait(control, kwargs["model"])

        def wait(self, control: Any, model: Any) -> None:
            while (message := connection.recv()) in ("loss", "memory"):
                dev = sets["dev"].remove_columns("length")
                connection.send(gpu_memory() if message == "memory" else their_loss(model, dev, collate))
            if message is None:
                control.should_training_stop = True
                return
            self.left = self.given = message
            self.begun = time.perf_counter()

    return Turns()


def their_loss(model: Any, dev: Any, collate: Any) -> float:
    """Mean cross-entropy on dev, without dropout."""
    import torch

    model.eval()
    total = 0.0
    with torch.inference_mode():
        for start in range(0, len(dev), 32):
            rows = list(dev.select(range(start, min(start + 32, len(dev)))))
            batch = {name: value.to(model.device) for name, value in collate(rows).items()}
            total += float(model(**batch).loss) * len(rows)
    model.train()
    return total / len(dev)


def plan_of(options: argparse.Namespace, batch: int, encoder: Path, work: Path) -> tuple[dict[str, Any], bool]:
    """Writes the data for one size of batch; what every side is told."""
    from clue_cli.registry import find_task

    task = find_task(TASK)
    lines, sample = raw_lines(task, options.data, "train")
    dev, _ = raw_lines(task, options.data, "dev")
    steps = options.warmup + options.rounds * options.block
    if not sample:
        import random

        random.Random(options.seed).shuffle(lines)
    data = write_data(work / "data", repeated(lines, steps * batch), dev[: options.held_out])
    return {
        "data": str(data),
        "encoder": str(encoder),
        "work": str(work),
        "batch": batch,
        "rate": options.rate,
        "seed": options.seed,
        "dropout": options.dropout,
        "device": options.device,
        "precision": options.precision,
        "warmup_steps": round(0.1 * steps),
    }, sample


def measure(sides: list[Side], warmup: int, rounds: int, block: int, *, gpu: bool) -> dict[str, dict[str, float]]:
    """Seconds, examples, tokens and the peak of memory of each side over all rounds, its loss before and after."""
    losses = {side.name: side.ask("loss") for side in sides}
    for side in sides:
        if warmup:
            side.ask(warmup)
    empty = {"seconds": 0.0, "examples": 0.0, "tokens": 0.0}
    totals = {side.name: {**empty, "before": losses[side.name]} for side in sides}
    for turn in range(rounds):
        for side in sides if turn % 2 == 0 else sides[::-1]:
            for name, value in zip(("seconds", "examples", "tokens"), side.ask(block), strict=True):
                totals[side.name][name] += value
    for side in sides:
        totals[side.name]["memory"] = side.ask("memory") if gpu else 0.0
        totals[side.name]["after"] = side.ask("loss")
    return totals


def show(totals: dict[str, dict[str, float]], weights: int, rate: float | None) -> None:
    mine = totals[OURS]
    speed = mine["examples"] / mine["seconds"]
    each = mine["tokens"] / mine["examples"]
    print(f"  real tokens an example on clue's side {each:.1f}")
    if rate is not None:
        print(f"  the card multiplies bf16 matrices at {rate / 1e12:.0f} TFLOP/s")
    for name, side in totals.items():
        theirs = side["examples"] / side["seconds"]
        line = f"  {name:16} {theirs:8.1f} examples/s   held-out loss {side['before']:.4f} -> {side['after']:.4f}"
        if name != OURS:
            line += f"   clue: {speed / theirs:.2f} times, loss {mine['after'] - side['after']:+.4f}"
        print(line)
        if rate is not None:
            share = 6 * weights * each * theirs / rate
            print(f"{'':18} {100 * share:.1f} % of the matrix rate, {side['memory'] / 1e9:.2f} GB at the peak")


def main() -> None:
    def sizes(text: str) -> list[int]:
        return [int(part) for part in text.split(",")]

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--encoder", default="mini-zh", help="mini-zh, base (random weights), or a directory")
    parser.add_argument("--vocabulary", type=int, default=21_128, help="entries of the vocabulary of --encoder base")
    parser.add_argument("--data", help="AFQMC: directory or official zip; default: the shipped sample, repeated")
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--batch", type=sizes, default=[32], metavar="N,...", help="one size after the other")
    parser.add_argument("--rate", type=float, help="learning rate; default 5e-4, with base 3e-5")
    parser.add_argument("--dropout", type=float, help="clue's; default: its recipe's")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--warmup", type=int, default=5, help="steps before the clock starts")
    parser.add_argument("--rounds", type=int, default=8, help="turns of each side")
    parser.add_argument("--block", type=int, default=10, help="steps of one turn")
    parser.add_argument("--held-out", type=int, default=1000, help="rows of dev for the loss")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    options.rate = options.rate or (3e-5 if options.encoder == "base" else 5e-4)
    set_threads(options.threads)
    gpu, card, rate = options.device.startswith("cuda"), [], None
    with workplace() as work:
        encoder = encoder_directory(options.encoder, work, options.vocabulary)
        made = [plan_of(options, batch, encoder, work / str(batch)) for batch in options.batch]
        plans, sample = [plan for plan, _ in made], made[0][1]
        if gpu:
            product = Side("matrix product", matrix_rate)
            name, rate = product.facts
            card = [name]
            product.end()
        sides = [
            Side(OURS, our_side, plans),
            Side("Trainer", trainer_side, plans, False),
            Side("Trainer, tuned", trainer_side, plans, True),
        ]
        sides[0].facts, weights = sides[0].facts
        show_machine(*card, f"{options.threads} threads", *(f"{side.name}: {side.facts}" for side in sides))
        what = "the shipped sample" if sample else "AFQMC"
        for number, batch in enumerate(options.batch):
            steps = f"{options.warmup} + {options.rounds} x {options.block} steps"
            print(f"{options.encoder}, {what}, batch {batch}, {steps}", flush=True)
            show(measure(sides, options.warmup, options.rounds, options.block, gpu=gpu), weights, rate)
            for side in sides:
                if number + 1 < len(options.batch):
                    side.ask(None)
                else:
                    side.end()


if __name__ == "__main__":
    main()
