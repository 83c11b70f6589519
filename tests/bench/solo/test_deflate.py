"""Why messages are not compressed: what it would cost is measured, not supposed."""

import zlib

import pytest

from bench.solo import deflate


def test_compressing_for_each_connection_costs_more_cpu_and_memory_than_delivering() -> None:
    messages = deflate.plain_messages(8)
    found = deflate.measure(messages, 8, deflate.WAYS[0])
    bare = sum(len(each) for flush in messages for each in flush) / (deflate.FLUSHES * 7)
    assert found.bytes < bare / 4, "it would save much"
    assert found.memory_bytes > 250 * 1024
    assert found.cpu_us > 0


def test_what_is_measured_is_what_a_client_could_read() -> None:
    way = deflate.WAYS[0]
    compressor, decompressor = way.compressor(), zlib.decompressobj(-way.bits)
    for flush in deflate.compact_messages(3)[:5]:
        for each in flush:
            data = compressor.compress(each) + compressor.flush(zlib.Z_SYNC_FLUSH)
            assert decompressor.decompress(data) == each


def test_the_table_has_a_line_for_each_way(capsys: pytest.CaptureFixture[str]) -> None:
    deflate.main(["--people", "2"])
    out = capsys.readouterr().out
    assert out.count("with context, 15 bits") == 2
    assert "2 people, compact" in out
    with pytest.raises(SystemExit):
        deflate.main(["--people", "1"])
