"""clue show: all about one task."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clue_cli import console
from clue_cli.commands import options as o
from clue_cli.commands.list import data_place

if TYPE_CHECKING:
    from clue_cli.task import Task

EPILOG = "Examples:\n\nclue show tnews\n\nclue show cluener --head crf --size base"


def show_command(
    task: o.TaskName,
    head: o.HeadOption = None,
    size: Annotated[
        str,
        typer.Option(
            "--size", metavar="NAME", rich_help_panel=o.MODEL, help="Encoder size of the recipe: small, base or large."
        ),
    ] = "small",
    recipe: Annotated[
        str | None,
        typer.Option("--recipe", metavar="NAME", rich_help_panel=o.MODEL, help="A named recipe, e.g. clue-bert4keras."),
    ] = None,
    fields: o.FieldsOption = None,
    labels: o.LabelsOption = None,
    encoding: o.EncodingOption = "utf-8",
    json: o.JsonOption = False,
    quiet: o.QuietOption = False,
    no_color: o.NoColorOption = False,
    debug: o.DebugOption = False,
) -> None:
    """Show all about one task: files, labels, heads, metrics, recipe, submission, how to get the data."""
    console.configure(quiet=quiet, color=False if no_color else None, json=json, debug=debug)
    from clue_cli.registry import own_directory

    chosen = o.chosen_task(task, fields, labels, encoding)
    document = describe(chosen, o.chosen_head(chosen, head), size, recipe)
    document["directory"] = None if (own := own_directory(task)) is None else str(own)
    if console.is_json():
        console.emit_json(document)
        return
    _print(document)


def describe(task: Task, head: str, size: str, recipe: str | None = None) -> dict[str, Any]:
    """What `clue show` says about a task, as JSON values. UserError for an unknown size or recipe."""
    values, origins = task.recipe_for(head, size, recipe)
    return {
        "name": task.name,
        "title": task.title,
        "family": task.family,
        "version": task.version,
        "homepage": task.homepage,
        "fields": list(task.fields),
        "optional_fields": list(_get(task, "optional_texts", ())),
        "labels": [{"label": label, "name": task.label_names.get(label)} for label in task.labels],
        "files": [
            {
                "split": split,
                "names": list(names),
                "together": list(_get(task, "together", {}).get(split, ())),
                "answers": list(_get(task, "answer_files", {}).get(split, ())),
                "rows": task.counts.get(split),
                "official": {name: task.official[name] for name in names if name in task.official},
                "submission": task.submissions.get(split),
            }
            for split, names in task.files.items()
        ],
        "left_out_labels": list(_get(task, "left_out", ())),
        "heads": list(task.heads),
        "default_head": task.default_head,
        "metrics": list(task.metrics),
        "default_metric": task.default_metric,
        "recipe": {
            "head": head,
            "size": size,
            "name": recipe,
            "values": {
                field.name: {"value": getattr(values, field.name), "origin": origins[field.name]}
                for field in dataclasses.fields(values)
            },
        },
        "data": data_place(task),
        "own": task.own,
        "hub": task.hub or None,
    }


def _get(task: Task, name: str, default: Any) -> Any:
    """A part that only some families have."""
    return getattr(task, name, default)


def _print(document: dict[str, Any]) -> None:
    name, title = document["name"], document["title"]
    console.result(f"{name}: {title}")
    console.result(f"family {document['family']}, version {document['version']}" + _after(document["homepage"]))
    others = [name for name in document["optional_fields"] if name not in document["fields"]]
    more = f" (also there: {', '.join(others)})" if others else ""
    console.result(f"input: {', '.join(document['fields'])}{more}")
    console.result()
    console.table(
        ["split", "files", "rows", "submission"],
        [[f["split"], _file_names(f), f["rows"], f["submission"]] for f in document["files"]],
        title="Files",
    )
    console.result()
    _print_labels(document)
    for what in ("head", "metric"):
        default = document[f"default_{what}"]
        others = [other for other in document[f"{what}s"] if other != default]
        console.result(f"{what}s: {default} (default)" + "".join(f", {other}" for other in others))
    console.result()
    recipe = document["recipe"]
    named = f", {recipe['name']}" if recipe["name"] else ""
    rows = [
        ["--" + key.replace("_", "-"), o.recipe_value(entry["value"]), entry["origin"]]
        for key, entry in recipe["values"].items()
    ]
    console.table(
        [console.Column("option", fold=False), console.Column("value", right=True), "from"],
        rows,
        title=f"Recipe: head {recipe['head']}, {recipe['size']} encoder{named}",
    )
    console.result()
    _print_data(document)


def _file_names(file: dict[str, Any]) -> str:
    """`a.json and b.json` where a split is both, `a.json or b.json` where either serves, `with` a file of answers."""
    names = " and ".join(file["together"]) or " or ".join(file["names"])
    return " with ".join([names, *file["answers"]])


def _print_labels(document: dict[str, Any]) -> None:
    if not document["labels"]:
        return
    words = [
        entry["label"] + (f" {entry['name']}" if entry["name"] and entry["name"] != entry["label"] else "")
        for entry in document["labels"]
    ]
    shown = ", ".join(words if len(words) <= 40 else [*words[:10], f"... {len(words) - 10} more (--json lists them)"])
    console.out.print(f"labels ({len(words)}): {shown}")
    if unusable := document["left_out_labels"]:
        named = ", ".join(label or "nothing" for label in unusable)
        console.result(f"rows labelled {named} have no usable gold: left out and counted")


def _print_data(document: dict[str, Any]) -> None:
    """How to get the data, and what is there now."""
    name = document["name"]
    if document["directory"] is not None:
        console.result(f"data: in {document['directory']}; clue data {document['directory']} checks them")
        return
    if document["own"]:
        console.result(f"data: your own; clue data {name} --labels FILE --data PATH checks them")
        return
    console.result(
        {
            "hand": f"data: at hand, in $CLUE_DATA/{name}",
            "sample": "data: only the small sample that ships with the package (its figures are no results)",
            "none": "data: not at hand",
        }[document["data"]]
    )
    if document["homepage"]:
        console.result(f"get it from {document['homepage']}, then use either")
    ways = [
        (f"clue train {name} --data PATH", "PATH: the directory, or the zip as downloaded"),
        ("export CLUE_DATA=DIR", f"DIR/{name}/ holds the files, or the zip"),
    ]
    if document["hub"]:
        ways.append((f"clue train {name} --data hub", "from the Hugging Face hub (HF_ENDPOINT: a mirror)"))
    longest = max(len(command) for command, _ in ways)
    for command, meaning in ways:
        console.result(f"  {command.ljust(longest)}   {meaning}")
    console.result(f"clue data {name} checks what is there.")


def _after(text: str) -> str:
    return f", {text}" if text else ""
