"""clue train: a run from data to dev figure."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clue_cli import console
from clue_cli.commands import options as o

if TYPE_CHECKING:
    from clue_cli.record import Record
    from clue_cli.runs import TrainRequest

EPILOG = "Examples:\n\nclue train tnews --epochs 1\n\nclue train cluener --head crf --data cluener_public.zip --seeds 3"

T, RUNS = o.TRAINING, "Runs and memory"

Pooling = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", rich_help_panel=o.MODEL, help="first, mean or auto: the encoder's own. (default: auto)"
    ),
]
AllowRandom = Annotated[
    bool,
    typer.Option(
        "--allow-random-weights", rich_help_panel=o.MODEL,
        help="Accept an encoder with missing tensors, which stay random.",
    ),
]  # fmt: skip
RecipeName = Annotated[
    str | None, typer.Option(metavar="NAME", rich_help_panel=T, help="A named recipe, e.g. clue-bert4keras.")
]
Epochs = Annotated[int | None, typer.Option(metavar="N", rich_help_panel=T, help="Passes over train.")]
BatchSize = Annotated[
    int | None, typer.Option(metavar="N", rich_help_panel=T, help="Examples per optimiser step, exact.")
]
LearningRate = Annotated[float | None, typer.Option(metavar="X", rich_help_panel=T, help="Highest learning rate.")]
HeadLearningRate = Annotated[
    float | None, typer.Option(metavar="X", rich_help_panel=T, help="The head's; 0 means the encoder's.")
]
MaxLength = Annotated[
    int | None, typer.Option(metavar="N", rich_help_panel=T, help="Tokens of one input, special tokens included.")
]
Overlap = Annotated[
    int | None, typer.Option(metavar="N", rich_help_panel=T, help="Tokens that neighbouring windows share.")
]
Optimizer = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", rich_help_panel=T, help="adamw or adafactor; rate, decay, warm-up and clipping follow it."
    ),
]
WeightDecay = Annotated[
    float | None, typer.Option(metavar="X", rich_help_panel=T, help="AdamW's, not on biases and norms.")
]
Warmup = Annotated[
    float | None, typer.Option(metavar="X", rich_help_panel=T, help="Share of all steps in which the rate rises.")
]
Clip = Annotated[
    float | None, typer.Option(metavar="X", rich_help_panel=T, help="Largest norm of the gradient; 0: no clipping.")
]
Dropout = Annotated[
    float | None, typer.Option(metavar="X", rich_help_panel=T, help="Dropout of the encoder's hidden vectors.")
]
AttentionDropout = Annotated[
    float | None, typer.Option(metavar="X", rich_help_panel=T, help="Dropout of attention weights.")
]
HeadDropout = Annotated[
    float | None, typer.Option(metavar="X", rich_help_panel=T, help="Dropout before the head's own layers.")
]
Segments = Annotated[
    str | None,
    typer.Option(metavar="NAME", rich_help_panel=T, help="Token types of a pair: pair (0 and 1) or zero."),
]
Patience = Annotated[
    int | None,
    typer.Option(
        metavar="N", rich_help_panel=T,
        help="Stop after N epochs without a better dev figure; 0: never.",
    ),
]  # fmt: skip
RDrop = Annotated[
    float | None,
    typer.Option("--r-drop", metavar="X", rich_help_panel=T, help="Weight of R-Drop's divergence; 0: off."),
]
Fgm = Annotated[
    float | None,
    typer.Option(metavar="X", rich_help_panel=T, help="Length of the adversarial step on the embeddings; 0: off."),
]
ClassWeights = Annotated[str | None, typer.Option(metavar="NAME", rich_help_panel=T, help="none or balanced.")]
GradientCheckpointing = Annotated[
    bool, typer.Option("--gradient-checkpointing", rich_help_panel=RUNS, help="Less memory, a third slower.")
]
Seed = Annotated[int, typer.Option(metavar="N", min=0, rich_help_panel=RUNS, help="Decides weights, order and noise.")]
Seeds = Annotated[
    int,
    typer.Option(
        metavar="N", min=1, rich_help_panel=RUNS,
        help="N runs with seeds SEED, SEED+1 ...; the leaderboard shows the group.",
    ),
]  # fmt: skip
SaveMinutes = Annotated[
    float, typer.Option(metavar="X", min=0.0, rich_help_panel=RUNS, help="Minutes between checkpoints inside an epoch.")
]
KeepCheckpoint = Annotated[
    bool, typer.Option("--keep-checkpoint", rich_help_panel=RUNS, help="Keep last/ after a finished run.")
]
ShowRecipe = Annotated[
    bool,
    typer.Option(
        "--show-recipe", rich_help_panel=o.OUTPUT,
        help="Print what would be used and where each value comes from.",
    ),
]  # fmt: skip
Output = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="RUN", rich_help_panel=o.OUTPUT,
        help="Directory of the run. (default: runs/TASK/...)",
    ),
]  # fmt: skip
Resume = Annotated[
    bool,
    typer.Option(
        "--resume", rich_help_panel=o.OUTPUT, help="Continue the run at --output, with --seeds all runs there."
    ),
]


def train_command(
    task: o.TaskName,
    data: o.DataOption = None,
    encoding: o.EncodingOption = "utf-8",
    fields: o.FieldsOption = None,
    labels: o.LabelsOption = None,
    limit: o.LimitOption = None,
    eval_limit: o.EvalLimitOption = None,
    encoder: o.EncoderOption = None,
    pooling: Pooling = None,
    head: o.HeadOption = None,
    metric: o.MetricOption = None,
    device: o.DeviceOption = None,
    precision: o.PrecisionOption = None,
    allow_random_weights: AllowRandom = False,
    recipe: RecipeName = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    head_learning_rate: HeadLearningRate = None,
    max_length: MaxLength = None,
    overlap: Overlap = None,
    optimizer: Optimizer = None,
    weight_decay: WeightDecay = None,
    warmup: Warmup = None,
    clip: Clip = None,
    dropout: Dropout = None,
    attention_dropout: AttentionDropout = None,
    head_dropout: HeadDropout = None,
    segments: Segments = None,
    patience: Patience = None,
    r_drop: RDrop = None,
    fgm: Fgm = None,
    class_weights: ClassWeights = None,
    gradient_checkpointing: GradientCheckpointing = False,
    seed: Seed = 1,
    seeds: Seeds = 1,
    save_minutes: SaveMinutes = 10.0,
    keep_checkpoint: KeepCheckpoint = False,
    show_recipe: ShowRecipe = False,
    output: Output = None,
    resume: Resume = False,
    force: o.ForceOption = False,
    json: o.JsonOption = False,
    quiet: o.QuietOption = False,
    no_color: o.NoColorOption = False,
    debug: o.DebugOption = False,
) -> None:
    """Train a task's model; print its dev figures, where the run is and what comes next."""
    console.configure(quiet=quiet, color=False if no_color else None, json=json, debug=debug)
    given = {
        "pooling": pooling,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "head_learning_rate": head_learning_rate,
        "max_length": max_length,
        "overlap": overlap,
        "optimizer": optimizer,
        "weight_decay": weight_decay,
        "warmup": warmup,
        "clip": clip,
        "dropout": dropout,
        "attention_dropout": attention_dropout,
        "head_dropout": head_dropout,
        "segments": segments,
        "patience": patience,
        "r_drop": r_drop,
        "fgm": fgm,
        "class_weights": class_weights,
        "gradient_checkpointing": gradient_checkpointing or None,
    }
    chosen = o.chosen_task(task, fields, labels, encoding)
    source, sample = o.located(chosen, task, data, encoding)
    chosen = chosen.adapt(source)
    from clue_cli.runs import TrainRequest

    request = TrainRequest(
        task=chosen,
        source=source,
        sample=sample,
        head=o.chosen_head(chosen, head),
        metric=o.chosen_metric(chosen, metric),
        options={k: v for k, v in given.items() if v is not None},
        recipe=recipe,
        encoder=encoder,
        seed=seed,
        limit=limit,
        eval_limit=eval_limit,
        device=device,
        precision=precision,
        output=output,
        resume=resume,
        force=force,
        keep_checkpoint=keep_checkpoint,
        save_minutes=save_minutes,
        allow_random=allow_random_weights,
    )
    if show_recipe:
        _show_recipe(request)
        return
    _train_all(request, seeds, o.data_options(task, data, encoding))


