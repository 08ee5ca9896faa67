"""fastavro_rate.py FOLDER: records per CPU second that fastavro reads to dicts and writes from them.

FOLDER holds `schema.json` and `datums`: each a length in four bytes, then a datum of that schema.
"""

import io
import json
import sys
import time
from pathlib import Path

from fastavro import parse_schema, schemaless_reader, schemaless_writer

ROUNDS = 10

folder = Path(sys.argv[1])
schema = parse_schema(json.loads((folder / "schema.json").read_text()))
data = (folder / "datums").read_bytes()
datums, at = [], 0
while at < len(data):
    length = int.from_bytes(data[at : at + 4], "big")
    datums.append(data[at + 4 : at + 4 + length])
    at += 4 + length

records = [schemaless_reader(io.BytesIO(datum), schema) for datum in datums]
started = time.process_time()
for _ in range(ROUNDS):
    for datum in datums:
        schemaless_reader(io.BytesIO(datum), schema)
read = time.process_time() - started
started = time.process_time()
for _ in range(ROUNDS):
    for record in records:
        schemaless_writer(io.BytesIO(), schema, record)
written = time.process_time() - started
print(ROUNDS * len(datums) / read, ROUNDS * len(datums) / written)
