"""Maximal cliques of a small graph: exact, in a fixed order, at a bounded cost.

Bron and Kerbosch (1973) with the pivot of Tomita et al. (2006), over sets of nodes held as the bits of whole numbers
and with a stack of its own. Nodes with one and the same closed neighbourhood lie in the same maximal cliques and are
one node to the search, so that a graph of separate cliques, which links of events mostly are, costs next to nothing.

A graph can have 3^(n/3) maximal cliques, so the search has a budget: a number of steps, never a time, so that the same
graph gives the same answer on every machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

BUDGET = 10_000
"""Steps of one search by default; a step is one intersection of two sets of nodes. No text of DuEE or DuEE-fin that was
at hand takes over 150."""


class Cliques(NamedTuple):
    """The maximal cliques of a graph.

    cliques:  each an ascending tuple of nodes, in ascending order; every node is in one of them.
    complete: whether these are all; else the search stopped at its budget, and each of these is maximal all the same.
    steps:    what the search took of its budget.
    """

    cliques: tuple[tuple[int, ...], ...]
    complete: bool
    steps: int


def maximal_cliques(nodes: int, edges: Iterable[tuple[int, int]], budget: int = BUDGET) -> Cliques:
    """The maximal cliques of the graph on nodes 0 .. `nodes` - 1; an edge is a pair in any order, loops count not.

    At the end of the budget, what was found is made whole: every node without a clique gets a maximal one, grown from
    it by always taking the first node that fits. IndexError for an edge to a node that there is not.
    """
    closed = [1 << node for node in range(nodes)]
    for first, second in edges:
        if min(first, second) < 0:
            raise IndexError(f"an edge between {first} and {second} in a graph of nodes from 0 on")
        closed[first] |= 1 << second
        closed[second] |= 1 << first
    twins: dict[int, int] = {}
    for node, neighbourhood in enumerate(closed):
        twins[neighbourhood] = twins.get(neighbourhood, 0) | 1 << node
    groups = [members & -members for members in twins.values()]
    leaders = sum(groups)
    found, complete, steps = _search(
        leaders, {g.bit_length() - 1: closed[g.bit_length() - 1] & leaders for g in groups}, budget
    )
    covered = 0
    for clique in found:
        covered |= clique
    for leader in bits(leaders):
        if not covered >> leader & 1:
            found.append(_grown(leader, closed, leaders))
            covered |= found[-1]
    whole = sorted(tuple(sorted(n for leader in bits(c) for n in bits(twins[closed[leader]]))) for c in found)
    return Cliques(tuple(whole), complete, steps)


def _search(everything: int, closed: dict[int, int], budget: int) -> tuple[list[int], bool, int]:
    """Maximal cliques as sets, whether they are all, and the steps taken; `closed` are closed neighbourhoods."""
    found: list[int] = []
    steps = 0
    # A frame: the clique so far, its candidates, the nodes done with, the candidates still to be tried here.
    stack: list[tuple[int, int, int, int]] = []
    clique, candidates, done = 0, everything, 0
    while everything:
        if candidates | done:
            steps += (candidates | done).bit_count()
            if steps > budget:
                return found, False, budget
            pivot = max(bits(candidates | done), key=lambda node: (closed[node] & candidates).bit_count())
            stack.append((clique, candidates, done, candidates & ~(closed[pivot] & ~(1 << pivot))))
        else:
            found.append(clique)
        while stack and not stack[-1][3]:
            stack.pop()
        if not stack:
            break
        clique, candidates, done, untried = stack.pop()
        bit = untried & -untried
        stack.append((clique, candidates & ~bit, done | bit, untried & ~bit))
        neighbours = closed[bit.bit_length() - 1] & ~bit
        clique, candidates, done = clique | bit, candidates & neighbours, done & neighbours
    return found, True, steps


def _grown(node: int, closed: list[int], everything: int) -> int:
    """A maximal clique around `node`, always the first node that fits."""
    clique, candidates = 1 << node, closed[node] & everything & ~(1 << node)
    while candidates:
        bit = candidates & -candidates
        clique |= bit
        candidates &= closed[bit.bit_length() - 1] & ~bit
    return clique


def bits(nodes: int) -> Iterator[int]:
    """The members of a set of nodes, ascending."""
    while nodes:
        bit = nodes & -nodes
        yield bit.bit_length() - 1
        nodes ^= bit
