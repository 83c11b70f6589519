"""What is written: numbers as measured, names as text, nothing fetched, nothing that varies."""

import re
from collections.abc import Iterator
from pathlib import Path
from xml.parsers import expat

import pytest
from msgspec.structs import replace

from bench.report import write_report
from bench.results import BadResults, Results, load, save
from tests.bench.report.synthetic import (
    NOTHING,
    disruptions,
    latencies,
    moments,
    results,
    run,
    target,
)
from tests.reading import Page, column, read

REMARK = "the generator <was> busy | 97 % of its core"
NASTY = '<script>alert(1)</script> | "a" & $x_1^2$ `code` \\'


def full() -> Results:
    """Every scenario against two targets, one of them with a name that means something to HTML,
    Markdown and TeX.
    """
    runs = []
    for name, ms in (("one", 3.0), (NASTY, 12.0)):
        runs += [
            run("baseline", name, delivery=latencies(ms), moments=moments(30, ms, 50)),
            *(
                run("ladder", name, people=people, delivery=latencies(ms * people / 500))
                for people in (500, 1_000, 2_000)
            ),
            run(
                "faults",
                name,
                people=500,
                moments=moments(700, ms, 500),
                disruptions=disruptions(120, 700, 0.3),
                reconnect=latencies(40),
            ),
        ]
    runs[0] = replace(runs[0], remarks=(REMARK,), foreign=2)
    return results(runs)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    write_report(full(), folder)
    return folder


@pytest.fixture(scope="module")
def page(folder: Path) -> Page:
    return read(folder.joinpath("report.html").read_text())


@pytest.fixture(scope="module")
def text(folder: Path) -> str:
    return folder.joinpath("report.md").read_text()


def test_the_files_are_those_that_are_named(tmp_path: Path) -> None:
    paths = write_report(full(), tmp_path / "not there yet")
    assert [path.name for path in paths[:2]] == ["report.html", "report.md"]
    written = {path for path in (tmp_path / "not there yet").rglob("*") if path.is_file()}
    assert set(paths) == written
    assert len(paths) == len(written)


def test_the_same_results_make_the_same_files(folder: Path, tmp_path: Path) -> None:
    save(full(), tmp_path / "results.json")
    for path in write_report(load(tmp_path / "results.json"), tmp_path / "again"):
        again = path.relative_to(tmp_path / "again")
        assert path.read_bytes() == (folder / again).read_bytes(), again


def test_the_page_needs_nothing_but_itself(folder: Path, page: Page) -> None:
    assert not page.elements & {"script", "link", "img", "iframe", "object", "image", "base"}
    for element, name, value in page.attributes:
        if name in ("href", "xlink:href"):
            assert value.startswith("#"), (element, value)
        assert name not in ("src", "srcset", "data", "action")
        assert not name.startswith("on"), (element, name)
    source = folder.joinpath("report.html").read_text()
    assert "@import" not in source
    assert all(each.startswith("#") for each in re.findall(r"url\(['\"]?(.)", source))


def test_ids_are_unique_and_references_lead_somewhere(page: Page) -> None:
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    used = {value[1:] for _, name, value in page.attributes if name in ("href", "xlink:href")}
    assert used <= set(ids)


def test_every_chart_is_well_formed_and_described(folder: Path, page: Page) -> None:
    charts = list(folder.joinpath("charts").iterdir())
    for chart in charts:
        expat.ParserCreate().Parse(chart.read_bytes(), True)
    labels = [value for tag, name, value in page.attributes if (tag, name) == ("svg", "aria-label")]
    assert len(labels) == len(charts)
    assert any("process killed: one 3.00 s" in label for label in labels)


def test_the_charts_are_those_that_the_markdown_shows(folder: Path, text: str) -> None:
    shown = re.findall(r"\]\((charts/[a-z0-9-]+\.svg)\)", text)
    assert {folder / each for each in shown} == set(folder.joinpath("charts").iterdir())


