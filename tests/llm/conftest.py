"""The checkpoints that tests of the models share."""

from tests.checkpoints import (  # noqa: F401 - pytest finds fixtures by their names here
    chat_folder,
    decoder_folder,
    encoder,
    encoder_folder,
    fresh_llm,
    labels,
    normalising_folder,
    random_llm,
    sentences,
    splitting_folder,
    splitting_tagger,
    tagger,
    types,
)
