"""Work chains whose steps can begin again: a child that is there is not submitted a second time."""

from __future__ import annotations

from aiida import orm
from aiida.common.links import LinkType
from aiida.engine import ProcessState, WorkChain


class StepWorkChain(WorkChain):
    """A work chain of phasecal.

    AiiDA stores a work chain between its steps. A worker that is killed within one leaves the children that it has
    submitted, and the next worker begins the step again. It finds them by the labels of their links, which are counted
    and so the same the second time. Functions of a step are done again: those that were cut off are ended.
    """

    def submit(self, process, inputs=None, **kwargs):
        """Submit a child, or return the one that was submitted before the step began again."""
        self.ctx.n_submitted = self.ctx.get("n_submitted", 0) + 1
        inputs = {**(inputs or {}), **kwargs}
        metadata = {"call_link_label": f"child_{self.ctx.n_submitted}", **inputs.get("metadata", {})}
        for child in self.children_with(metadata["call_link_label"]):
            if child.is_terminated or child.checkpoint is not None:
                self.report(f"{child.process_label}<{child.pk}> was submitted before")
                return child
            abandon(child, "its worker was killed while it submitted this")
        return super().submit(process, {**inputs, "metadata": metadata})

    def on_terminated(self) -> None:
        """End the functions that a killed worker left unfinished: they run within steps, and there is none any more."""
        super().on_terminated()
        for child in self.node.called:
            if isinstance(child, orm.CalcFunctionNode | orm.WorkFunctionNode) and not child.is_terminated:
                abandon(child, "its worker was killed while it ran")

    def children_with(self, label: str) -> list[orm.ProcessNode]:
        """Children with a label, without those that were killed."""
        calls = self.node.base.links.get_outgoing(
            link_type=(LinkType.CALL_CALC, LinkType.CALL_WORK), link_label_filter=label
        )
        return [node for node in calls.all_nodes() if not node.is_killed]


def abandon(child: orm.ProcessNode, why: str) -> None:
    """End a child that no worker can ever run."""
    child.set_process_state(ProcessState.KILLED)
    child.set_process_status(why)
    child.seal()
