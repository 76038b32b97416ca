"""clue train: a run from data to dev figure."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from clue_cli import console
from clue_cli.commands import options as o

if TYPE_CHECKING:
    from clue_cli.record import Record
    from clue_cli.runs import TrainRequest

T = o.TRAINING

EPILOG = (
    "Examples:  clue train tnews --epochs 1   |   clue train cluener --head crf --data cluener_public.zip --seeds 3"
)


def train_command(
    task: o.TaskName,
    data: o.DataOption = None,
    encoding: o.EncodingOption = "utf-8",
    fields: o.FieldsOption = None,
    labels: o.LabelsOption = None,
    limit: o.LimitOption = None,
    eval_limit: o.EvalLimitOption = None,
    encoder: o.EncoderOption = None,
    pooling: Annotated[Optional[str], typer.Option(rich_help_panel=o.MODEL, help="first or mean. (default: the encoder's own)")] = None,
    head: o.HeadOption = None,
    metric: o.MetricOption = None,
    device: o.DeviceOption = None,
    precision: o.PrecisionOption = None,
    allow_random_weights: Annotated[
        bool, typer.Option("--allow-random-weights", rich_help_panel=o.MODEL, help="Accept an encoder with missing tensors, which stay random.")
    ] = False,
    recipe: Annotated[Optional[str], typer.Option(rich_help_panel=T, help="A named recipe, e.g. clue-bert4keras.")] = None,
    epochs: Annotated[Optional[int], typer.Option(rich_help_panel=T, help="Passes over train.")] = None,
    batch_size: Annotated[Optional[int], typer.Option(rich_help_panel=T, help="Examples per optimiser step, exact.")] = None,
    learning_rate: Annotated[Optional[float], typer.Option(rich_help_panel=T, help="Highest learning rate.")] = None,
    head_learning_rate: Annotated[Optional[float], typer.Option(rich_help_panel=T, help="The head's; 0 means the encoder's.")] = None,
    max_length: Annotated[Optional[int], typer.Option(rich_help_panel=T, help="Tokens of one input, special tokens included.")] = None,
    overlap: Annotated[Optional[int], typer.Option(rich_help_panel=T, help="Tokens that neighbouring windows share.")] = None,
    optimizer: Annotated[Optional[str], typer.Option(rich_help_panel=T, help="adamw or adafactor.")] = None,
    weight_decay: Annotated[Optional[float], typer.Option(rich_help_panel=T, help="AdamW's, not on biases and norms.")] = None,
    warmup: Annotated[Optional[float], typer.Option(rich_help_panel=T, help="Share of all steps in which the rate rises.")] = None,
    clip: Annotated[Optional[float], typer.Option(rich_help_panel=T, help="Longest gradient; 0: no clipping.")] = None,
    dropout: Annotated[Optional[float], typer.Option(rich_help_panel=T, help="Dropout of the encoder's hidden vectors.")] = None,
    attention_dropout: Annotated[Optional[float], typer.Option(rich_help_panel=T, help="Dropout of attention weights.")] = None,
    head_dropout: Annotated[Optional[float], typer.Option(rich_help_panel=T, help="Dropout before the head's own layers.")] = None,
    segments: Annotated[Optional[str], typer.Option(rich_help_panel=T, help="Token types of a pair: pair (0 and 1) or zero.")] = None,
    patience: Annotated[Optional[int], typer.Option(rich_help_panel=T, help="Stop after so many epochs without a better dev figure; 0: never.")] = None,
    r_drop: Annotated[Optional[float], typer.Option("--r-drop", rich_help_panel=T, help="Weight of R-Drop's divergence; 0: off.")] = None,
    fgm: Annotated[Optional[float], typer.Option(rich_help_panel=T, help="Length of the adversarial step on the embeddings; 0: off.")] = None,
    class_weights: Annotated[Optional[str], typer.Option(rich_help_panel=T, help="none or balanced.")] = None,
    gradient_checkpointing: Annotated[
        Optional[bool], typer.Option("--gradient-checkpointing/--no-gradient-checkpointing", rich_help_panel=T, help="Less memory, a third slower.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, rich_help_panel=T, help="Decides weights, order and noise.")] = 1,
    seeds: Annotated[int, typer.Option(min=1, metavar="N", rich_help_panel=T, help="N runs with seeds SEED, SEED+1 ...; the leaderboard shows the group.")] = 1,
    save_minutes: Annotated[float, typer.Option(min=0.0, rich_help_panel=T, help="Minutes between checkpoints inside an epoch.")] = 10.0,
    keep_checkpoint: Annotated[bool, typer.Option("--keep-checkpoint", rich_help_panel=o.OUTPUT, help="Keep last/ after a finished run.")] = False,
    show_recipe: Annotated[bool, typer.Option("--show-recipe", rich_help_panel=o.OUTPUT, help="Print what would be used and where each value comes from.")] = False,
    output: Annotated[Optional[Path], typer.Option("--output", "-o", metavar="RUN", rich_help_panel=o.OUTPUT, help="Directory of the run. (default: runs/TASK/...)")] = None,
    resume: Annotated[bool, typer.Option("--resume", rich_help_panel=o.OUTPUT, help="Continue the run at --output.")] = False,
    force: o.ForceOption = False,
    json: o.JsonOption = False,
    quiet: o.QuietOption = False,
    no_color: o.NoColorOption = False,
    debug: o.DebugOption = False,
) -> None:
    """Train a task's model; print its dev figures, where the run lies and what comes next."""
    console.configure(quiet=quiet, color=False if no_color else None, json=json, debug=debug)
    given = {
        "pooling": pooling, "epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate,
        "head_learning_rate": head_learning_rate, "max_length": max_length, "overlap": overlap, "optimizer": optimizer,
        "weight_decay": weight_decay, "warmup": warmup, "clip": clip, "dropout": dropout,
        "attention_dropout": attention_dropout, "head_dropout": head_dropout,
        "segments": segments, "patience": patience, "r_drop": r_drop, "fgm": fgm,
        "class_weights": class_weights, "gradient_checkpointing": gradient_checkpointing,
    }
    chosen = o.chosen_task(task, fields, labels)
    source, sample = o.located(chosen, task, data, encoding)
    name, scratch = o.scratch_encoder(encoder)
    from clue_cli.runs import TrainRequest

    request = TrainRequest(
        task=chosen, source=source, sample=sample, head=o.chosen_head(chosen, head),
        metric=o.chosen_metric(chosen, metric), options={k: v for k, v in given.items() if v is not None},
        recipe=recipe, encoder=name, scratch=scratch, seed=seed, limit=limit, eval_limit=eval_limit, device=device,
        precision=precision, output=output, resume=resume, force=force, keep_checkpoint=keep_checkpoint,
        save_minutes=save_minutes, allow_random=allow_random_weights,
    )
    if show_recipe:
        _show_recipe(request)
        return
    _train_all(request, seeds)