def _train_all(request: TrainRequest, seeds: int, data: str) -> None:
    from dataclasses import replace
    from uuid import uuid4

    from clue_cli.continuation import NothingToContinueError
    from clue_cli.errors import UserError
    from clue_cli.record import Record
    from clue_cli.runs import train

    if seeds > 1 and request.resume and request.output is None:
        hint = "--output DIR; or resume the interrupted seed alone, without --seeds"
        raise UserError("several seeds need the directory of all of them to continue", where="--resume", hint=hint)
    if seeds > 1 and request.output is not None:
        if (request.output / "record.json").is_file():
            raise UserError("is one run; several seeds need a directory of their own", where=str(request.output))
        if request.resume and not any(request.output.glob("s*/record.json")):
            hint = "train without --resume"
            raise UserError("there is no run to continue", where=str(request.output), hint=hint)
    group = (_group_in(request) or uuid4().hex[:12]) if seeds > 1 else None
    done: list[tuple[Path, Record]] = []
    for number in range(seeds):
        one = replace(request, seed=request.seed + number, group=group)
        if seeds > 1:
            if one.output is not None:
                output = one.output / f"s{one.seed}"
                one = replace(one, output=output, resume=request.resume and (output / "record.json").is_file())
            if o.is_main_process():
                console.message(f"seed {one.seed} ({number + 1} of {seeds})")
        try:
            done.append(train(one))
        except NothingToContinueError:
            if seeds == 1 or one.output is None:
                raise
            done.append((one.output, Record.load(one.output)))
    if o.is_main_process():
        _report(request, done, data)


