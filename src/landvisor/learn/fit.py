"""How a network learns from chips, exactly repeatable from any epoch on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import lightning.pytorch as lightning
import torch
from lightning.pytorch.plugins.environments import (
    LightningEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)
from torch import Tensor
from torch.utils.data import DataLoader

from landvisor.errors import RecipeError
from landvisor.learn.augment import Batch, collate
from landvisor.learn.checkpoint import Progress
from landvisor.learn.chips import ChipDataset
from landvisor.learn.device import claim_device, find_device, place_network
from landvisor.learn.keeper import Evaluate, Keeper
from landvisor.learn.nets import Network
from landvisor.learn.objective import Objective
from landvisor.learn.optimise import clip_gradients, make_optimiser
from landvisor.learn.plan import Plan
from landvisor.learn.surroundings import exact, interruptible, quiet
from landvisor.learn.task import Task, Total

MakeObjective = Callable[[Network], Objective]

_ENVIRONMENTS = {
    "landvisor": LightningEnvironment,
    "torchrun": TorchElasticEnvironment,
    "slurm": partial(SLURMEnvironment, auto_requeue=False),
}


def train_network(
    network: Network,
    chips: ChipDataset,
    *,
    objective: MakeObjective,
    evaluate: Evaluate | None,
    plan: Plan,
) -> Progress:
    """Train a network, or go on with it where a checkpoint of the same run exists.

    Args:
        network: Changed in place; afterwards it holds the weights of the best epoch.
        chips: Where batches come from.
        objective: Makes what is lowered, for the network on its device.
        evaluate: Scores the network after each epoch; the one that ends the five best by mean
            `mean_iou` is kept. None keeps the last.
        plan: All else.
    """
    progress = _restore(plan) if plan.ranks.leads else Progress()
    # several processes begin together, or one would wait for others that have nothing to do
    if not progress.done or plan.ranks.count > 1:
        _check_ranks(plan)
        claim_device(plan.ranks)
        place_network(network, find_device())
        keeper = Keeper(chips, progress, plan=plan, evaluate=evaluate)
        _run(_Module(network, objective(network), keeper=keeper), keeper)
        progress = keeper.progress
    network.load_state_dict(progress.best)
    return progress


def _restore(plan: Plan) -> Progress:
    progress = plan.journal.restore()
    plan.journal.forget_after(progress.epochs)
    if plan.curves is not None:
        plan.curves.start(plan.journal.digest, plan.journal.records())
    return progress


def sum_gradients(network: Network, *, total: Total) -> None:
    """Add up the gradients of all processes, each of which has its share of the loss.

    Whoever has none for a weight adds zeros.
    """
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    grads = [torch.zeros_like(w) if w.grad is None else w.grad for w in weights]
    summed = total(torch.cat([grad.flatten() for grad in grads]))
    parts = torch.split(summed, [grad.numel() for grad in grads])
    for weight, grad, part in zip(weights, grads, parts, strict=True):
        weight.grad = grad.copy_(part.view_as(grad))


class _Module(lightning.LightningModule):  # type: ignore[misc]  # lightning is not typed for us
    """One training step, and the optimiser.

    Gradients are summed over processes once, here, and not by the hooks that follow the backward
    pass: what waits for others in there could not begin its step again where memory ran out.
    """

    def __init__(self, network: Network, objective: Objective, *, keeper: Keeper) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.network = network
        self.objective = objective
        self.keeper = keeper
        self.plan = keeper.plan

    def training_step(self, batch: Batch, index: int) -> Tensor:
        turn, portions = self.keeper.turn(index), self.keeper.portions
        chips = len(batch.image)
        asked = portions.run(lambda parts: self.objective.ask(batch, turn, parts=parts), chips)
        task = self.objective.settle(asked, total=self.total)
        terms = portions.run(lambda parts: self._find_gradients(task, parts), chips)
        self.objective.note(terms)
        if self.plan.ranks.count > 1:
            sum_gradients(self.network, total=self.total)
        clip_gradients(self.network.parameters(), self.plan.spec.clip)
        self.optimizers().step()
        return torch.stack(list(terms.values())).sum()

    def total(self, tensor: Tensor) -> Tensor:
        """Add up a tensor over all processes."""
        if self.plan.ranks.count == 1:
            return tensor
        moved = tensor.detach().to(self.device, copy=True)
        summed: Tensor = self.trainer.strategy.reduce(moved, reduce_op="sum")
        return summed.to(tensor.device)

    def _find_gradients(self, task: Task, parts: list[slice]) -> dict[str, Tensor]:
        self.keeper.seed_step(task.turn)
        self.network.zero_grad()
        sums: dict[str, Tensor] = {}
        for chips in parts:
            terms = self.objective.terms(self.network, task.part(chips))
            torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
            for name, term in terms.items():
                sums[name] = sums.get(name, 0) + term.detach()
        return sums

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return make_optimiser(self.network, self.plan.spec, encoder_factor=self.plan.encoder_factor)


def _run(module: _Module, keeper: Keeper) -> None:
    plan = module.plan
    loader = DataLoader(
        keeper.chips,
        batch_sampler=_share_out(keeper),
        collate_fn=collate,
        generator=torch.Generator().manual_seed(0),  # else it draws from the global one
    )
    with quiet(), exact(), torch.random.fork_rng(), keeper.bar:
        trainer = lightning.Trainer(
            max_epochs=plan.epochs,
            accelerator="gpu" if find_device().type == "cuda" else "cpu",
            devices=plan.ranks.devices,
            num_nodes=plan.ranks.nodes,
            strategy="auto" if plan.ranks.count == 1 else "ddp",
            callbacks=[keeper],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            # else a job's variables on a cluster would be taken for a plan of our processes
            plugins=[_ENVIRONMENTS[plan.ranks.starter]()],
        )
        with interruptible():
            trainer.fit(module, loader)


def _share_out(keeper: Keeper) -> list[list[int]]:
    """List this process's chips of every batch."""
    size = keeper.plan.spec.batch_size
    mine = keeper.plan.ranks.share_out(size)
    return [[step * size + chip for chip in mine] for step in range(keeper.steps)]


def _check_ranks(plan: Plan) -> None:
    ranks, size, found = plan.ranks, plan.spec.batch_size, torch.cuda.device_count()
    if ranks.count > size:
        raise RecipeError(
            f"fit.batch_size {size} is shared by {ranks.count} processes; each needs a chip at "
            f"least: give --set fit.batch_size={ranks.count} or more"
        )
    if found and ranks.devices > found:
        raise RecipeError(f"--devices {ranks.devices} found {found} of them; give {found} or fewer")
