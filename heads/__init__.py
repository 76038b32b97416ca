"""PyTorch heads and decoders of the CLUE and LIC2020 baselines; each can be used alone, without the rest of clue.

    heads.classification          Classification            one label a text or pair
    heads.choice                  Choice                    which of the choices of a question, of any number
    heads.tagging                 SoftmaxTagging            BIO tags, token by token
    heads.crf                     CRFTagging                BIO tags, linear-chain CRF
    heads.globalpointer           GlobalPointer             typed spans, nested and overlapping
    heads.efficient_globalpointer EfficientGlobalPointer    the same with factorised scores, for many types
    heads.gplinker                GPLinker                  relations: subjects, objects and the links between them
    heads.event_linker            EventGPLinker             events: typed spans and the links between those of one event
    heads.casrel                  CasRel                    relations: subjects, then the objects of each
    heads.reading                 ReadingGlobalPointer      the answer in a passage: one softmax over all spans
    heads.reading                 StartEnd                  the same with a softmax for its start and one for its end

Under them: `heads.linear_chain` (partition function, marginals, best path), `heads.factorised` (the layer of Efficient
GlobalPointer), `heads.span_loss` and `heads.span_decode` (multi-label span loss and answers), `heads.divergence`
(R-Drop), `heads.rotary`, `heads.layers`. Import the module you need; importing `heads` imports no torch.
"""
