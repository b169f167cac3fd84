"""Garbage collection is paused while models are loaded, and goes on afterwards as before."""

import gc

import pytest

from rayner.runs.memory import garbage_collection_paused


@pytest.fixture(autouse=True)
def collection_as_before():
    was_enabled = gc.isenabled()
    yield
    (gc.enable if was_enabled else gc.disable)()


def test_collection_is_paused_in_the_block_alone():
    gc.enable()
    with garbage_collection_paused():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_it_goes_on_after_an_error():
    gc.enable()
    with pytest.raises(ValueError, match="no model"), garbage_collection_paused():
        raise ValueError("no model")
    assert gc.isenabled()


def test_what_was_off_stays_off():
    gc.disable()
    with garbage_collection_paused():
        assert not gc.isenabled()
    assert not gc.isenabled()