def _group_in(request: TrainRequest) -> str | None:
    """The group of the seeds that are to be continued: further ones belong to it."""
    from clue_cli.record import Record

    found = sorted(request.output.glob("s*/record.json")) if request.resume and request.output is not None else []
    return next((group for path in found if (group := Record.load(path).group) is not None), None)


def _report(request: TrainRequest, done: list[tuple[Path, Record]], data: str) -> None:
    """The dev figures of the runs, and the commands that come next."""
    import statistics

    seeds: dict[str, float] = {}  # of the group, in [0, 1]
    if len(done) > 1:
        figures = [_primary(record, request.metric) for _, record in done]
        seeds = {"mean": statistics.mean(figures), "standard_deviation": statistics.stdev(figures)}
    if console.is_json():
        console.emit_json(
            [
                {
                    "run": str(path),
                    "status": record.status,
                    **({"group": record.group, "metric": request.metric, **seeds} if seeds else {}),
                    "chosen_epoch": record.chosen_epoch,
                    "results": [_result(r) for r in record.results],
                    "left_out": record.data.left_out,
                    "sample": record.data.sample,
                    "seconds": record.timing.phases.get("train"),
                }
                for path, record in done
            ]
        )
        return
    rows: list[list[Any]] = []
    for _, record in done:
        for result in record.results:
            for name, figure in result.figures.items():
                mark = "*" if name == result.primary else ""
                error = result.errors.get(name)
                rows.append(
                    [
                        str(record.seed),
                        result.metric,
                        name + mark,
                        f"{100 * figure:.2f}",
                        "" if error is None else f"{100 * error:.2f}",
                        str(result.items),
                        str(record.chosen_epoch),
                    ]
                )
    columns = [
        console.Column("seed"),
        console.Column("metric"),
        console.Column("figure"),
        console.Column("dev", right=True),
        console.Column("± item", right=True),
        console.Column("items", right=True),
        console.Column("epoch", right=True),
    ]
    console.table(columns, rows, title=f"{request.task.name}, {request.head}, {done[0][1].encoder.name}")
    if seeds:
        mean, deviation = (f"{100 * value:.2f}" for value in seeds.values())
        console.result(f"{request.metric} over {len(done)} seeds: mean {mean}, standard deviation {deviation}")
    _tell(done, data)


def _tell(done: list[tuple[Path, Record]], data: str) -> None:
    """What was left out, where the runs lie, and commands to copy; `data` are the options that name the data again."""
    path, record = done[-1]
    for split, reasons in record.data.left_out.items():
        for reason, amount in reasons.items():
            console.result(f"left out or changed in {split}: {amount:,} {reason}")
    if record.data.sample:
        console.result(o.SAMPLE_NOTE)
    elif record.data.limit or record.data.eval_limit:
        console.result("These are figures on a part of the data (--limit): not comparable with others.")
    console.result("\n".join(f"run: {run}" for run, _ in done))
    where = shlex.quote(str(path))
    console.result("next:")
    console.result(f"  clue eval {where}{data}")
    console.result(f"  clue predict {where} FILE")
    console.result("  clue leaderboard" + ("" if path.parts[:1] == ("runs",) else f" {shlex.quote(str(path.parent))}"))


def _result(result: Any) -> dict[str, Any]:
    return {
        "metric": result.metric,
        "split": result.split,
        "primary": result.primary,
        "figures": result.figures,
        "errors": result.errors,
        "items": result.items,
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
        console.emit_json(
            {
                "task": request.task.name,
                "head": request.head,
                "encoder": name,
                "size": size,
                "recipe": {key: {"value": value, "origin": origins[key]} for key, value in asdict(recipe).items()},
            }
        )
        return
    rows = [
        [f"--{key.replace('_', '-')}", o.recipe_value(value), origins[key]] for key, value in asdict(recipe).items()
    ]
    console.table(["option", "value", "from"], rows, title=f"{request.task.name}, {request.head}, {name} ({size})")
