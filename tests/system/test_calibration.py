"""A real calibration through the daemon as the documentation tells it, and all commands of its pages on the record.

Every block of commands (console, bash) and of Python in docs/get_started and docs/howto runs as it is written, in one
shell per page, with the PKs of this record in the variables that the pages name. A comment above a block says
otherwise: `not run: REASON`, or `file: NAME` for a block that is the content of that file.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SMALL = Path(__file__).parent / "small-lj.yaml"
FIRST_STEPS = "get_started/first-campaign.md"
PAGES = sorted(
    str(path.relative_to(DOCS)) for folder in ("get_started", "howto") for path in (DOCS / folder).glob("*.md")
)
NOT_RUN = {
    "get_started/first-campaign.md",
    "howto/cluster.md",
    "howto/my-own-mlip.md",
    "howto/postgresql-rabbitmq.md",
    "howto/share-a-result.md",
}
"""Pages with one block that is not run; each says above it why."""
BLOCK = re.compile(
    r"^(?:<!-- (?P<note>[^\n]+) -->\n)?(?P<indent> *)```(?P<language>\w+)\n(?P<text>.*?)^(?P=indent)```$", re.M | re.S
)
COMMAND = re.compile(r"^\$ ((?:.*\\\n)*.*)$", re.M)

pytestmark = [pytest.mark.daemon, pytest.mark.slow]


@dataclass(frozen=True)
class Block:
    """A block of a page with the comment above it."""

    language: str
    text: str
    note: str

    @property
    def script(self) -> str:
        """What a reader types into a shell."""
        kind, _, name = self.note.partition(": ")
        if kind == "not run":
            return ""
        if kind == "file":
            return here_document(f"cat > {name}", self.text)
        if self.language == "console":
            commands = COMMAND.findall(self.text)
            assert commands, f"no command in {self.text}"
            return "\n".join(commands) + "\n"
        if self.language == "python":
            return here_document("python", self.text)
        return self.text if self.language == "bash" else ""


def here_document(command: str, text: str) -> str:
    """A shell command that reads a text."""
    return f"{command} <<'END OF BLOCK'\n{text}END OF BLOCK\n"


def blocks(page: str) -> list[Block]:
    """All blocks of a page, in order."""
    text = re.sub(r"^ +(<!-- .* -->)$", r"\1", (DOCS / page).read_text(encoding="utf8"), flags=re.M)
    return [Block(m["language"], textwrap.dedent(m["text"]), m["note"] or "") for m in BLOCK.finditer(text)]


def script_of(page: str) -> str:
    """All that a page tells its reader to type."""
    return "".join(block.script for block in blocks(page))


def run(script: str, installation, **variables: object) -> str:
    """Run commands in a shell that stops at the first that fails; return what they printed."""
    done = subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", script],
        cwd=installation.folder,
        env={**installation.environment, **{name: str(value) for name, value in variables.items()}},
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def first_steps() -> tuple[str, str]:
    """The commands of the first steps up to the launch, and after it."""
    script = script_of(FIRST_STEPS)
    launch = re.search(r"^phasecal launch .* --wait\n", script, re.M)
    assert launch
    return script[: launch.end()], script[launch.end() :]


@pytest.fixture(scope="module")
def summary(installation, first_steps):
    """Set up, launch and wait as the first steps do; copper takes a quarter of an hour: its file is a smaller one."""
    for campaign in (ROOT / "workflows" / "campaigns").glob("*.yaml"):
        shutil.copy(campaign, installation.folder)
    shutil.copy(SMALL, installation.folder / "copper.yaml")
    pk = re.search(r"^PK (\d+)$", run(first_steps[0], installation), re.M)
    assert pk
    return installation.json("show", pk[1])


def test_every_target_is_met_and_verified(summary):
    assert (summary["state"], summary["exit_code"]) == ("finished", 0)
    assert [entry["pressure"] for entry in summary["boundaries"]] == [0.0, 2.185]
    for entry, initial in zip(summary["boundaries"], (0.619, 0.800), strict=True):  # docs/topics/lennard-jones.md
        assert entry["verified"]
        assert entry["initial"] == pytest.approx(initial, abs=4 * entry["initial_sigma"])
        assert entry["temperature"] == pytest.approx(entry["target"], abs=3 * entry["sigma"] + 0.01)
        assert entry["estimate"] == pytest.approx(entry["target"], abs=0.02)
        assert 0 < entry["sigma"] < 0.02


def test_the_report_shows_what_changed(installation, summary):
    installation.run("phasecal", "report", summary["pk"], "-o", "calibrated")
    written = {path.name for path in (installation.folder / "calibrated").rglob("*.*")}
    figures = {"phase-diagram.svg", "convergence.svg", "overlap.svg", "rdf.svg", "interface-1-initial.svg"}
    tables = {"lines.csv", "parameters.csv", "interface-profile.csv", "interface-block-errors.csv", "cost.csv"}
    assert figures | tables <= written
    lines = (installation.folder / "calibrated" / "tables" / "lines.csv").read_text()
    assert "initial,fcc,liquid" in lines and "verification,fcc,liquid" in lines
    assert "verified by coexistence" in (installation.folder / "calibrated" / "report.html").read_text()


def test_the_model_is_a_new_version(installation, summary):
    shown = installation.json("models", "show", summary["model"]["pk"])
    assert shown["hash"] == summary["model"]["hash"]
    assert shown["parent"]


def test_an_imported_calibration_is_the_same(installation, summary, check_import, tmp_path):
    installation.run("phasecal", "archive", summary["pk"], "-o", "calibrated.aiida")
    check_import(summary["pk"], installation.folder / "calibrated.aiida", tmp_path)


@pytest.mark.parametrize("page", [page for page in PAGES if script_of(page)])
def test_the_commands_of_a_page_work(installation, summary, first_steps, page):
    run(
        first_steps[1] if page == FIRST_STEPS else script_of(page),
        installation,
        PK=summary["pk"],
        UUID=summary["uuid"],
        MODEL=summary["model"]["pk"],
        HASH=summary["model"]["hash"][:8],
        FIRST=installation.json("query", "--campaign", summary["pk"])[0]["model"]["pk"],
        POINT=summary["boundaries"][0]["pk"],
    )


def test_every_block_is_seen():
    for page in PAGES:
        assert (DOCS / page).read_text(encoding="utf8").count("```") == 2 * len(blocks(page)), page


def test_blocks_that_are_not_run_are_few_and_say_why():
    found = [page for page in PAGES for block in blocks(page) if block.note.startswith("not run: ")]
    assert sorted(found) == sorted(NOT_RUN)


def test_the_notebook_draws_the_points_of_the_record(installation, summary):
    notebook = installation.folder / "phase-diagram.ipynb"
    shutil.copy(DOCS / "notebooks" / notebook.name, notebook)
    installation.run("jupyter", "execute", "--inplace", notebook)
    outputs = [output for cell in json.loads(notebook.read_text())["cells"] for output in cell.get("outputs", [])]
    printed = "".join(text for output in outputs for text in output.get("text", ""))
    assert f"{summary['title']} calibrate {summary['uuid']}" in printed
    assert any("image/png" in output.get("data", {}) for output in outputs)
