"""The lineage of a boundary point or a model as a tree of text."""

from __future__ import annotations

from rich.text import Text
from rich.tree import Tree

from aiida_phasecal.cli.common import in_campaign_units, interval


def tree_of(data: dict) -> Tree:
    """Draw a lineage (:func:`aiida_phasecal.lineage.lineage`, in internal units), the newest model first."""
    data, kelvin, gpa, digits = in_campaign_units({**data, "units": (data["campaign"] or {}).get("units")})
    units = (kelvin.removeprefix(","), gpa.removeprefix(","), digits)
    newest = data["models"][-1]
    tree = Tree(line(place(data["point"], *units) if data["point"] else model_name(newest)))
    if data["campaign"]:
        campaign = data["campaign"]
        tree.add(line(f"campaign {campaign['title']}: {campaign['task']} (PK {campaign['pk']})"))
    for target in data["targets"]:
        tree.add(line(f"target {place(target, *units)}: {target['source']}"))
    jobs = {job["pk"]: job for job in data["jobs"]}
    if data["point"]:
        runs = tree.add(line(f"measured in {len(data['runs'])} jobs"))
        for pk in data["runs"]:
            runs.add(line(job_line(jobs[pk], *units)))
    samples = {sample["pk"]: sample for sample in data["samples"]}
    known_anchors, known_samples = set(), set()
    branches = []
    for number, (entry, made) in enumerate(zip(data["rounds"], data["models"][1:], strict=True), start=1):
        branch = Tree(line(f"{model_name(made)}, made by step {number} (PK {entry['pk']}) from PK {entry['from']}"))
        for estimate in entry["estimates"]:
            branch.add(line(f"estimate for PK {entry['from']}: {place(estimate, *units)}"))
        for anchor in entry["anchors"]:
            key = (anchor["pk"], anchor["temperature_k"], anchor["model_hash"], *anchor["phases"])
            if key not in known_anchors:
                known_anchors.add(key)
                branch.add(line(f"anchor {place(anchor, *units)} of model {anchor['model_hash'][:12]}"))
        new = [samples[pk] for pk in entry["samples"] if pk not in known_samples]
        known_samples |= set(entry["samples"])
        if entry["samples"]:
            node = branch.add(line(f"{len(entry['samples'])} samples, of these new:"))
            for sample in new:
                node.add(line(sample_line(sample, jobs[sample["job"]], *units)))
        branches.append(branch)
    tree.children += reversed(branches)
    tree.add(line(f"{model_name(data['models'][0])}, the first of them"))
    for code in data["codes"]:
        version = f", {'; '.join(code['engine'])}" if code["engine"] else ""
        tree.add(line(f"code {code['label']} (PK {code['pk']}) {code['executable']}{version}: {code['jobs']} jobs"))
    tree.add(line(f"versions: {', '.join(data['versions'])}"))
    return tree


def line(text: str) -> Text:
    """Plain text; a user's brackets are no markup."""
    return Text(text)


def model_name(model: dict) -> str:
    """A model as one reads it."""
    return " ".join(f"model {model['hash'][:12]} (PK {model['pk']}) {model['family']} {model['label']}".split())


def place(entry: dict, kelvin: str, gpa: str, digits: int) -> str:
    """A boundary at a pressure with its temperature, and how that was found."""
    text = f"{'–'.join(entry['phases'])} at {entry['pressure_gpa']:g}{gpa}: "
    text += f"{interval(entry['temperature_k'], entry['sigma_k'], digits)}{kelvin}"
    if "seeds" in entry:
        seeds = " ".join(map(str, entry["seeds"]))
        words = [entry["method"], seeds and f"seeds {seeds}", entry["pk"] and f"PK {entry['pk']}"]
        text += f" ({', '.join(word for word in words if word)})"
    return text


def job_line(job: dict, kelvin: str, gpa: str, digits: int) -> str:
    """One job with its state and seed."""
    phases = job.get("phase") or "|".join(job.get("phases", []))
    state = f"{job['temperature_k']:.{digits}f}{kelvin}" if "temperature_k" in job else ""
    pressure = f"{job['pressure_gpa']:g}{gpa}" if "pressure_gpa" in job else ""
    words = [job.get("kind", ""), phases, state, pressure, f"seed {job['seed']}" if "seed" in job else ""]
    return f"{job['process']} (PK {job['pk']}): {' '.join(word for word in words if word)}"


def sample_line(sample: dict, job: dict, kelvin: str, gpa: str, digits: int) -> str:
    """One sample with the seed of its run."""
    return (
        f"{sample['phase']} {sample['temperature_k']:.{digits}f}{kelvin} {sample['pressure_gpa']:g}{gpa}: "
        f"{sample['n_frames']} frames of {sample['n_atoms']} atoms, seed {job.get('seed', '–')}, "
        f"model {sample['model_hash'][:12]} (PK {sample['pk']}, job {sample['job']})"
    )
