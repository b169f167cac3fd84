"""Make the LLM's training examples for supervised fine-tuning (SFT).

The examples are tokenised once by Ray Data actors and stored as Parquet files, which every training worker reads. Only
these actors load the retrieval index and embed sentences. A training worker reads only token ids.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import ray.data

from rayner.config.conditions import prompts_show_hints
from rayner.config.settings import Config
from rayner.corpus.parquet_files import list_readable_tables, read_table, write_table
from rayner.errors import JobError, RaynerError
from rayner.llm.prompt_encoder import PromptEncoder, load_prompt_encoder
from rayner.llm.retrieval import ExampleRetriever
from rayner.llm.sft import SftExample, SftSentence, build_sft_example, split_long_sentence
from rayner.modeling.devices import set_torch_threads
from rayner.runs.error_messages import RERUN_HINT, format_error
from rayner.runs.job_log import start_logging
from rayner.runs.progress import Progress, log
from rayner.runs.run_folder import Run
from rayner.runs.storage import StoragePath, list_file_names, local_model_name
from rayner.steps import data
from rayner.steps.llm_loading import choose_instruction, load_retriever
from rayner.steps.training.cross_fit_slm import read_hints_by_text

# Sentences in one file. Sentences are embedded file by file, so this number affects which sentences share a batch of
# the encoder.
FILE_SENTENCES = 2_000
SFT_SCHEMA = pa.schema(
    [
        pa.field("prompt", pa.list_(pa.int32()), nullable=False),  # token ids before the answer
        pa.field("answer", pa.list_(pa.int32()), nullable=False),  # token ids of the answer, without the end token
        pa.field("allowed", pa.list_(pa.list_(pa.int32())), nullable=False),  # token ids allowed at each answer token
    ]
)


@dataclass(frozen=True)
class SftSource:
    """The inputs of training examples, and the folder where the examples are stored.

    base: checkpoint whose tokenizer encodes the examples.
    part: which labelled sentences are used, such as `train`.
    folder: folder of the Parquet files.
    file_sentences: largest number of sentences in one file.
    """

    config: Config
    run: Run
    base: str
    part: str
    folder: StoragePath
    file_sentences: int = FILE_SENTENCES

    def read_sentence_groups(self) -> list[list[SftSentence]]:
        """Read the sentences in groups of `prompt.group` neighbours. A group shares its retrieved examples.

        A sentence longer than `llm.max_chars` is first split into windows. The hint of a window is cut out of that of
        the sentence.
        """
        llm, size = self.config.llm, self.config.prompt.group
        hints = read_hints_by_text(self.config, self.run) if prompts_show_hints(self.config) else None
        pieces = [
            piece
            for sentence in data.read_part(self.run, self.part)
            for piece in split_long_sentence(
                SftSentence(sentence.text, sentence.spans, hint=None if hints is None else hints[sentence.text]),
                llm.max_chars,
                llm.overlap,
            )
        ]
        return [pieces[i : i + size] for i in range(0, len(pieces), size)]

    def assign_groups_to_files(self, groups: Sequence[list[SftSentence]]) -> dict[str, list[list[SftSentence]]]:
        """Assign the groups, in order, to files of at most `file_sentences` sentences; return the groups by file name.

        A file holds at least one group, even if the group is larger than `file_sentences`.
        """
        size = max(1, self.file_sentences // self.config.prompt.group)
        return {f"{i // size:06d}.parquet": list(groups[i : i + size]) for i in range(0, len(groups), size)}


def write_missing_sft_examples(source: SftSource) -> None:
    """Tokenise the training sentences with their examples, using Ray Data actors; keep files that can be read.

    Raises JobError if a file could not be written.
    """
    files = source.assign_groups_to_files(source.read_sentence_groups())
    readable = list_readable_tables(source.folder, SFT_SCHEMA)
    missing = [name for name in files if name not in readable]
    if not missing:
        return
    n_sentences = sum(len(group) for name in missing for group in files[name])
    log.info("LLM: tokenising %d training sentences with their examples", n_sentences)
    progress = Progress("LLM training examples", n_sentences, "sentences")
    score = source.config.score
    dataset: ray.data.Dataset = ray.data.from_items(
        [{"file": name} for name in missing], override_num_blocks=len(missing)
    )
    actor: Any = SftExampleWriter  # Ray's types accept only classes whose constructor has no arguments
    remote: Any = {"num_cpus": score.cpus, "num_gpus": score.gpus or None, "max_restarts": score.max_restarts}
    written = dataset.map(
        actor,
        fn_constructor_kwargs={"source": source},
        compute=ray.data.ActorPoolStrategy(size=min(score.actors, len(missing))),
        **remote,
    )
    for row in written.iter_rows():
        if row.get("failure"):
            raise JobError(row["failure"])
        progress.advance(int(row["sentences"]))


class SftExampleWriter:
    """Ray Data actor that writes one file of training examples per call."""

    def __init__(self, source: SftSource) -> None:
        start_logging()
        config, run = source.config, source.run
        set_torch_threads(int(config.score.cpus))
        types = run.entity_types()
        self.folder, self.files = source.folder, source.assign_groups_to_files(source.read_sentence_groups())
        self.load_failure: str | None = None
        try:
            self.retriever = load_retriever(config, run)
            self.encoder = load_prompt_encoder(
                local_model_name(source.base),
                instruction=choose_instruction(config, types),
                types=types,
                chat=config.llm.chat,
                hint=config.llm.hint,
            )
        except RaynerError as error:
            # A model that is wrong stays wrong. Raised here, the error would only make Ray start the actor again.
            self.load_failure = str(error)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Write the file that the row names; return its number of sentences, or an error message.

        Errors are returned and not raised, because Ray Data would wrap an exception and lose its cause.
        """
        if self.load_failure is not None:
            return {"file": row["file"], "failure": self.load_failure}
        try:
            examples = build_group_examples(self.encoder, self.retriever, self.files[row["file"]])
            write_table(examples_to_table(examples), self.folder / row["file"])
        except Exception as error:
            log.exception("%s failed", row["file"])
            failure = f"{self.folder / row['file']}: {format_error(error)}; {RERUN_HINT}"
            return {"file": row["file"], "failure": failure}
        return {"file": row["file"], "sentences": len(examples)}