def test_a_table_says_what_was_measured(page: Page) -> None:
    """The row of a title, in the first table that has it under the target's name."""
    ladder = full().runs[2]
    assert (ladder.scenario, ladder.people) == ("ladder", 1_000)
    places = [n for n, each in enumerate(page.tables) if each[0][0] == "measure"][-5:]
    baseline, first, second, *_ = (column(page.tables[place], "one") for place in places)
    assert baseline["delivery p95"] == f"{full().runs[0].delivery.p95_ms:.2f} ms"
    assert second["delivery p95"] == f"{ladder.delivery.p95_ms:.1f} ms"
    assert second["delivery p95"] != first["delivery p95"]
    assert second["expected deliveries"] == "4,900,000"
    assert second["lost"] == "0 (0 %)"
    assert second["CPU per delivered update"] == "12.5 µs"
    assert second["CPU, of one core"] == "42 %"
    assert second["memory at its peak"] == "90.0 MiB"
    assert second["context switches"] == "12,345"
    assert second["reconnect p50"] == "not measured"
    assert baseline["to another session"] == "2"


def test_the_verdict_comes_first_and_names_its_value(page: Page) -> None:
    criteria = column(page.tables[0], "one")
    p95 = full().runs[1].delivery.p95_ms
    assert criteria["500 people: p95 latency"] == f"pass: {p95:.2f} ms, ladder, 500 people"
    assert criteria["recovery"].startswith("pass: 3.00 s, process killed at 240 s")
    assert criteria["lossy network: p95 latency"] == "not measured"


def test_the_sum_of_the_matrix_is_printed_and_right(page: Page) -> None:
    (sums,) = re.findall(r"one: \(([^)]*)\) / 100 = (\d\.\d\d)", page.text)
    terms = [term.split(" * ") for term in sums[0].split(" + ")]
    assert [int(weight) for weight, _ in terms] == [30, 25, 20, 15, 10]
    assert f"{sum(int(weight) * float(score) for weight, score in terms) / 100:.2f}" == sums[1]


def test_names_and_remarks_are_text(page: Page, text: str) -> None:
    assert NASTY in page.tables[0][0]
    assert REMARK in page.text
    prose = re.sub(r"^```text.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    assert r"\<script\>" in prose
    assert not re.search(r"(?<!\\)<", prose)
    assert r"the generator \<was\> busy \| 97 % of its core" in text


def _plain(cell: str) -> str:
    """Without escapes and emphasis; `` (1)`` at the end is the number of a note, as on the page."""
    cell = re.sub(r"(?<!\\)\*\*", "", cell).strip()
    cell = re.sub(r"( \(\d+\))+$", lambda notes: re.sub(r"\D", "", notes[0]), cell)
    return re.sub(r"\\(.)", r"\1", cell)


def _cells(text: str) -> list[list[list[str]]]:
    """The tables of a Markdown file as a reader gets them."""
    return [
        [
            [_plain(cell) for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
            for number, line in enumerate(table.splitlines())
            if number != 1  # the line below the columns
        ]
        for table in re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE)
    ]


def test_a_cell_says_the_same_in_both_files(page: Page, text: str) -> None:
    cards = ["target", "what it is", "score", "criteria"]  # no table on the page
    tables = [table for table in _cells(text) if table[0] != cards]
    assert len(tables) == len(page.tables) > 5
    for ours, theirs in zip(tables, page.tables, strict=True):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            said = [" ".join(cell.split()) for cell in one]
            shown = [" ".join(cell.split()) for cell in other]
            assert said == shown + [""] * (len(said) - len(shown))


HOSTILE = [
    "nul\x00 and escape \x1b[2J",
    "nul\x01 and escape \x1b[2J",
    "two\nlines\tand a tab",
    "back\u202ewards",
    "half a pair \ud800",
    "no character \uffff",
    "\"quotes' & <tags/> | `ticks` --> ]]>",
    "long " * 200,
]


def test_no_name_breaks_a_file(tmp_path: Path) -> None:
    runs = [
        run(scenario, name, delivery=latencies(5), moments=moments(5, 5.0, 9), remarks=(name,))
        for scenario in ("baseline", "faults", "ladder")
        for name in HOSTILE
    ]
    html, text, *charts = write_report(results(runs), tmp_path)
    for chart in charts:
        expat.ParserCreate().Parse(chart.read_bytes(), True)
    page = read(html.read_text())
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    for each in (html.read_text(), text.read_text(), *(chart.read_text() for chart in charts)):
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e\ufffd\uffff]", each)
    assert "nul\N{SYMBOL FOR NULL} and escape \N{SYMBOL FOR ESCAPE}[2J" in page.text
    assert "back\\u202ewards" in page.text


