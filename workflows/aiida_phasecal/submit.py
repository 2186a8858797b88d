"""From a validated campaign to a submitted work chain: model node, codes, job options, group."""

from __future__ import annotations

from aiida import orm
from aiida.common.exceptions import MultipleObjectsError, NotExistent
from aiida.engine import submit
from aiida.plugins import WorkflowFactory

from aiida_phasecal.calculations.base import slot_folder, slot_prepend_text
from aiida_phasecal.data.model import ModelData
from aiida_phasecal.query import TASKS, load_model_node
from phasecal.campaign.model import build_model
from phasecal.campaign.schema import Campaign
from phasecal.errors import InputError
from phasecal.potentials.base import Model
from phasecal.potentials.local import GraphModel

GROUP_PREFIX = "phasecal/campaigns"
JAXMD = "jax-md"
"""The engine of a campaign, and the label of its code."""
MAX_LABEL = 255
"""Characters of a label in AiiDA's databases."""
WALLTIME_S = 24 * 3600
JOBS_PROPERTY = "phasecal_jobs"
"""Where a computer keeps the options of each kind of job."""


def submit_campaign(campaign: Campaign, *, task: str, text: str, model_pk: int | None = None) -> orm.WorkChainNode:
    """Submit a campaign to the daemon and put it into its group.

    Args:
        campaign: The validated campaign.
        task: A key of :data:`aiida_phasecal.query.TASKS`.
        text: The campaign file as the user wrote it, for the record.
        model_pk: Use this model node rather than the campaign's source.

    Raises:
        InputError: Computer, code or model node do not exist, or the computer's jobs do not suit the model.
    """
    description = campaign.to_dict()
    bulk_code = {"bulk_code": JAXMD} if description["engine"] == JAXMD else {}
    names = {"code": "lmp", "task_code": "phasecal", **bulk_code}
    codes = {port: load_code(name, description["resources"]["computer"]) for port, name in names.items()}
    model = load_model_node(model_pk) if model_pk is not None else find_or_store(campaign)
    computer = codes["code"].computer
    options = job_options(computer, description["resources"]["slots"])
    check_ranks(model.get_model(), options, computer.label)
    chain = WorkflowFactory(TASKS[task])
    builder = chain.get_builder()
    builder.model = model
    for port, code in codes.items():
        if port in chain.spec().inputs:
            builder[port] = code
    builder.campaign = orm.Dict(description)
    if campaign.reference_path is not None and "reference" in chain.spec().inputs:
        builder.reference = orm.SinglefileData(campaign.reference_path)
    builder.options = orm.Dict(options)
    builder.metadata.label = description["title"]
    builder.metadata.description = f"phasecal {task}"
    node = submit(builder)
    node.base.extras.set("campaign_file", text)
    group, _ = orm.Group.collection.get_or_create(f"{GROUP_PREFIX}/{description['title']}")
    group.add_nodes([node, model])
    return node


def load_code(name: str, computer: str) -> orm.AbstractCode:
    """Return the code ``name@computer``.

    Raises:
        InputError: There is none.
    """
    try:
        return orm.load_code(f"{name}@{computer}")
    except (NotExistent, MultipleObjectsError) as error:
        raise InputError(
            f"resources.computer: there is no code {name}@{computer} in this profile; `phasecal init` makes those of "
            "localhost, `phasecal init --computer FILE` those of another computer"
        ) from error


def check_ranks(model: Model, options: dict, computer: str) -> None:
    """Check that molecular dynamics of the model may run on as many processes as the computer's jobs have.

    Raises:
        InputError: The model passes messages between atoms, which processes cannot share.
    """
    ranks = options.get("jobs", {}).get("md", {}).get("resources", {}).get("num_mpiprocs_per_machine", 1)
    if ranks > 1 and isinstance(model, GraphModel):
        raise InputError(
            f"resources.computer: {computer} has {ranks} processes for a job of molecular dynamics, and {model.family} "
            "passes messages between atoms and runs on one; set jobs.md.ranks: 1 in the computer's file and repeat "
            "`phasecal init --computer FILE`"
        )


def find_or_store(campaign: Campaign) -> ModelData:
    """Return the node of the campaign's model, storing it the first time it is used."""
    model = build_model(campaign)
    query = orm.QueryBuilder().append(ModelData, filters={"attributes.hash": model.hash, "attributes.round": 0})
    found = query.first(flat=True)
    if found is not None:
        return found
    return ModelData.from_model(model, label=campaign.source_name[:MAX_LABEL]).store()


def job_options(computer: orm.Computer, slots: int) -> dict:
    """Options of every job, and those of each kind; on computers without a queue a limit on how many run at once."""
    options = {
        "resources": {"num_machines": 1, "num_mpiprocs_per_machine": 1},
        "max_wallclock_seconds": WALLTIME_S,
        "withmpi": False,
    }
    if computer.scheduler_type == "core.direct":
        options["prepend_text"] = slot_prepend_text(slots, slot_folder(computer))
        del options["max_wallclock_seconds"]
    if jobs := computer.get_property(JOBS_PROPERTY, None):
        options["jobs"] = jobs
    return options
