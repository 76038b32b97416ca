"""Linear chains over C tags: log-partition with exact gradients, marginals, best path. Batched, on any device.

A path y of length n scores `start[y_1] + sum_t emissions[t, y_t] + sum_t transitions[y_t, y_{t+1}] + end[y_n]`.
Rows are packed: `emissions` (B, T, C), of which the first `lengths` (B,) positions of each row count; a row of length
0 has one path, the empty one, of score 0.

The usual log-space recursion costs exp and log of B*C*C numbers a step. Here a step is ONE matrix product in scaled
probability space: messages are kept with sum 1, emissions and transitions are exponentiated once, and the messages
from the left and from the right, which do not depend on each other, advance together. The gradients of the
log-partition are the marginals, which the same scan gives, so nothing is stored for or repeated in a backward pass.

A probability space can underflow, a log space cannot. How far tags of one position can drift apart is bounded by the
spread of one position's emissions plus that of the transitions; where the bound is too near the end of the range, the
same scan runs in float64, and beyond that, and for infinite scores (forbidden transitions), in log space.
Deciding this reads one number back from the device a call: the only synchronisation in the loss.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from heads.layers import full_precision, has_float64, stable_order


def pack(mask: Tensor) -> tuple[Tensor, Tensor]:
    """(order, lengths) of the tokens in `mask` (B, L) bool: order (B, L) lists each row's tokens first, then the rest.

    `x.gather(1, order)` packs a (B, L) tensor.
    """
    return stable_order((~mask).to(torch.int8), dim=1), mask.sum(1)


def log_partition(emissions: Tensor, lengths: Tensor, transitions: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """log of the sum of exp(score) over all paths of each row: (B,). Differentiable once, in everything but lengths.

    emissions (B, T, C), lengths (B,) int64, transitions (C, C) from row tag to column tag, start (C,), end (C,);
    float32 or float64. Scores of -inf forbid; a row without any path gives -inf and no gradient.
    """
    result: Tensor = _LogPartition.apply(emissions, transitions, start, end, lengths)  # type: ignore[no-untyped-call]
    return result


def path_score(
    emissions: Tensor, lengths: Tensor, transitions: Tensor, start: Tensor, end: Tensor, tags: Tensor
) -> Tensor:
    """Score of the path `tags` (B, T) int64 in each row: (B,). Tags beyond the length do not count."""
    if not emissions.shape[1]:
        return emissions.new_zeros(len(emissions))
    mask = _inside(lengths, emissions.shape[1])
    own = emissions.gather(2, tags[..., None]).squeeze(2)
    score = torch.where(mask, own, 0).sum(1)
    moves = transitions[tags[:, :-1], tags[:, 1:]]
    score = score + torch.where(mask[:, 1:], moves, 0).sum(1)
    last = tags.gather(1, (lengths - 1).clamp(min=0)[:, None]).squeeze(1)
    return score + torch.where(lengths > 0, start[tags[:, 0]] + end[last], 0)


class Marginals(NamedTuple):
    """`tags` (B, T, C): probability of a tag at a position; `onward` (B, T, C): log of the message from the right,
    emission included, up to a constant a position. Zero beyond the length."""

    log_z: Tensor
    tags: Tensor
    onward: Tensor


@torch.no_grad()
def marginals(emissions: Tensor, lengths: Tensor, transitions: Tensor, start: Tensor, end: Tensor) -> Marginals:
    """Log-partition (B,), tag marginals and the messages that `next_tag` turns into conditional probabilities."""
    if not emissions.shape[1]:
        return Marginals(emissions.new_zeros(len(emissions)), emissions, emissions)
    with full_precision(emissions):
        scan = _scan(emissions, lengths, transitions, start, end, both=True)
        unary, _ = scan.occupation()
        onward = scan.aligned_right()
        onward = onward if scan.logarithms else onward.log()
    mask = _inside(lengths, emissions.shape[1])[..., None]
    dtype = emissions.dtype
    return Marginals(
        scan.log_z.to(dtype), unary.transpose(0, 1).to(dtype), torch.where(mask, onward.transpose(0, 1), 0).to(dtype)
    )


def next_tag(onward: Tensor, transitions: Tensor, tags: Tensor) -> Tensor:
    """log P(tag at t+1 | the tag at t is `tags[t]`): (B, T, C) from `Marginals.onward`; nothing at the last."""
    following = torch.cat((onward[:, 1:], onward[:, -1:]), dim=1)
    return torch.log_softmax(transitions[tags] + following, dim=-1)


@torch.no_grad()
def viterbi(emissions: Tensor, lengths: Tensor, transitions: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """The best path of each row: (B, T) int64, 0 beyond the length. Among equals the lower tag, from the end.

    Only the best scores are kept on the way (no table of arguments): the way back needs the argument of one tag a row.
    """
    rows, steps, tags = emissions.shape
    if not steps:
        return emissions.new_zeros((rows, 0), dtype=torch.int64)
    mask = _inside(lengths, steps)
    # Taking the best emission of each position out leaves the path the same and the sums small.
    packed = torch.where(mask[..., None], emissions - emissions.amax(2, keepdim=True), 0).transpose(0, 1).contiguous()
    best = torch.empty_like(packed)
    torch.add(packed[0], start, out=best[0])
    moves = packed.new_empty(rows, tags, tags)
    scores, views = packed.unbind(), best.unbind()
    for t in range(1, steps):
        torch.add(views[t - 1][:, :, None], transitions, out=moves)
        torch.amax(moves, dim=1, out=views[t])
        views[t].add_(scores[t])
    final = best.gather(0, (lengths - 1).clamp(min=0)[None, :, None].expand(1, rows, tags)).squeeze(0) + end
    tag = last = final.argmax(1)
    arrivals, ended = transitions.t().contiguous(), (~mask).t()
    path = [last]
    for t in range(steps - 2, -1, -1):
        tag = torch.where(ended[t + 1], last, (views[t] + arrivals[tag]).argmax(1))
        path.append(tag)
    return torch.where(mask, torch.stack(path[::-1], dim=1), 0)


def _inside(lengths: Tensor, steps: int) -> Tensor:
    return torch.arange(steps, device=lengths.device) < lengths[:, None]


class _LogPartition(torch.autograd.Function):
    """Log-partition whose gradient is ready when its value is: the expected counts of tags and transitions."""

    @staticmethod
    def forward(
        ctx: Any, emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, lengths: Tensor
    ) -> Tensor:
        wanted = any(ctx.needs_input_grad[:4])
        if not emissions.shape[1]:
            ctx.empty = True
            return emissions.new_zeros(len(emissions))
        ctx.empty = False
        with full_precision(emissions):
            scan = _scan(emissions, lengths, transitions, start, end, both=wanted)
            if wanted:
                unary, pairs = scan.occupation()
                ctx.save_for_backward(unary.to(emissions.dtype), pairs.to(emissions.dtype), lengths)
        return scan.log_z.to(emissions.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        if ctx.empty:
            return None, None, None, None, None
        unary, pairs, lengths = ctx.saved_tensors  # (T, B, C), (B, C, C)
        weighted = unary * gradient[:, None]
        last = (lengths - 1).clamp(min=0)[None, :, None].expand(1, -1, unary.shape[2])
        return (
            weighted.transpose(0, 1),
            (pairs * gradient[:, None, None]).sum(0),
            weighted[0].sum(0),
            weighted.gather(0, last)[0].sum(0),
            None,
        )


class _Scan(NamedTuple):
    """Messages of all positions; direction 0 from the left, 1 from the right in each row's reversed order.

    before, after (T, D, B, C): without and with the emission of the position, as probabilities up to a factor a
    position and row, or as their logarithms. `moves` (C, C): transitions in the same form. `turn` (B, T) reverses rows.
    """

    log_z: Tensor
    before: Tensor
    after: Tensor
    moves: Tensor
    turn: Tensor
    lengths: Tensor
    logarithms: bool

    def aligned_right(self) -> Tensor:
        """The messages from the right, emission included, at their own positions: (T, B, C)."""
        right = self.after[:, 1]
        return right.gather(0, self.turn.t()[:, :, None].expand_as(right))

    def occupation(self) -> tuple[Tensor, Tensor]:
        """Expected counts: of tags (T, B, C), zero beyond the length; of transitions (B, C, C)."""
        right = self.aligned_right()
        mask = _inside(self.lengths, len(right)).t()[..., None]
        if self.logarithms:
            joint = self.before[:, 0] + right
            total = torch.logsumexp(joint, dim=2, keepdim=True)
            total = torch.where(total == -math.inf, 0, total)  # a row without any path: no counts
            pairs = torch.zeros_like(self.moves).expand(joint.shape[1], -1, -1).clone()
            for t in range(1, len(joint)):
                step = self.after[t - 1, 0][:, :, None] + self.moves + (right[t] - total[t])[:, None, :]
                pairs += torch.where(mask[t][..., None], step.exp(), 0)
            return torch.where(mask, (joint - total).exp(), 0), pairs
        joint = self.before[:, 0] * right
        total = joint.sum(2, keepdim=True)
        onward = torch.where(mask, right / total, 0)[1:]
        pairs = torch.bmm(self.after[:-1, 0].permute(1, 2, 0), onward.transpose(0, 1)) * self.moves
        return torch.where(mask, joint / total, 0), pairs


def _scan(emissions: Tensor, lengths: Tensor, transitions: Tensor, start: Tensor, end: Tensor, *, both: bool) -> _Scan:
    """All messages, in the cheapest arithmetic that is exact for these scores."""
    steps, tags = emissions.shape[1:]
    mask = _inside(lengths, steps)
    emissions = torch.where(mask[..., None], emissions, 0)
    spread = float(_spread(emissions, transitions, start, end))
    dtype = emissions.dtype
    wider = [torch.float64] if dtype == torch.float32 and has_float64(emissions.device) else []
    fitting = next((kind for kind in [dtype, *wider] if spread < _range(kind, tags)), None)

    positions = torch.arange(steps, device=lengths.device)
    turn = torch.where(mask, lengths[:, None] - 1 - positions, positions)
    left = emissions.transpose(0, 1)
    directions, firsts, moves = [left], [start], [transitions]
    if both:
        directions.append(left.gather(0, turn.t()[:, :, None].expand_as(left)))
        firsts.append(end)
        moves.append(transitions.t())
    scores, first, move = torch.stack(directions, dim=1), torch.stack(firsts)[:, None], torch.stack(moves)
    if fitting is None:
        log_z, before, after = _log_messages(scores, first, move, end, lengths)
        return _Scan(log_z, before, after, transitions, turn, lengths, True)
    scores, first, move, end = (x.to(fitting) for x in (scores, first, move, end))
    log_z, before, after = _probability_messages(scores, first, move, end, lengths)
    # The constant taken out of the transitions cancels in every normalised count.
    return _Scan(log_z, before, after, (move[0] - move[0].amax()).exp(), turn, lengths, False)


def _spread(emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """Bound on |log a - log b| of two entries of one message: inf or nan where scores are not finite."""
    own = (emissions.amax(2) - emissions.amin(2)).amax()
    moves = torch.stack([x.amax() - x.amin() for x in (transitions, start, end)]).amax()
    return own + moves


def _range(dtype: torch.dtype, tags: int) -> float:
    """The spread up to which no sum over tags loses a relative epsilon of its value to underflow."""
    info = torch.finfo(dtype)
    return -math.log(info.tiny) + math.log(info.eps) - 2 * math.log(tags)


def _probability_messages(
    scores: Tensor, first: Tensor, moves: Tensor, end: Tensor, lengths: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Log-partition (B,) and messages (T, D, B, C), each summing to 1 with its emission; padding runs along unused."""
    peak, move_peak, first_peak = scores.amax(3, keepdim=True), moves[0].amax(), first[0].amax()
    factors, weights = (scores - peak).exp(), (moves - move_peak).exp()
    before, after, sums = torch.empty_like(factors), torch.empty_like(factors), torch.empty_like(peak)
    before[0] = (first - first.amax(2, keepdim=True)).exp()
    views = zip(before.unbind(), after.unbind(), sums.unbind(), factors.unbind(), strict=True)
    previous: Tensor | None = None
    for own, result, total, factor in views:
        if previous is not None:
            torch.bmm(previous, weights, out=own)
        torch.mul(own, factor, out=result)
        torch.sum(result, dim=2, keepdim=True, out=total)
        previous = result.div_(total)
    scale = (sums.log() + peak)[:, 0, :, 0]  # (T, B)
    scale[1:] += move_peak
    scale[0] += first_peak
    final = (_last(after[:, 0], lengths) * (end - end.amax()).exp()).sum(1).log() + end.amax()
    return _closed(scale, final, lengths), before, after


