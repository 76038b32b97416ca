"""CLUENER2020: entities of ten types in news.

Source: https://github.com/CLUEbenchmark/CLUENER2020, files train.json, dev.json, test.json of its public zip.
Rows: train 10,748, dev 1,343, test 1,345 (unlabelled); texts of at most 50 characters.

    {"text": "...", "label": {"company": {"...": [[0, 3]]}}}          ends inclusive; test rows: id, text

Oddities: one entity of train holds two others, all other gold is flat. The README and the sample answer beside the
data write `goverment`; the data and the official scorer have `government`, and so has this task.
Metrics: the official one is macro F1 over types of entity strings; micro F1 over exact spans is what most code on
GitHub reports on dev. They are different numbers under different ids.
Different from the reference: --recipe clue-bert4keras does not choose the head, which is GlobalPointer there (give
--head globalpointer; ours keeps its biases) and Efficient GlobalPointer, the default here, in RoFormerV2's code.
"""

from tasks.families.entities import Entities
from tasks.families.recipes import CLUE_BERT4KERAS

TASK = Entities(
    name="cluener",
    version=1,
    title="CLUENER2020: fine-grained entities in news, 10 types",
    homepage="https://github.com/CLUEbenchmark/CLUENER2020",
    labels=(
        "address",
        "book",
        "company",
        "game",
        "government",
        "movie",
        "name",
        "organization",
        "position",
        "scene",
    ),
    texts=("text",),
    counts={"train": 10_748, "dev": 1_343, "test": 1_345},
    metrics={
        "cluener:official": "tasks.metrics.entities:CluenerOfficial",
        "span:micro_f1": "tasks.metrics.entities:SpanMicroF1",
    },
    submissions={"test": "cluener_predict.json"},
    official={
        "train.json": "60299d202779dc84f3c3bd81f4dc08f5323d0dbf762cb50cd62dd51aa9a871f8",
        "dev.json": "90036b59832e007c45d11eafe5ed80549f58a18a29aaa7fe8b1229622c69ec38",
        "test.json": "5ca36f6fbe29230a6e3244110fcd9487fc2f5a672f5bfeba82a30f0ece72aa69",
    },
    recipe={"max_length": 128, "batch_size": 32, "epochs": 5},
    named_recipes={"clue-bert4keras": CLUE_BERT4KERAS | {"max_length": 256}},
)