def _train_all(request: TrainRequest, seeds: int) -> None:
    from dataclasses import replace
    from uuid import uuid4

    from clue_cli.errors import UserError
    from clue_cli.runs import train

    if seeds > 1 and request.resume:
        raise UserError("continues one run", where="--resume", hint="resume the interrupted seed alone, without --seeds")
    # --resume continues a run of a group under the group's own id, which its record holds.
    group = uuid4().hex[:12] if seeds > 1 else None
    done: list[tuple[Path, Record]] = []
    for number in range(seeds):
        output = request.output
        if output is not None and seeds > 1:
            output = output / f"s{request.seed + number}"
        one = replace(request, seed=request.seed + number, group=group, output=output)
        if seeds > 1:
            console.message(f"seed {one.seed} ({number + 1} of {seeds})")
        done.append(train(one))
    if _is_main_process():
        _report(request, done)


def _is_main_process() -> bool:
    import os

    return int(os.environ.get("RANK", "0")) == 0


def _report(request: TrainRequest, done: list[tuple[Path, Record]]) -> None:
    """The dev figures of the runs, and the commands that come next."""
    import statistics

    if console.is_json():
        console.emit_json([
            {"run": str(path), "status": record.status, "chosen_epoch": record.chosen_epoch,
             "results": [_result(r) for r in record.results], "left_out": record.data.left_out,
             "sample": record.data.sample, "seconds": record.timing.phases.get("train")}
            for path, record in done
        ])
        return
    rows: list[list[Any]] = []
    for path, record in done:
        for result in record.results:
            for name, figure in result.figures.items():
                mark = "*" if name == result.primary else ""
                error = result.errors.get(name)
                rows.append([
                    str(record.seed), result.metric, name + mark, f"{100 * figure:.2f}",
                    "" if error is None else f"{100 * error:.2f}", str(result.items), str(record.chosen_epoch),
                ])
    columns = [
        console.Column("seed"), console.Column("metric"), console.Column("figure"), console.Column("dev", right=True),
        console.Column("± item", right=True), console.Column("items", right=True), console.Column("epoch", right=True),
    ]
    console.table(columns, rows, title=f"{request.task.name}, {request.head}, {done[0][1].encoder.name}")
    if len(done) > 1:
        figures = [100 * _primary(record, request.metric) for _, record in done]
        console.result(
            f"{request.metric} over {len(done)} seeds: mean {statistics.mean(figures):.2f}, "
            f"standard deviation {statistics.stdev(figures):.2f}"
        )
    _tell(done)


def _tell(done: list[tuple[Path, Record]]) -> None:
    path, record = done[-1]
    for split, reasons in record.data.left_out.items():
        for reason, amount in reasons.items():
            console.result(f"left out or changed in {split}: {amount:,} {reason}")
    if record.data.sample:
        console.result("These are figures on the shipped sample: a check that everything works, no result.")
    elif record.data.limit or record.data.eval_limit:
        console.result("These are figures on a part of the data (--limit): not comparable with others.")
    console.result("\n".join(f"run: {run}" for run, _ in done))
    console.result(
        f"next: clue eval {path}   |   clue predict {path} FILE   |   clue leaderboard {path.parent}"
    )


def _result(result: Any) -> dict[str, Any]:
    return {
        "metric": result.metric, "split": result.split, "primary": result.primary, "figures": result.figures,
        "errors": result.errors, "items": result.items,
    }


def _primary(record: Record, metric: str) -> float:
    result = record.result(metric, "dev")
    assert result is not None
    return result.figures[result.primary]


def _show_recipe(request: TrainRequest) -> None:
    from dataclasses import asdict

    from clue_cli.runs import encoder_facts, resolved_recipe

    name, size = encoder_facts(request)
    recipe, origins, _ = resolved_recipe(request, size)
    if console.is_json():
        console.emit_json({
            "task": request.task.name, "head": request.head, "encoder": name, "size": size,
            "recipe": {key: {"value": value, "origin": origins[key]} for key, value in asdict(recipe).items()},
        })
        return
    rows = [[key.replace("_", "-"), "encoder's own" if value is None else str(value), origins[key]] for key, value in asdict(recipe).items()]
    console.table(["option", "value", "from"], rows, title=f"{request.task.name}, {request.head}, {name} ({size})")


