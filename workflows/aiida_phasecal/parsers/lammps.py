"""Parsers of MD runs: series, frames, and a precise reason when something went wrong."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from aiida import orm
from aiida.parsers import Parser

from aiida_phasecal.data.sample import SampleData
from aiida_phasecal.parsers.retrieved import is_file
from phasecal.engines import jaxmd, lammps
from phasecal.errors import PhasecalError

BLOWN_UP = ("Lost atoms", "Non-numeric", "Out of range atoms", "not-a-number")


class LammpsMdParser(Parser):
    """Turn the log and the dump of one run into nodes."""

    ENGINE = lammps
    FRAMES = lammps.DUMP_FILE

    def parse(self, **kwargs):
        """Parse retrieved files; outputs of an interrupted run are kept too."""
        retrieved = self.retrieved
        log = self.ENGINE.LOG_FILE
        if not is_file(retrieved, log):
            return self.exit_codes.ERROR_LOG_MISSING
        model = self.node.inputs.model
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            with retrieved.base.repository.open(log, "rb") as stream, (folder / log).open("wb") as copy:
                shutil.copyfileobj(stream, copy)
            for path in Path(kwargs["retrieved_temporary_folder"]).glob(self.FRAMES):
                if path.is_file() and not path.is_symlink():
                    shutil.copy(path, folder)
            try:
                output = self.ENGINE.read_output(
                    folder,
                    self.node.inputs.task.get_dict(),
                    model.model_hash,
                    tuple(model.base.attributes.get("elements")),
                )
            except PhasecalError as error:
                return self.exit_codes.ERROR_OUTPUT_UNREADABLE.format(message=str(error))

        self.out(
            "results",
            orm.Dict(
                {
                    "steps_done": output.steps_done,
                    "finished": output.finished,
                    "wall_s": output.wall_s,
                    "n_atoms": output.n_atoms,
                }
            ),
        )
        if output.error is not None:
            blown_up = any(text in output.error for text in BLOWN_UP)
            code = self.exit_codes.ERROR_BLOWN_UP if blown_up else self.exit_codes.ERROR_ENGINE
            return code.format(message=output.error)
        if not output.finished:
            if output.steps_done == 0:
                return self.exit_codes.ERROR_INTERRUPTED_EARLY
            return self.exit_codes.ERROR_INTERRUPTED.format(done=output.steps_done)
        thermo = orm.ArrayData()
        for key, values in output.thermo.items():
            thermo.set_array(key, values)
        self.out("thermo", thermo)
        if output.sample is not None:
            self.out("sample", SampleData.from_sample(output.sample))
        return None


class JaxMdParser(LammpsMdParser):
    """Turn the log and the parts of a run with jax-md into nodes."""

    ENGINE = jaxmd
    FRAMES = jaxmd.PART_GLOB
