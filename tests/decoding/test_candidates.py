"""The LLM scores candidates in passes over drafts that hold them, each at the cost of an answer."""

import numpy as np
import pytest
import torch

from rayner.decoding.draft_verify import DraftVerifyEngine
from rayner.decoding.engine import WindowRequest
from rayner.decoding.greedy import GreedyEngine
from rayner.decoding.long_texts import TextRequest, answer_texts
from rayner.llm.retrieval import ExampleRetriever
from rayner.text.candidate_scores import plan_candidate_drafts, spell_candidate_draft
from rayner.text.spans import Span
from rayner.text.tag_grammar import TokenRole
from tests.decoding.test_draft_verify import probabilities_of, same

RIVALS = [Span(1, 3, "NR"), Span(1, 3, "NS"), Span(1, 2, "NR"), Span(4, 6, "NB"), Span(0, 4, "NR")]


def engine(llm, softmax_over="allowed", **settings):
    return DraftVerifyEngine(llm, **{"softmax_over": softmax_over, "batch_size": 4, **settings})


def asked(sentences, n=12, candidates=RIVALS):
    chosen = [e for e in sentences if len(e.text) > 7][:n]
    return [WindowRequest(e.text, sentences[100:102], e.spans, candidates=candidates) for e in chosen]


def chance(logits, token, allowed):
    """The probability of a token among the allowed ones, in float64."""
    odds = logits[list(allowed)].double().softmax(0)
    return float(odds[list(allowed).index(token)])


def test_scores_are_those_of_one_pass_over_prompt_and_draft(random_llm, sentences):
    """Read from the logits of the whole sequence, without a cache and without the code that reads scores."""
    compared = 0
    for request in asked(sentences, 6):
        (answer,) = engine(random_llm).answer_requests([request])
        grammar = random_llm.build_grammar(request.text)
        by_span = {score.span: score for score in answer.candidate_scores}
        assert set(by_span) == {*answer.spans, *RIVALS}
        prompt = random_llm.prompt_tokens(request.examples, request.text)
        for draft in plan_candidate_drafts(answer.spans, RIVALS, grammar.spelling.types):
            steps = spell_candidate_draft(grammar, draft)
            with torch.no_grad():
                row = torch.tensor([[*prompt, *(step.token for step in steps)]])
                logits = random_llm.model(input_ids=row).logits[0, len(prompt) - 1 :]
            for span in draft.candidates:
                opened = next(k for k, s in enumerate(steps) if (s.role, s.slot) == (TokenRole.OPEN, span.start))
                closed = next(k for k, s in enumerate(steps) if (s.role, s.slot) == (TokenRole.CLOSE, span.end))
                chances = [chance(logits[k], steps[k].token, steps[k].allowed) for k in range(opened, closed + 1)]
                first = next(k for k in range(opened, closed) if steps[k].role is TokenRole.COPY) - opened
                expected = [chances[0], np.prod(chances[1:first]), np.prod(chances[first:-1]), chances[-1]]
                np.testing.assert_allclose(probabilities_of(by_span[span]), expected, atol=1e-5)
                compared += 1
    assert compared > 30


@pytest.mark.parametrize("softmax_over", ["all", "allowed"])
def test_the_answer_is_the_one_without_candidates(random_llm, sentences, softmax_over):
    requests = asked(sentences)
    bare = [WindowRequest(r.text, r.examples, r.draft) for r in requests]
    decoders = [engine(random_llm, softmax_over), engine(random_llm, softmax_over)]
    found, expected = (d.answer_requests(r) for d, r in zip(decoders, (requests, bare), strict=True))
    for one, other in zip(found, expected, strict=True):
        assert other.candidate_scores is None
        assert one.spans == other.spans
        np.testing.assert_allclose(one.slot_probs, other.slot_probs, atol=1e-5)


def test_scores_are_the_same_under_either_softmax(random_llm, sentences):
    requests = asked(sentences, 4)
    found, other = (engine(random_llm, softmax).answer_requests(requests) for softmax in ("all", "allowed"))
    for one, two in zip(found, other, strict=True):
        chances = [[probabilities_of(score) for score in each.candidate_scores] for each in (one, two)]
        np.testing.assert_allclose(*chances, atol=1e-5)


def test_a_further_pass_costs_the_tokens_of_its_draft_and_the_prompt_is_read_once(random_llm, sentences):
    requests = asked(sentences)
    bare = [WindowRequest(r.text, r.examples, r.draft) for r in requests]
    scoring, plain = engine(random_llm), engine(random_llm)
    found, expected = scoring.answer_requests(requests), plain.answer_requests(bare)
    further = n_drafts = 0
    for request, answer, without in zip(requests, found, expected, strict=True):
        grammar = random_llm.build_grammar(request.text)
        drafts = plan_candidate_drafts(answer.spans, RIVALS, grammar.spelling.types)
        assert answer.passes == without.passes + len(drafts)
        n_drafts += len(drafts)
        # The last token of the prompt is read again, the last token of the draft need not be read.
        further += sum(len(spell_candidate_draft(grammar, draft)) for draft in drafts)
    assert n_drafts > 3 * len(requests)
    assert scoring.cost.tokens - plain.cost.tokens == further


def test_without_rivals_one_further_pass_is_enough(random_llm, sentences):
    requests = asked(sentences, 4, candidates=[])
    plain = engine(random_llm).answer_requests([WindowRequest(r.text, r.examples, r.draft) for r in requests])
    for one, other in zip(engine(random_llm).answer_requests(requests), plain, strict=True):
        assert [score.span for score in one.candidate_scores] == list(one.spans)
        assert one.passes == other.passes + bool(one.spans)


def test_an_empty_text_has_no_candidates(random_llm):
    (empty,) = engine(random_llm).answer_requests([WindowRequest("", candidates=())])
    assert empty.candidate_scores == ()


def test_a_long_text_scores_what_lies_in_the_window_that_keeps_its_start(random_llm, sentences):
    long = "楚懷王之曰大夫將軍漢人" * 4
    candidates = [Span(0, 3, "NR"), Span(10, 13, "NR"), Span(12, 13, "NS"), Span(20, 43, "NR"), Span(42, 44, "NS")]
    request = TextRequest(long, candidates=candidates)
    retriever = ExampleRetriever("fixed", 1, sentences)
    found, reference = (
        answer_texts(each, [request], retriever=retriever, max_chars=12, overlap=4)[0]
        for each in (engine(random_llm), GreedyEngine(random_llm, softmax_over="allowed", batch_size=5))
    )
    same(found, reference)
    scored = [score.span for score in found.candidate_scores]
    assert set(candidates) - {Span(20, 43, "NR")} <= set(scored)
    assert Span(20, 43, "NR") not in scored
    assert len(scored) == len(set(scored))
    assert set(found.spans) <= set(scored)
