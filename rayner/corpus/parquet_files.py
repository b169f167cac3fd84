"""Write and read single Parquet files: atomically, and checked against a digest and a schema."""

import hashlib
from collections.abc import Collection, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from rayner.errors import DataError, JobError
from rayner.runs.progress import log
from rayner.runs.storage import StoragePath, atomic_writer, list_file_names


def write_table(table: pa.Table, path: StoragePath, float_lists: Sequence[str] = ()) -> str:
    """Write a Parquet file atomically and return the SHA-256 of its bytes. Create its folder if necessary.

    float_lists: columns with lists of floats that hardly repeat. Their bytes are regrouped, which makes the file
        smaller.

    Raises OSError, or pyarrow.ArrowException if the table has a null where its schema forbids nulls.
    """
    buffer = pa.BufferOutputStream()
    options = {}
    if float_lists:
        options = {
            "use_dictionary": [name for name in table.column_names if name not in float_lists],
            "column_encoding": {f"{name}.list.element": "BYTE_STREAM_SPLIT" for name in float_lists},
        }
    pq.write_table(table, buffer, compression="zstd", write_page_checksum=True, **options)
    content = buffer.getvalue()
    with atomic_writer(path) as stream:
        stream.write(content)
    return hashlib.sha256(content).hexdigest()


def read_table(
    path: StoragePath, schema: pa.Schema, sha256: str | None = None, *, optional: Collection[str] = ()
) -> pa.Table:
    """Read the columns of `schema` from a Parquet file.

    Args:
        path: The file.
        schema: The columns to read.
        sha256: The SHA-256 that the file must have; None if it is not known.
        optional: Columns that older files do not have. A missing one is null in all rows.

    Raises:
        DataError: The message names the file. It is missing or has another digest, or a column is missing or has
            another type.
        JobError: The file cannot be read now, which says nothing about its content.

    """
    content = read_bytes_with_digest(path, sha256)
    try:
        # pq.read_table would add a column for each folder in the path that is named like `a=b`.
        with pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True) as file:
            missing = [name for name in schema.names if name not in file.schema_arrow.names]
            table = file.read(columns=[name for name in schema.names if name not in missing])
        table.validate(full=True)  # finds text that is not UTF-8, in a damaged file
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        raise DataError(f"{path}: expected a Parquet file, found: {str(error).partition(chr(10))[0]}") from None
    for name in missing:
        if name not in optional:
            raise DataError(f"{path}: expected a column {name}, found none")
        table = table.append_column(schema.field(name), pa.nulls(len(table), schema.field(name).type))
    for name in schema.names:
        expected, found = schema.field(name).type, table.schema.field(name).type
        if found != expected:
            raise DataError(f"{path}: expected column {name} to be {expected}, found {found}")
    return table.select(schema.names)


def read_bytes_with_digest(path: StoragePath, sha256: str | None) -> bytes:
    """Read a file that must have the given SHA-256, unless it is None. The errors are those of `read_table`."""
    try:
        content = path.read_bytes()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise DataError(f"{path}: expected a Parquet file, found: {error.strerror or error}") from None
    except OSError as error:
        raise JobError(f"{path}: cannot be read: {error.strerror or error}; try again") from None
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise DataError(
            f"{path}: expected the file that was written, found another content: it was damaged or changed. Run the "
            "tagging job again to restore it"
        )
    return content


def list_readable_tables(folder: StoragePath, schema: pa.Schema, *, optional: Collection[str] = ()) -> set[str]:
    """Return the names of the Parquet files in a folder that can be read. The log names the others.

    optional: as in `read_table`.
    """
    names = set()
    for name in list_file_names(folder, "", ".parquet"):
        try:
            read_table(folder / name, schema, optional=optional)
        except DataError as error:
            log.warning("%s: it is written again", error)
        else:
            names.add(name)
    return names
