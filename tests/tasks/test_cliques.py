"""Maximal cliques against networkx, and against graphs that are made to have too many."""

from __future__ import annotations

import itertools
import random

import networkx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.families.cliques import BUDGET, Cliques, maximal_cliques

Edges = list[tuple[int, int]]


def by_networkx(nodes: int, edges: Edges) -> list[tuple[int, ...]]:
    graph = networkx.Graph()
    graph.add_nodes_from(range(nodes))
    graph.add_edges_from(edge for edge in edges if edge[0] != edge[1])
    return sorted(tuple(sorted(clique)) for clique in networkx.find_cliques(graph))


def check_valid(found: Cliques, nodes: int, edges: Edges) -> None:
    """Every clique is one, none can be larger, every node is in one, none comes twice, all in order."""
    linked = [{node} for node in range(nodes)]
    for first, second in edges:
        linked[first].add(second)
        linked[second].add(first)
    assert {node for clique in found.cliques for node in clique} == set(range(nodes))
    assert list(found.cliques) == sorted(set(found.cliques))
    for clique in found.cliques:
        assert list(clique) == sorted(clique)
        assert set.intersection(*(linked[node] for node in clique)) == set(clique)


def drawn(random_: random.Random, nodes: int, share: float) -> Edges:
    return [pair for pair in itertools.combinations(range(nodes), 2) if random_.random() < share]


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9, 0.97])
def test_thousands_of_random_graphs(share: float) -> None:
    random_ = random.Random(f"cliques {share}")
    for _ in range(500):
        nodes = random_.randrange(14)
        edges = drawn(random_, nodes, share)
        found = maximal_cliques(nodes, edges)
        assert found.complete
        assert list(found.cliques) == by_networkx(nodes, edges)


graphs = st.integers(0, 9).flatmap(
    lambda nodes: st.tuples(
        st.just(nodes),
        st.lists(st.tuples(st.integers(0, max(0, nodes - 1)), st.integers(0, max(0, nodes - 1))), max_size=40)
        if nodes
        else st.just([]),
    )
)


@given(graphs, st.randoms(use_true_random=False))
def test_loops_repetitions_and_the_order_of_edges_change_nothing(
    graph: tuple[int, Edges], random_: random.Random
) -> None:
    nodes, edges = graph
    shuffled = [edge if random_.random() < 0.5 else edge[::-1] for edge in edges] + edges[:2]
    random_.shuffle(shuffled)
    found = maximal_cliques(nodes, edges)
    assert list(found.cliques) == by_networkx(nodes, edges)
    assert found == maximal_cliques(nodes, shuffled)


@given(graphs, st.integers(0, 60))
def test_any_budget_gives_valid_cliques_and_keeps_to_it(graph: tuple[int, Edges], budget: int) -> None:
    nodes, edges = graph
    found, all_of_them = maximal_cliques(nodes, edges, budget), maximal_cliques(nodes, edges)
    assert found.steps <= budget or found.complete
    assert found.complete == (all_of_them.steps <= budget)
    assert set(found.cliques) <= set(all_of_them.cliques)
    check_valid(found, nodes, [edge for edge in edges if edge[0] != edge[1]])


HOSTILE = {
    "no pair (2i, 2i+1): 2^30 cliques": [p for p in itertools.combinations(range(60), 2) if p[1] != p[0] ^ 1],
    "no pair within threes: 3^20 cliques": [p for p in itertools.combinations(range(60), 2) if p[0] // 3 != p[1] // 3],
    "a hundred pairs missing": sorted(
        set(itertools.combinations(range(60), 2))
        - {tuple(sorted(random.Random(i).sample(range(60), 2))) for i in range(100)}  # type: ignore[misc]
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_graph_ends_within_the_budget_and_says_so(name: str) -> None:
    found = maximal_cliques(60, HOSTILE[name])
    assert not found.complete
    assert found.steps == BUDGET
    check_valid(found, 60, HOSTILE[name])
    assert found == maximal_cliques(60, HOSTILE[name])


def test_what_a_few_missing_pairs_leave_is_found_whole() -> None:
    missing = {(0, 1), (2, 3), (10, 59), (4, 5)}
    edges = [pair for pair in itertools.combinations(range(60), 2) if pair not in missing]
    found = maximal_cliques(60, edges)
    assert (len(found.cliques), found.complete) == (16, True)
    assert found.steps < 100  # 52 nodes have one neighbourhood, and count as one


def test_the_number_of_steps_is_part_of_the_answer() -> None:
    """Where a budget ends, steps decide which cliques are found: counting or choosing otherwise changes answers."""
    edges = drawn(random.Random("steps"), 30, 0.5)
    whole, half = maximal_cliques(30, edges), maximal_cliques(30, edges, budget=300)
    assert (whole.steps, len(whole.cliques), len(half.cliques)) == (915, 177, 65)


def test_separate_cliques_cost_next_to_nothing() -> None:
    events = [range(k * 12, k * 12 + 12) for k in range(40)]
    edges = [pair for event in events for pair in itertools.combinations(event, 2)]
    found = maximal_cliques(480, edges)
    assert found.cliques == tuple(tuple(event) for event in events)
    assert found.steps < 1000


def test_hundreds_of_nodes_need_no_recursion() -> None:
    """A chain of cliques that share a node each: deeper than any stack of calls would be wide."""
    edges = [(i, j) for i in range(3000) for j in (i + 1, i + 2) if j < 3000]
    found = maximal_cliques(3000, edges, budget=10**9)
    assert found.cliques == tuple((i, i + 1, i + 2) for i in range(2998))


@pytest.mark.parametrize("edge", [(0, 3), (3, 0), (-1, 0)])
def test_an_edge_to_a_node_that_there_is_not_is_refused(edge: tuple[int, int]) -> None:
    with pytest.raises(IndexError):
        maximal_cliques(3, [edge])


def test_nothing_has_no_cliques() -> None:
    assert maximal_cliques(0, []) == Cliques((), True, 0)
    assert maximal_cliques(2, []).cliques == ((0,), (1,))