def test_scenarios_that_look_alike_have_charts_of_their_own(tmp_path: Path) -> None:
    names = ("***", "???", "a b", "a-b", "A.B")
    runs = [run(name, delivery=latencies(5), moments=moments(5, 5.0, 9)) for name in names]
    _, _, *charts = write_report(results(runs), tmp_path)
    assert len({chart.name for chart in charts}) == len(charts) == 2 * len(names)
    assert all(re.fullmatch(r"[a-z]+(-[a-z0-9]+)*\.svg", chart.name) for chart in charts)


def test_a_report_leaves_no_chart_of_the_one_before(tmp_path: Path) -> None:
    old, new = (
        write_report(results([run(name, delivery=latencies(5))]), tmp_path)
        for name in ("storm", "flood")
    )
    assert set(old) - set(new)
    assert not [each for each in set(old) - set(new) if each.exists()]
    assert set((tmp_path / "charts").iterdir()) <= set(new)


def test_every_row_of_a_markdown_table_has_as_many_cells(text: str) -> None:
    for table in re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE):
        counts = {len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) for line in table.splitlines()}
        assert len(counts) == 1, table


def test_mixed_up_sessions_are_a_warning(page: Page, text: str) -> None:
    for each in (page.text, text):
        assert "one, baseline: 2 deliveries to people of another session" in each


# --- what is missing ----------------------------------------------------------------------------


def _gaps() -> Iterator[tuple[str, Results]]:
    yield "no run", results((), target("one"))
    yield "no target", results(())
    bare = run(usage=None, connect=None)
    yield "no usage, no histogram", results((bare,), target("one", facts=None))
    silent = run("ladder", people=500, delivery=NOTHING, delivered=0, usage=None)
    yield "nothing arrived", results((silent,))
    nobody = run("ladder", people=0, delivery=NOTHING, delivered=0, expected=0, connections=0)
    yield "nobody", results((nobody,))
    yield "one step", results((run("ladder", people=500),))
    blind = tuple(
        replace(each, cpu_share=None, rss_bytes=None, p95_ms=None) for each in moments(5, 1, 9)
    )
    never = tuple(replace(each, recovery_s=None) for each in disruptions(1, 5, 1))
    yield "no moments", results((run("faults", disruptions=never),))
    yield "blind moments", results((run("faults", disruptions=never, moments=blind),))
    yield "one moment", results((run(moments=blind[:1]),))
    yield "idle", results((run(moments=moments(5, 1, 0, lambda _: 0)),))
    yield "another scenario", results((run("mine, not yours"),))
    yield "twice", results((run("faults", moments=blind, disruptions=never),) * 2)
    yield "many", results([run(target=f"server number {place}") for place in range(8)])
    other = run("storm", "two")
    yield "one scenario each", results((run(), other))


GAPS = dict(_gaps())


@pytest.mark.parametrize(("name", "found"), GAPS.items(), ids=GAPS)
def test_missing_values_are_stated_and_never_invented(
    name: str, found: Results, tmp_path: Path
) -> None:
    paths = write_report(found, tmp_path)
    page, text = read(paths[0].read_text()), paths[1].read_text()
    for each in (page.text, text):
        assert not re.search(r"\b(None|nan|inf)\b", each), name
    if found.targets:
        assert "not measured" in page.text
        assert "not measured" in text
    for chart in paths[2:]:
        assert "nan" not in "".join(re.findall(r' d="([^"]*)"', chart.read_text())), name
        expat.ParserCreate().Parse(chart.read_bytes(), True)


def test_a_short_form_is_called_no_proof(tmp_path: Path) -> None:
    found = results((run("ladder", people=500, duration_s=6.0),))
    for path in write_report(found, tmp_path)[:2]:
        assert "no proof" in path.read_text()
        assert "6 s instead of 60 s" in path.read_text()
    page = read((tmp_path / "report.html").read_text())
    cell = column(page.tables[0], "one")["500 people: p95 latency"]
    assert cell.startswith("pass in short form: ")
    assert "3 pass in short form" in page.text
    assert not re.search(r"\d pass(?! in short form)", page.text)


def test_a_run_against_an_undescribed_target_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadResults, match="'two' is not among the targets"):
        write_report(results((run(target="two"),), target("one")), tmp_path)
    with pytest.raises(BadResults, match="'one' is there twice"):
        write_report(results((), target("one"), target("one")), tmp_path)