def build_group_examples(
    encoder: PromptEncoder, retriever: ExampleRetriever, groups: Sequence[Sequence[SftSentence]]
) -> list[SftExample]:
    """Build a training example for every sentence, in order. The sentences of a group share retrieved examples.

    The retrieved examples never include a sentence of the group or a duplicate of one. Prompts for tagging are built
    in the same way.
    """
    retrieved = retriever.find_shared_examples([tuple(sentence.text for sentence in group) for group in groups])
    return [
        build_sft_example(encoder, examples, sentence, sentence.hint)
        for examples, group in zip(retrieved, groups, strict=True)
        for sentence in group
    ]


def examples_to_table(examples: Sequence[SftExample]) -> pa.Table:
    """Convert training examples to a table of SFT_SCHEMA."""
    columns = {name: [getattr(example, name) for example in examples] for name in SFT_SCHEMA.names}
    return pa.table(columns, schema=SFT_SCHEMA)


class SftExamples:
    """Training examples, stored in a table of SFT_SCHEMA.

    An example is converted to Python lists only when it is read, so the examples use little memory.
    """

    def __init__(self, table: pa.Table) -> None:
        self._columns = [column.combine_chunks() for column in table.columns]

    def __len__(self) -> int:
        return len(self._columns[0])

    def __getitem__(self, i: int) -> SftExample:
        prompt, answer, allowed = (column[i].as_py() for column in self._columns)
        return SftExample(prompt, answer, [tuple(tokens) for tokens in allowed])

    def count_tokens(self) -> list[int]:
        """Return the number of tokens of every example, counting prompt and answer."""
        prompt, answer, _ = self._columns
        total: list[int] = pc.add(pc.list_value_length(prompt), pc.list_value_length(answer)).to_pylist()
        return total

    def count_loss_positions(self, loss_over: str) -> list[int]:
        """Return for every example the number of tokens that count in the loss.

        loss_over: `all` (the answer and the end token) or `allowed` (tokens of the answer where several are allowed).
        """
        _, answer, allowed = self._columns
        if loss_over == "all":
            return [n + 1 for n in pc.list_value_length(answer).to_pylist()]
        has_choice = np.asarray(pc.greater(pc.list_value_length(pc.list_flatten(allowed)), 1))
        example = np.asarray(pc.list_parent_indices(allowed))[has_choice]
        counts: list[int] = np.bincount(example, minlength=len(self)).tolist()
        return counts


def read_sft_examples(folder: StoragePath) -> SftExamples:
    """Read the training examples that `write_missing_sft_examples` wrote, in the order of the sentences."""
    tables = [read_table(folder / name, SFT_SCHEMA) for name in sorted(list_file_names(folder, "", ".parquet"))]
    return SftExamples(pa.concat_tables([SFT_SCHEMA.empty_table(), *tables]))
