"""Parsers of MD runs: series, frames, and a precise reason when something went wrong."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from aiida import orm
from aiida.parsers import Parser

from aiida_phasecal.advice import parts_of
from aiida_phasecal.data.sample import SampleData
from aiida_phasecal.parsers.retrieved import is_file, last_words, read_end
from phasecal.bounded import one_line
from phasecal.engines import jaxmd, lammps
from phasecal.engines.faults import is_bad_restart, is_blown_up, line_about_full_disk
from phasecal.engines.lammps.output import missing
from phasecal.engines.lammps.watch import TAIL_BYTES, judge_log
from phasecal.errors import PhasecalError


class LammpsMdParser(Parser):
    """Turn the log and the dump of one run into nodes."""

    ENGINE = lammps
    FRAMES = lammps.DUMP_FILE

    def parse(self, **kwargs):
        """Parse retrieved files; outputs of an interrupted run are kept too."""
        retrieved = self.retrieved
        log = self.ENGINE.LOG_FILE
        full = line_about_full_disk(last_words(self.node, retrieved))  # the log tells of earlier jobs too
        if full is not None:
            return self.exit_codes.ERROR_DISK_FULL.format(message=one_line(full))
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
                    "restart_step": output.restart_step,
                    "finished": output.finished,
                    "wall_s": output.wall_s,
                    "n_atoms": output.n_atoms,
                }
            ),
        )
        if output.error is not None:
            return self.failure(output.error)
        if not output.finished:
            if (code := self.stopped()) is not None:
                return code
            code = self.exit_codes.ERROR_INTERRUPTED if output.restart_step else self.exit_codes.ERROR_INTERRUPTED_EARLY
            return code.format(done=output.steps_done, why=self.why_interrupted())
        if (absent := missing(output, self.node.inputs.task.get_dict())) is not None:
            return self.exit_codes.ERROR_OUTPUT_UNREADABLE.format(message=absent)
        thermo = orm.ArrayData()
        for key, values in output.thermo.items():
            thermo.set_array(key, values)
        self.out("thermo", thermo)
        if output.sample is not None:
            self.out("sample", SampleData.from_sample(output.sample))
        return None

    def stopped(self):
        """The exit code of a run that was, or may as well be, stopped on the way; None of one that can be continued."""
        end = read_end(self.retrieved, lammps.LOG_FILE, TAIL_BYTES)
        verdict = judge_log(end, self.node.inputs.task.get_dict())
        if verdict is None:
            return None
        code = self.exit_codes.ERROR_BLOWN_UP if verdict.is_blown_up else self.exit_codes.ERROR_PHASE_LOST
        return code.format(message=verdict.reason)

    def failure(self, error: str):
        """The exit code of an error of the engine."""
        codes = {
            self.exit_codes.ERROR_DISK_FULL: line_about_full_disk(error) is not None,
            self.exit_codes.ERROR_BLOWN_UP: is_blown_up(error),
            self.exit_codes.ERROR_RESTART_UNREADABLE: is_bad_restart(error),
        }
        code = next((code for code, holds in codes.items() if holds), self.exit_codes.ERROR_ENGINE)
        return code.format(message=error)

    def why_interrupted(self) -> str:
        """What the scheduler says about the end of a job, where it says anything: " (The job ran out of memory.)"."""
        words = parts_of(self.node.exit_message).what
        return f" ({words.rstrip('.')})" if words else ""


class JaxMdParser(LammpsMdParser):
    """Turn the log and the parts of a run with jax-md into nodes."""

    ENGINE = jaxmd
    FRAMES = jaxmd.PART_GLOB

    def stopped(self):
        """None: the engine ends with an error itself when a number is not finite."""
        return None
