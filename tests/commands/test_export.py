"""`clue export`: an ONNX graph that answers as PyTorch does, for every head; checked by the verb before it appears."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import clue_cli
from clue_cli.contract import Tally
from clue_cli.data_files import data_files
from clue_cli.export import check, exporting, graph
from clue_cli.export import packages as packages_module
from clue_cli.export.check import TOLERANCE, candidate_scores, compare, relative_gap
from clue_cli.export.graph import GRAPH, write_graph
from clue_cli.export.packages import MAKING
from clue_cli.main import run
from clue_cli.model import Model
from clue_cli.record import DataInfo, Record
from clue_cli.registry import find_task, tasks
from clue_cli.sources import Source, locate
from heads.base import LinkedSpans, Spans
from tests.record_cases import make_record

for name in MAKING:
    pytest.importorskip(name, reason=f"{name} is not installed: pip install 'clue-baselines[export]'")

from clue_cli.export.onnx_model import OnnxModel, open_session

SAMPLES = Path(__file__).parents[2] / "tasks" / "samples"
HEADS = {where: (name, head) for name, task in sorted(tasks().items()) for head, where in task.heads.items()}
"""Every head once, with a task that has it."""
