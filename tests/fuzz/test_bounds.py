"""Bombs, depth and odd lengths: no odd item takes a second or 200 MB, measured in a process of its own."""

import subprocess
import sys

import pytest

SECONDS, MEGABYTES = 1.0, 200

MEASURE = """
import resource, sys, time, zlib
from tests.fuzz.registry import targets
from tests.fuzz.targets.files import CSV, JSON, _opened, see_parts
from tests.fuzz.targets.http import answer_of, pages, reasons
from tests.fuzz.targets.records import CLIENTS, see_record

MB = 2**20
ORDER = b'{{"id": 7, "status": "NEW", "createdAt": "2026-10-01"'
ROW = b"id,status,createdAt" + bytes([10])

def packed(block, count, head=b""):
    pack = zlib.compressobj(1, zlib.DEFLATED, 31)
    return b"".join([pack.compress(head), *(pack.compress(block) for _ in range(count)), pack.flush()])

def read(name, data, form=JSON):
    return see_parts(_opened(name, data).parts(form))

targets()
made = {made}
before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
{does}
print(time.process_time() - began, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""

CASES = {
    "zeros in gzip": ("packed(bytes(MB), 300)", "read('a.json.gz', made)"),
    "blanks in gzip": ("packed(b' ' * MB, 300)", "read('a.json.gz', made)"),
    "gzip in gzip": ("packed(packed(bytes(MB), 100), 1)", "read('a.ndjson.gz', made)"),
    "a line without an end": ("packed(b'x' * MB, 50)", "read('a.ndjson.gz', made)"),
    "a row without an end": ("packed(b'x' * MB, 50, ROW)", "read('a.csv.gz', made, CSV)"),
    "depth": ("b'[' * 7 * MB", "read('a.json', made); see_record(CLIENTS['erp_json'], made)"),
    "many keys": (
        "ORDER + b','.join([b''] + [b'\"%d\":0' % n for n in range(600000)]) + b'}'",
        "see_record(CLIENTS['erp_json'], made)",
    ),
    "one key many times": ("ORDER + b',\"x\":0' * MB + b'}'", "see_record(CLIENTS['erp_json'], made)"),
    "digits": ("ORDER + b',\"title\":' + b'7' * 7 * MB + b'}'", "see_record(CLIENTS['erp_json'], made)"),
    "words of a status": (
        'b\'{"MaintenanceOrder":"1","SystemStatus":"\' + b\'A \' * 3 * MB + b\'"}\'',
        "see_record(CLIENTS['sap_pm'], made)",
    ),
    "lines in a cell": ("ROW + b'1,NEW,\"' + b'x\\n' * 2 * MB + b'\"'", "see_record(CLIENTS['csv_folder'], made)"),
    "quotes in a cell": ("ROW + b'1,NEW,\"' + b'\"\"' * 3 * MB", "see_record(CLIENTS['csv_folder'], made)"),
    "a formula without an end": ("ROW + b'=\"' + b'x' * 6 * MB + b',NEW,'", "see_record(CLIENTS['csv_folder'], made)"),
    "NaN behind a long text": ("b'[\"' + b'x' * 8 * MB + b'\",NaN]'", "pages(made)"),
    "an error of many parts": ("b'{\"errors\":[' + b'{},' * 80000 + b'1]}'", "reasons(made[:64 * 1024])"),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_no_odd_item_takes_a_second_or_200_mb(case):
    made, does = CASES[case]
    code = MEASURE.replace("{{", "{").replace("{made}", made).replace("{does}", does)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    seconds, megabytes = map(float, run.stdout.split())
    assert seconds < SECONDS * 3  # what measures them reads each several times over
    assert megabytes < MEGABYTES
