"""The configuration of an encoder as `transformers` reads it: what it may say, and the dropouts set in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import transformers
from transformers.utils import logging as hf_logging

from clue_cli.encoders.files import BERT_LIKE, reason
from clue_cli.errors import UserError


def configuration(directory: Path, trust_remote_code: bool) -> Any:
    """`config.json` as `transformers` reads it; UserError where it does not, and for a decoder."""
    try:
        with quiet():
            config = transformers.AutoConfig.from_pretrained(str(directory), trust_remote_code=trust_remote_code)
    except Exception as error:  # unknown model_type: ValueError or KeyError by version; values of a wrong type: others
        raise UserError(
            f"transformers {transformers.__version__} does not understand config.json: {reason(error)}",
            where=str(directory),
        ) from error
    _refuse_decoder(config, str(directory))
    if hasattr(config, "reference_compile"):
        config.reference_compile = False  # older ModernBERT code compiles itself where it can, minutes for one line
    return config


def _refuse_decoder(config: Any, where: str) -> None:
    """UserError for a model that has a decoder or is one, as `transformers` would build it."""
    from transformers.models.auto import modeling_auto

    kind = config.model_type
    if (
        getattr(config, "is_encoder_decoder", False)
        or kind in modeling_auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES
    ):
        raise UserError(
            f"{kind} is an encoder with a decoder, clue wants an encoder alone", where=where, hint=f"use {BERT_LIKE}"
        )
    causal = modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    if kind in causal and kind not in modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES:
        raise UserError(
            f"{kind} reads from left to right only (a decoder); clue wants an encoder, which sees both sides",
            where=where,
        )
    for field in ("is_decoder", "causal"):  # the second is XLM's
        if getattr(config, field, False) is True:
            raise UserError(
                f'config.json says "{field}": true, so the model would read from left to right only; clue wants an '
                "encoder, which sees both sides",
                where=where,
                hint=f"if it was trained as an encoder, set {field} to false",
            )


def set_dropouts(config: Any, hidden: float | None, attention: float | None) -> tuple[dict[str, float], list[str]]:
    """Set the dropout fields of a configuration, by kind; the fields set, and a note for each kind it does not have.

    Every field with "drop" in its name that holds a number counts, but those of task heads and of whole layers.
    """
    named = [
        field
        for field, value in config.to_dict().items()
        if "drop" in field
        and isinstance(value, int | float)
        and not isinstance(value, bool)
        and not re.search(r"classif|summary|head|cls|pool|path|layer_?drop|seq_|^qa_", field)
    ]
    done: dict[str, float] = {}
    notes = []
    for label, wanted, value in (("dropout", False, hidden), ("attention dropout", True, attention)):
        if value is None:
            continue
        fields = [field for field in named if ("att" in field) is wanted]
        for field in fields:
            setattr(config, field, value)
            done[field] = value
        if not fields and value:
            notes.append(f"this encoder's configuration has no {label}: {value:g} has no effect inside it")
    return done, notes


@contextmanager
def quiet() -> Iterator[None]:
    """Without the progress bars and reports of transformers, whose content goes into our own errors."""
    verbosity, bars = hf_logging.get_verbosity(), hf_logging.is_progress_bar_enabled()
    hf_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    hf_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        hf_logging.set_verbosity(verbosity)
        if bars:
            hf_logging.enable_progress_bar()  # type: ignore[no-untyped-call]
