"""Parser of phasecal tasks: the result, the model it made, or the typed error as an exit code."""

from __future__ import annotations

from pathlib import Path

from aiida import orm
from aiida.parsers import Parser

from aiida_phasecal.calculations.task import TaskCalculation
from aiida_phasecal.data.model import ModelData
from aiida_phasecal.parsers.retrieved import is_file, last_words, read_start
from phasecal.bounded import JSON_BYTES, one_line, printable, read_json
from phasecal.engines.faults import line_about_full_disk
from phasecal.errors import ERRORS_BY_KIND, DataError
from phasecal.potentials.base import Model, load_model


class TaskParser(Parser):
    """Turn ``result.json`` and the model file into nodes."""

    def parse(self, **kwargs):
        """Parse retrieved files."""
        if not is_file(self.retrieved, TaskCalculation.RESULT_FILE):
            full = line_about_full_disk(last_words(self.node, self.retrieved))
            if full is not None:
                return self.exit_codes.ERROR_DISK_FULL.format(message=one_line(full))
            return self.exit_codes.ERROR_RESULT_MISSING.format(message=self.last_line())
        try:
            content = read_start(self.retrieved, TaskCalculation.RESULT_FILE, JSON_BYTES)
            result = read_json(content, name=TaskCalculation.RESULT_FILE)
            if "error" in result:
                return self.failure(result["error"])
            model = read_model(Path(kwargs["retrieved_temporary_folder"]), result.get("model_file"))
        except DataError as error:
            return self.exit_codes.ERROR_RESULT_UNREADABLE.format(message=str(error))
        if model is not None:
            rounds = [node.round_index for node in self.node.inputs.models.values()]
            self.out("model", ModelData.from_model(model, round_index=max(rounds) + 1))
        self.out("result", orm.Dict(result))
        return None

    def failure(self, error: object):
        """The exit code of an error that the task wrote."""
        known = error if isinstance(error, dict) else {"message": error}
        kind, message = known.get("kind"), printable(known.get("message"))
        if not isinstance(kind, str) or kind not in ERRORS_BY_KIND:
            return self.exit_codes.ERROR_RESULT_MISSING.format(message=message)
        return self.exit_codes[f"ERROR_{kind.upper()}"].format(message=message)

    def last_line(self) -> str:
        """The last line the task printed, for the report of a crash."""
        name = self.node.get_option("output_filename")
        if not is_file(self.retrieved, name):
            return "no output at all; is the `phasecal` code installed on the computer?"
        lines = read_start(self.retrieved, name, JSON_BYTES).decode(errors="replace").strip().splitlines()
        return one_line(lines[-1]) if lines else "the output is empty"


def read_model(folder: Path, name: object) -> Model | None:
    """The model of a result; None when it names none.

    Raises:
        DataError: The name is more than that of a file in the folder, or the file is no model.
    """
    if name is None:
        return None
    path = folder / name if isinstance(name, str) and Path(name).name == name else folder
    if path.is_symlink() or not path.is_file():
        raise DataError(
            f"model_file: expected the plain name of a file that came back, got {printable(repr(name), 100)}"
        )
    return load_model(path)
