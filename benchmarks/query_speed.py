"""What questions to a large record cost: whole commands, from the shell to the answer.

Profiles of 10³, 10⁴ and 10⁵ nodes are written in bulk, with campaigns like real ones: calibrations of ten model
versions, whose MD jobs leave nodes of the sizes found in a real database (a job 2 kB, a transition 7 kB of attributes).
The largest holds 300 model versions. Beside the commands stands what AiiDA alone costs: importing it and opening the
profile. CPU time counts little of other work on the machine; wall time counts it all.

    python benchmarks/query_speed.py [N_NODES …]
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiida import load_profile, orm
from aiida.common.links import LinkType
from aiida.manage import get_manager
from aiida.orm.entities import EntityTypes
from aiida.orm.implementation import StorageBackend
from sqlalchemy import insert

BIN = Path(sys.executable).parent
SIZES = (1_000, 10_000, 100_000)
NODES_PER_CAMPAIGN = 3_333
VERSIONS = 10
REPEATS = 3
PHASES = ("fcc", "liquid")
PRESSURES = (0.0, 10.0)
DATA = {"ModelData": "phasecal.model", "SampleData": "phasecal.sample", "Dict": "core.dict"}
AIIDA_ALONE = "from aiida import load_profile, orm; load_profile(); orm.QueryBuilder().append(orm.Computer).all()"


class Writer:
    """Collects nodes and links as rows, and inserts them at once."""

    def __init__(self) -> None:
        self.nodes: list[dict[str, Any]] = []
        self.links: list[tuple[str, str, str, LinkType]] = []
        self.user = orm.User.collection.get_default().pk
        self.computer = orm.load_computer("localhost").pk

    def node(self, node_type: str, attributes: dict, *, label: str = "", process_type: str | None = None) -> str:
        """Add a node; return its UUID."""
        now = datetime.now(UTC)
        row = {"uuid": str(uuid.uuid4()), "node_type": node_type, "process_type": process_type, "label": label}
        row |= {"description": "", "ctime": now, "mtime": now, "attributes": attributes, "extras": {}}
        row |= {"repository_metadata": {}, "user_id": self.user, "dbcomputer_id": None}
        self.nodes.append(row)
        return row["uuid"]

    def data(self, name: str, attributes: dict, label: str = "") -> str:
        """Add a data node of a class."""
        prefix = "data.core.dict" if name == "Dict" else f"data.{DATA.get(name, f'core.{name}')}"
        return self.node(f"{prefix}.{name}.", attributes, label=label)

    def process(self, kind: str, name: str, inputs: dict[str, str], caller: str | None, label: str = "") -> str:
        """Add a finished process with its inputs and caller: `chain`, `job` or `function`."""
        node_type = {
            "chain": "process.workflow.workchain.WorkChainNode.",
            "job": "process.calculation.calcjob.CalcJobNode.",
            "function": "process.calculation.calcfunction.CalcFunctionNode.",
        }[kind]
        prefix = {"chain": "aiida.workflows:phasecal.", "job": "aiida.calculations:phasecal."}.get(kind, "")
        attributes = {"process_state": "finished", "exit_status": 0, "version": {"core": "2.9.4", "plugin": "0.1.0"}}
        attributes |= {"prepend_text": "x" * 1500} if kind == "job" else {}
        process = self.node(node_type, attributes, label=label, process_type=prefix + name)
        into = LinkType.INPUT_WORK if kind == "chain" else LinkType.INPUT_CALC
        self.links += [(node, process, key, into) for key, node in inputs.items()]
        if caller is not None:
            call = LinkType.CALL_WORK if kind == "chain" else LinkType.CALL_CALC
            self.links.append((caller, process, f"call_{len(self.links)}", call))
        return process

    def out(self, process: str, link: LinkType, **outputs: str) -> None:
        """Link the outputs of a process."""
        self.links += [(process, node, key, link) for key, node in outputs.items()]

    def write(self) -> None:
        """Insert everything."""
        backend = get_manager().get_profile_storage()
        with backend.transaction():
            insert_rows(backend, EntityTypes.NODE, self.nodes)
            pks = dict(orm.QueryBuilder().append(orm.Node, project=["uuid", "id"]).all())
            columns = ("input_id", "output_id", "label", "type")
            rows = [
                dict(zip(columns, (pks[a], pks[b], label, kind.value), strict=True)) for a, b, label, kind in self.links
            ]
            insert_rows(backend, EntityTypes.LINK, rows)


def insert_rows(backend: StorageBackend, kind: EntityTypes, rows: list[dict[str, Any]]) -> None:
    """Insert rows as they are: AiiDA's `bulk_insert` makes an object of each, which takes minutes for 10⁵."""
    mapper, _ = backend._get_mapper_from_entity(kind, False)
    backend.get_session().execute(insert(mapper.local_table), rows)


