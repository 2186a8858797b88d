"""A step of a work chain that begins again, as after its worker was killed within it."""

from __future__ import annotations

import pytest
from aiida import orm
from aiida.common.links import LinkType
from aiida.engine import ProcessState
from aiida.engine.utils import instantiate_process
from aiida.manage.manager import get_manager
from aiida_phasecal.workchains.sample import SampleWorkChain
from plumpy.base.utils import call_with_super_check


@pytest.fixture
def chain(codes, model_node, bulk_task, monkeypatch):
    """A work chain before its only step, whose children are stored and never run."""
    runner = get_manager().get_runner()
    process = instantiate_process(
        runner, SampleWorkChain, code=codes["lmp"], model=model_node, task=orm.Dict(bulk_task)
    )

    def submit(child, inputs, **kwargs):
        made = runner.instantiate_process(child, **{**inputs, **kwargs})
        if not submit.is_whole:
            made.node.delete_checkpoint()
        return made.node

    submit.is_whole = True
    monkeypatch.setattr(runner, "submit", submit)
    return process


def run_step(chain) -> None:
    """Run the step as the engine does, which links children to the process that runs."""
    with chain._process_scope():
        chain.run_md()


def begin_again(chain) -> list[orm.ProcessNode]:
    """Run the step as the next worker does, with the context from before it; return all children."""
    chain.ctx.n_submitted = 0
    run_step(chain)
    return chain.node.called


def test_the_child_that_is_there_is_taken(chain):
    run_step(chain)
    (first,) = chain.node.called
    assert begin_again(chain) == [first]


def test_without_the_labels_it_would_be_there_twice(chain, monkeypatch):
    run_step(chain)
    monkeypatch.setattr(SampleWorkChain, "children_with", lambda *_: [])
    assert len(begin_again(chain)) == 2


def test_children_of_one_step_are_told_apart(chain):
    run_step(chain)
    run_step(chain)
    first, second = chain.node.called
    chain.ctx.n_submitted = 0
    run_step(chain)
    run_step(chain)
    assert chain.node.called == [first, second]


def test_a_child_that_nobody_can_run_is_ended_and_replaced(chain):
    chain.runner.submit.is_whole = False
    run_step(chain)
    (lost,) = chain.node.called
    chain.runner.submit.is_whole = True
    children = begin_again(chain)
    assert len(children) == 2
    assert orm.load_node(lost.pk).is_killed
    assert sum(not child.is_killed for child in children) == 1


@pytest.mark.parametrize(("state", "expected"), [("running", "killed"), ("finished", "finished")])
def test_a_function_that_was_cut_off_is_ended_with_its_work_chain(chain, state, expected):
    function = orm.CalcFunctionNode()
    function.base.links.add_incoming(chain.node, link_type=LinkType.CALL_CALC, link_label="CALL")
    function.store()
    function.set_process_state(ProcessState(state))
    call_with_super_check(chain.on_terminated)
    assert orm.load_node(function.pk).process_state.value == expected
