"""A whole training step of GPLinker for events, with the factorised loss and with the published sparse one.

    python tests/benchmarks/gplinker_step.py [--batch 16] [--length 256] [--steps 3] [--threads 2] [--device cpu]

duee: 282 types of spans and two linkers on a base-size encoder of random weights; random tokens, 10 spans and 20 links
a row. A step is forward, backward and an update by AdamW. Each form runs in a process of its own: the best of some
steps after one to warm up; memory is the growth of the process's peak from the model at rest (on a GPU: its own
allocator's). With `--encoder none` only the head runs, on random vectors.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import torch
from isolated import PeakMemory, in_process
from published_losses import published_sparse
from torch import Tensor

from heads import event_linker
from heads.event_linker import EventGPLinker

TYPES, SPANS, LINKS = 282, 10, 20
FORMS = ("published sparse", "factorised")


def random_batch(rows: int, length: int, device: torch.device) -> dict[str, Tensor]:
    """Tokens and gold; the first and the last token of a row are not text, nothing is listed twice."""

    def places(each: int) -> Tensor:
        start = torch.randint(1, length - 10, (rows * each,))
        return torch.stack((start, start + torch.randint(0, 8, start.shape)), 1)

    row_of_span = torch.arange(rows).repeat_interleave(SPANS)[:, None]
    kinds = torch.arange(rows * SPANS)[:, None] * 7 % TYPES
    first, second = places(LINKS), places(LINKS)
    mask = torch.ones(rows, length, dtype=torch.bool)
    text = mask.clone()
    text[:, [0, -1]] = False
    batch = {
        "input_ids": torch.randint(1000, 20_000, (rows, length)),
        "attention_mask": mask,
        "text_mask": text,
        "spans": torch.cat((row_of_span, kinds, places(SPANS)), 1),
        "links": torch.cat((torch.arange(rows).repeat_interleave(LINKS)[:, None], first, second), 1),
    }
    return {name: tensor.to(device) for name, tensor in batch.items()}


def encoder_of(name: str) -> Any:
    from transformers import BertConfig, BertModel

    if name == "none":
        return None
    sizes = {"base": {}, "tiny": {"num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 512}}[name]
    return BertModel(BertConfig(vocab_size=21_128, **sizes), add_pooling_layer=False)


def measure(form: str, encoder_name: str, options: argparse.Namespace) -> dict[str, Any]:
    torch.manual_seed(0)
    device = torch.device(options.device)
    if form == "published sparse":
        event_linker.factorised_span_loss = published_sparse
    encoder = encoder_of(encoder_name)
    head = EventGPLinker(768, types=TYPES, dropout=0.1).to(device).train()
    parameters = list(head.parameters())
    if encoder is not None:
        parameters += encoder.to(device).train().parameters()
    optimizer = torch.optim.AdamW(parameters, lr=1e-5)
    batch = random_batch(options.batch, options.length, device)
    random = torch.randn(options.batch, options.length, 768, device=device, requires_grad=True)

    def step() -> float:
        begun = time.perf_counter()
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=options.bf16):
            last = random
            if encoder is not None:
                last = encoder(batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
            output = head({"last": last.float()}, batch, want_loss=True)
        (output.loss_sum / output.weight).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if device.type == "cuda":
            torch.cuda.synchronize()
        losses.append(float(output.loss_sum.detach() / output.weight))
        return time.perf_counter() - begun

    losses: list[float] = []
    memory = PeakMemory()
    if device.type == "cuda":
        torch.cuda.synchronize()
        at_rest = torch.cuda.memory_allocated()
    step()
    seconds = min(step() for _ in range(options.steps))
    grown = (torch.cuda.max_memory_allocated() - at_rest) / 1e6 if device.type == "cuda" else memory.megabytes
    return {"seconds": seconds, "megabytes": grown, "loss": losses[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--steps", type=int, default=3, help="timed steps; the best counts")
    parser.add_argument("--encoder", default="base", choices=("base", "tiny", "none"))
    parser.add_argument("--bf16", action="store_true", help="the encoder and the linear layers under autocast")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--one", metavar="FORM", help="one form, as JSON")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.one:
        print(json.dumps(measure(options.one, options.encoder, options)))
        return
    numbers = [f"--{name}={getattr(options, name)}" for name in ("batch", "length", "steps", "encoder", "device")]
    more = [*numbers, f"--threads={options.threads}", *(["--bf16"] if options.bf16 else [])]
    found = {form: in_process(__file__, form, *more, pinned=True) for form in FORMS}
    kind = "bf16 autocast" if options.bf16 else "float32"
    print(f"torch {torch.__version__}, {options.threads} threads, {options.device}, {kind}")
    print(f"EventGPLinker, {TYPES} types, encoder {options.encoder}, batch {options.batch} x {options.length}")
    for form, figures in found.items():
        print(f"  {form:17} {1000 * figures['seconds']:8.1f} ms a step, peak +{figures['megabytes']:7.0f} MB,"
              f" first loss {figures['loss']:.4f}")  # fmt: skip
    sparse, ours = (found[form] for form in FORMS)
    times = sparse["seconds"] / ours["seconds"]
    print(f"the step with the factorised loss is {times:.2f} times as fast and takes"
          f" {100 * ours['megabytes'] / sparse['megabytes']:.0f} % of the memory")  # fmt: skip


if __name__ == "__main__":
    main()
