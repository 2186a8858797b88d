"""Parser of phasecal tasks: the result, the model it made, or the typed error as an exit code."""

from __future__ import annotations

import json
from pathlib import Path

from aiida import orm
from aiida.parsers import Parser

from aiida_phasecal.calculations.task import TaskCalculation
from aiida_phasecal.data.model import ModelData
from phasecal.errors import ERRORS_BY_KIND
from phasecal.potentials.base import load_model


class TaskParser(Parser):
    """Turn ``result.json`` and the model file into nodes."""

    def parse(self, **kwargs):
        """Parse retrieved files."""
        repository = self.retrieved.base.repository
        if TaskCalculation.RESULT_FILE not in repository.list_object_names():
            return self.exit_codes.ERROR_RESULT_MISSING.format(message=self.last_words())
        try:
            result = json.loads(repository.get_object_content(TaskCalculation.RESULT_FILE))
        except json.JSONDecodeError as error:
            return self.exit_codes.ERROR_RESULT_UNREADABLE.format(message=str(error))
        if "error" in result:
            kind, message = result["error"]["kind"], result["error"]["message"]
            if kind not in ERRORS_BY_KIND:
                return self.exit_codes.ERROR_RESULT_MISSING.format(message=message)
            return self.exit_codes[f"ERROR_{kind.upper()}"].format(message=message)
        if "model_file" in result:
            path = Path(kwargs["retrieved_temporary_folder"]) / result["model_file"]
            rounds = [node.round_index for node in self.node.inputs.models.values()]
            self.out("model", ModelData.from_model(load_model(path), round_index=max(rounds) + 1))
        self.out("result", orm.Dict(result))
        return None

    def last_words(self) -> str:
        """The last line the task printed, for the report of a crash."""
        name = self.node.get_option("output_filename")
        if name not in self.retrieved.base.repository.list_object_names():
            return "no output at all; is the `phasecal` code installed on the computer?"
        lines = self.retrieved.base.repository.get_object_content(name).strip().splitlines()
        return lines[-1] if lines else "the output is empty"