def _log_messages(
    scores: Tensor, first: Tensor, moves: Tensor, end: Tensor, lengths: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The same in log space, each message shifted to a maximum of 0 so that long chains keep their digits."""
    before, after, peaks = torch.empty_like(scores), torch.empty_like(scores), []
    before[0] = first
    for t in range(len(scores)):
        if t:
            before[t] = torch.logsumexp(after[t - 1][..., None] + moves[:, None], dim=2)
        result = before[t] + scores[t]
        peak = result.amax(2, keepdim=True)
        after[t] = result - torch.where(peak == -math.inf, 0, peak)
        peaks.append(peak[0, :, 0])
    final = torch.logsumexp(_last(after[:, 0], lengths) + end, dim=1)
    return _closed(torch.stack(peaks), final, lengths), before, after


def _last(messages: Tensor, lengths: Tensor) -> Tensor:
    """(B, C) of (T, B, C) at each row's last position."""
    index = (lengths - 1).clamp(min=0)[None, :, None].expand(1, -1, messages.shape[2])
    return messages.gather(0, index).squeeze(0)


def _closed(scale: Tensor, final: Tensor, lengths: Tensor) -> Tensor:
    """Log-partition from what was taken out at each position (T, B) and what the last position leaves (B,)."""
    inside = _inside(lengths, len(scale)).t()
    return torch.where(lengths > 0, torch.where(inside, scale, 0).sum(0) + final, 0)