def sample(w: Writer, model: str, model_hash: str, state: tuple[str, float, float], caller: str, code: str) -> tuple:
    """One bulk run with everything it leaves; return its sample, task and averages."""
    phase, temperature, pressure = state
    facts = {"phase": phase, "temperature_k": temperature, "pressure_gpa": pressure, "n_atoms": 500}
    task = w.data("Dict", {**facts, "kind": "bulk", "seed": len(w.nodes), "production_steps": 10_000})
    chain = w.process("chain", "sample", {"model": model, "task": task, "code": code}, caller)
    md = w.process("chain", "md", {"model": model, "task": task, "code": code}, chain)
    script = w.node("data.core.singlefile.SinglefileData.", {"filename": "bulk.in"})
    job = w.process("job", "lammps", {"model": model, "task": task, "code": code, "script": script}, md)
    found = w.data("SampleData", {**facts, "n_frames": 100, "elements": ["Cu"], "model_hash": model_hash})
    thermo = w.node("data.core.array.ArrayData.", {"array|temp": [1000]})
    left = {"remote_folder": "remote.RemoteData", "retrieved": "folder.FolderData", "results": "dict.Dict"}
    nodes = {key: w.node(f"data.core.{kind}.", {"steps_done": 10_000, "n_atoms": 500}) for key, kind in left.items()}
    w.out(job, LinkType.CREATE, sample=found, thermo=thermo, **nodes)
    analysis = w.process("function", "analyse_bulk_run", {"sample": found, "thermo": thermo, "task": task}, chain)
    averages = w.data("Dict", {"enthalpy_ev": {"value": -3.2, "sigma": 1e-4}, "model_hash": model_hash})
    w.out(analysis, LinkType.CREATE, result=averages)
    w.out(chain, LinkType.RETURN, sample=found, properties=averages)
    return found, task, averages


def transition(w: Writer, model: str, model_hash: str, where: dict, caller: str, code: str) -> tuple[str, list[str]]:
    """A measured transition; return its node and both samples."""
    state = w.data("Dict", where)
    run = w.process("chain", "transition", {"model": model, "state": state, "code": code}, caller)
    t, p = where["temperature_k"], where["pressure_gpa"]
    low, high = (sample(w, model, model_hash, (phase, t, p), run, code) for phase in PHASES)
    replicas = [{"time_ps": list(range(400)), "solid_fraction": [0.5] * 400}] * 2
    found = {**where, "sigma_k": 3.0, "seeds": [1, 2], "model_hash": model_hash, "replicas": replicas}
    anchor, result = w.data("Dict", found), w.data("Dict", found)
    measured = w.process("function", "analyse_coexistence", {"sample_0": low[0], "task_0": low[1]}, run)
    w.out(measured, LinkType.CREATE, result=anchor)
    collected = w.process("function", "collect_transition", {"anchor": anchor, "low": low[2], "high": high[2]}, run)
    w.out(collected, LinkType.CREATE, result=result)
    w.out(run, LinkType.RETURN, transition=result)
    return result, [low[0], high[0]]


