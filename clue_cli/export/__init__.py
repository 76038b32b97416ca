"""`clue export`: a run as an ONNX graph, which gives the run's own answers wherever onnxruntime runs.

    DIR/
      clue.json            as in a run's model, with `format_of_weights`, and under `export` how it was made and checked
      model.onnx           encoder and head up to the head's raw scores; batch and length are free
      head.safetensors     the head's parameters: what decoding takes of them (the transitions of a CRF)
      encoder/             configuration and tokenizer, without weights

    graph        the model of a run as a graph
    onnx_model   an exported directory as a model that predicts
    check        answers and scores of the two, beside each other
    int8         a graph with its matrices in 8 bits
    exporting    all of it in order: what the verb does

The packages for it (`packages`) are an extra of their own, and imported only here.
"""

OPSET = 20
"""The version of ONNX's operators: old enough for other runtimes too, and newer ones made nothing faster.

(What torch 2.13 writes in version 23 for a ModernBERT, onnxruntime 1.31 does not run.)
"""
