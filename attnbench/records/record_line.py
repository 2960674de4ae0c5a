"""A record as a line of its file, whatever schema that is of."""

import json
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any

from attnbench.cases.protocol import SYSTEM
from attnbench.errors import AttnbenchError
from attnbench.machine.devices import device_of
from attnbench.records import lines
from attnbench.records.codec import Row, from_row, to_row
from attnbench.records.record import SCHEMA, Record

ADDED: dict[int, dict[str, Any]] = {  # by schema, and what rows from before it stand for
    3: {"predicted_bytes": None, "available_bytes": None, "memory": None},
    4: {"compile": "off", "cuda_graph": False, "relative_error": None, "preparation_s": None},
    5: {},
}
ALLOCATOR_SINCE = 4  # protocols before it said nothing of one, and had the system's
OLDEST = min(ADDED) - 1  # the first schema that is still read


def to_line(record: Record) -> str:
    """The line of a record, with its end; a number that JSON has not is a `ValueError`."""
    return json.dumps(_as_of_its_schema(record), ensure_ascii=False, allow_nan=False) + "\n"


def _as_of_its_schema(record: Record) -> Row:
    """A record as a row, without what rows of its schema did not have yet."""
    row = to_row(record)
    for schema, added in ADDED.items():
        if schema > record.schema:
            row = {name: value for name, value in row.items() if name not in added}
    if record.schema < ALLOCATOR_SINCE:
        del row["protocol"]["allocator"]
    return row


def damaged(path: Path, number: int, what: str) -> AttnbenchError:
    """What is said of the line of this number."""
    return AttnbenchError(
        f"{path}, line {number} {what}. The line is damaged: remove it, and the rest of the file can be read."
    )


def from_line(line: bytes, path: Path, number: int) -> Record:
    """The record of the line of this number; one that cannot be read is an `AttnbenchError`."""
    try:
        row: Any = lines.parse(line)
    except ValueError as error:
        raise damaged(path, number, f"is {error}") from None
    if not isinstance(row, dict):
        raise damaged(path, number, "is not a JSON object")
    schema = row.get("schema", 0)
    if schema not in range(OLDEST, SCHEMA + 1):
        raise AttnbenchError(
            f"{path}, line {number} has schema {schema}; this attnbench reads schemas "
            f"{OLDEST} to {SCHEMA}. Use the version of attnbench that wrote the file."
        )
    lacking = (added for since, added in ADDED.items() if since > schema)
    row = reduce(or_, lacking, row)
    try:
        if schema < ALLOCATOR_SINCE:
            row = row | {"protocol": {"allocator": SYSTEM} | row["protocol"]}
        record = from_row(Record, row)
        device_of(record.case.device)
    except (AttnbenchError, KeyError, TypeError, ValueError) as error:
        raise damaged(path, number, f"is not a record: {str(error).rstrip('.')}") from None
    return record