def calibration(w: Writer, index: int, n_nodes: int, codes: dict[str, str]) -> None:
    """A calibration at two pressures with ten model versions, about as many nodes as wanted, and its verification."""
    places = [{"phases": list(PHASES), "pressure_gpa": p, "method": "coexistence"} for p in PRESSURES]
    source = {"sigma_k": 0.5, "source": "a paper"}
    targets = [{"pressure_gpa": p, "temperature_k": 1300.0 + 30 * p, **source} for p in PRESSURES]
    boundary = {"phases": list(PHASES), "guess_k": 1300.0, "method": "coexistence", "verify": "pinning"}
    campaign = w.data("Dict", {"boundaries": [{**boundary, "targets": targets}], "units": None, "protocol": {"x": 1}})
    facts = {"family": "eam", "elements": ["Cu"], "n_parameters": 20}
    hashes = [uuid.uuid4().hex * 2 for _ in range(VERSIONS)]
    models = [w.data("ModelData", {**facts, "hash": hashes[0], "parent": None, "round": 0}, label="Cu.eam.alloy")]
    node = w.process(
        "chain", "calibrate", {"model": models[0], "campaign": campaign}, None, label=f"copper {index % 10}"
    )
    anchors, samples = [], []

    def anchor(caller: str, stage: str, shift: float) -> list[str]:
        found = []
        for place, target in zip(places, targets, strict=True):
            where = {**place, "temperature_k": target["temperature_k"] + shift, "stages": [stage]}
            result, both = transition(w, models[-1], hashes[len(models) - 1], where, caller, codes["lmp"])
            anchors.append({**place, "temperature_k": where["temperature_k"], "sigma_k": 3.0, "model": len(models) - 1})
            found.append(result)
            samples.extend(both)
        return found

    anchor(node, "anchor", -100.0)
    start = len(w.nodes)
    for k in range(1, VERSIONS):
        while len(w.nodes) - start < (n_nodes - 250) * k / (VERSIONS - 1):
            state = (PHASES[len(samples) % 2], 1300.0, 0.0)
            samples.append(sample(w, models[-1], hashes[k - 1], state, node, codes["lmp"])[0])
        inputs = {f"models__m{i}": model for i, model in enumerate(models)}
        inputs |= {f"samples__s{i}": one for i, one in enumerate(samples)}
        inputs |= {"parameters": w.data("Dict", {"anchors": list(anchors)}), "code": codes["phasecal"]}
        job = w.process("job", "task", inputs, node)
        models.append(w.data("ModelData", {**facts, "hash": hashes[k], "parent": hashes[k - 1], "round": k}))
        now = [{**place, "temperature_k": 1300.0, "sigma_k": 3.0, "target_k": 1300.0} for place in places]
        result = {"targets": now, "parent": hashes[k - 1], "model_hash": hashes[k], "phases": [], "converged": False}
        w.out(job, LinkType.CREATE, model=models[-1], result=w.data("Dict", result))
    verify = w.process("chain", "verify", {"model": models[-1], "campaign": campaign}, node)
    verified = anchor(verify, "verification", 1.0)
    w.out(node, LinkType.RETURN, model=models[-1], **{f"verified__state_{i}": pk for i, pk in enumerate(verified)})


def fill(n_nodes: int) -> None:
    """Fill the default profile, and print a point and a model to trace."""
    load_profile()
    w = Writer()
    codes = {
        name: w.node("data.core.code.installed.InstalledCode.", {"filepath_executable": f"/opt/{name}"}, label=name)
        for name in ("lmp", "phasecal")
    }
    for row in w.nodes:
        row["dbcomputer_id"] = w.computer
    n_campaigns = max(1, n_nodes // NODES_PER_CAMPAIGN)
    for index in range(n_campaigns):
        calibration(w, index, n_nodes // n_campaigns, codes)
    w.write()
    counts = {kind: orm.QueryBuilder().append(kind).count() for kind in (orm.Node,)}
    models = orm.QueryBuilder().append(orm.Data, filters={"node_type": {"like": "data.phasecal.model%"}}, project="id")
    points = orm.QueryBuilder().append(orm.WorkChainNode, filters={"process_type": {"like": "%verify"}}, tag="verify")
    points.append(orm.WorkChainNode, with_incoming="verify", tag="run")
    points.append(orm.Dict, with_incoming="run", project="id")
    found = {"nodes": counts[orm.Node], "models": models.count(), "point": points.all(flat=True)[-1]}
    print(json.dumps(found))


def measure(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Run a command; return its wall time and its CPU time, s."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - start, cpu


def main(*sizes: str) -> None:
    """Measure and print."""
    for size in [int(size) for size in sizes] or SIZES:
        with tempfile.TemporaryDirectory() as folder:
            environment = {**os.environ, "AIIDA_PATH": folder}
            presto = [str(BIN / "verdi"), "presto", "--no-broker"]
            subprocess.run(presto, env=environment, check=True, capture_output=True)
            filled = [sys.executable, __file__, "fill", str(size)]
            out = subprocess.run(filled, env=environment, check=True, capture_output=True, text=True).stdout
            facts = json.loads(out)
            print(f"{facts['nodes']} nodes, {facts['models']} model versions", flush=True)
            commands = {
                "AiiDA alone": [sys.executable, "-c", AIIDA_ALONE],
                **{
                    words: [str(BIN / "phasecal"), *words.split(), "--json"]
                    for words in (
                        "query",
                        "query --element Cu --boundary fcc-liquid --difference :5 --role verification",
                        "status",
                        "models list",
                        f"models lineage {facts['point']}",
                    )
                },
            }
            for name, command in commands.items():
                walls, cpus = zip(*(measure(command, environment) for _ in range(REPEATS)), strict=True)
                print(f"  {name:80s} CPU {min(cpus):5.2f} s   wall {min(walls):6.2f} s", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["fill"]:
        fill(int(sys.argv[2]))
    else:
        main(*sys.argv[1:])
