"""Linear-chain CRF over BIO tags (Lafferty et al. 2001), the BERT + CRF baseline of CLUENER2020."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from heads.base import DecodeOptions, HeadOutput, Spans, float32
from heads.divergence import chain_divergence
from heads.linear_chain import log_partition, marginals, next_tag, path_score, viterbi
from heads.tagging import Tagger, forbidden_scores, packed, path_spans, tag_count


class CRFTagging(Tagger):
    """BIO tags of a whole row scored together: emissions of a linear layer, transitions, start and end scores.

    Loss: negative log-likelihood of the gold path, summed over the tokens of a row and over rows; weight: the number
    of rows, B (sequences, not tokens). Only text tokens take part: the chain begins after [CLS] and ends before [SEP].
    A row without a text token adds 0 to the loss.

    Training is unconstrained, as in the published baselines: gold paths are valid, and the model learns what is not.
    Decoding is constrained: the best path among the valid ones. The probability of a span is its exact probability
    under the trained distribution (see `path_spans`), from one more scan.

    `transitions` (C, C) from row to column, `start_transitions` and `end_transitions` (C,) are parameters of their own
    and begin uniform in [-0.1, 0.1]; an optimiser that gives heads a larger rate serves them well.
    """

    forbidden: Tensor
    forbidden_start: Tensor

    def __init__(self, hidden_size: int, types: int, dropout: float = 0.1) -> None:
        super().__init__(hidden_size, types, dropout)
        tags = tag_count(types)
        self.transitions = nn.Parameter(torch.empty(tags, tags).uniform_(-0.1, 0.1))
        self.start_transitions = nn.Parameter(torch.empty(tags).uniform_(-0.1, 0.1))
        self.end_transitions = nn.Parameter(torch.empty(tags).uniform_(-0.1, 0.1))
        forbidden, start = forbidden_scores(types)
        self.register_buffer("forbidden", forbidden, persistent=False)
        self.register_buffer("forbidden_start", start, persistent=False)

    def chain(self, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
        """Transitions (C, C), start (C,) and end (C,) scores, in the emissions' precision (bf16 weights included)."""
        return self.transitions.to(dtype), self.start_transitions.to(dtype), self.end_transitions.to(dtype)

    def forward(self, hidden: Mapping[str, Tensor], batch: Mapping[str, Tensor], *, want_loss: bool) -> HeadOutput:
        """Scores: emissions (B, L, C). Takes "last" (B, L, H), `text_mask` (B, L) and, for the loss, `spans` (N, 4)."""
        scores = self.emissions(hidden)
        if not want_loss:
            return HeadOutput(None, None, scores)
        emissions, order, lengths = packed(scores, batch["text_mask"])
        tags = self.gold_tags(batch).gather(1, order)
        chain = self.chain(scores.dtype)
        losses = log_partition(emissions, lengths, *chain) - path_score(emissions, lengths, *chain, tags)
        return HeadOutput(float32(losses.sum()), scores.new_tensor(float(len(losses))), scores)

    def divergence(self, first: HeadOutput, second: HeadOutput, batch: Mapping[str, Tensor]) -> Tensor:
        """Mean of the two Kullback-Leibler divergences of the distributions over paths (R-Drop), summed over rows."""
        emissions, _, lengths = packed(first.scores, batch["text_mask"])
        others, _, _ = packed(second.scores, batch["text_mask"])
        return chain_divergence(emissions, others, lengths, *self.chain(emissions.dtype))

    @torch.no_grad()
    def decode(self, output: HeadOutput, batch: Mapping[str, Tensor], options: DecodeOptions) -> list[Spans]:
        """The entities of each row's best valid path. The threshold has no meaning here."""
        emissions, order, lengths = packed(output.scores, batch["text_mask"])
        transitions, start, end = self.chain(emissions.dtype)
        tags = viterbi(emissions, lengths, transitions + self.forbidden, start + self.forbidden_start, end)
        found = marginals(emissions, lengths, transitions, start, end)
        # Marginals that underflow to 0 stay finite in the score.
        own = found.tags.gather(2, tags[..., None]).squeeze(2).clamp(min=torch.finfo(emissions.dtype).tiny).log()
        return path_spans(tags, order, lengths, own, next_tag(found.onward, transitions, tags), options.max_candidates)
