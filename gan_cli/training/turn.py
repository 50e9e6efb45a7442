"""One player's move: forward, backward, step, with the opponent frozen meanwhile."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils.parametrizations import _SpectralNorm

from gan_cli.games.base import Game, Scalars
from gan_cli.spec import Batch, PairBatch
from gan_cli.system.ranks import Ranks
from gan_cli.training.finite import FiniteGuard, Player


@dataclass(frozen=True, kw_only=True)
class Move:
    """How every move is made.

    Attributes:
        autocast: precision of the forward pass.
        micro_batches: pieces of the batch whose gradients are added up before the step.
        max_grad_norm: longer gradients are scaled down to this length; None: none are.
    """

    autocast: AbstractContextManager[Any] = field(default_factory=nullcontext)
    micro_batches: int = 1
    max_grad_norm: float | None = None


def play(
    turn: Turn,
    optimizer: torch.optim.Optimizer,
    *,
    batch: Batch | PairBatch,
    move: Move,
    log_due: bool,
    guard: FiniteGuard | None = None,
    step: int = 0,
) -> Scalars:
    """One move: forward, backward, step. The only place that steps an optimizer.

    Args:
        turn: the mover's turn; only its weights change, the opponent's are frozen meanwhile.
        optimizer: of the mover.
        batch: real data.
        move: how.
        log_due: also compute the gradient norm and what to log of D's outputs.
        guard: keeps everything as it is from the first loss on that is not finite.
        step: the step that the move is part of, for `guard`.

    Returns:
        Detached scalars, left on the device: means over the micro-batches.
    """
    for p in turn.parameters_moved:
        p.grad = None
    turn.game.log_due = log_due
    scalars_of_each: list[Scalars] = []
    with turn.opponent.frozen():
        micro_batches: Sequence[Batch | PairBatch] = batch.split(move.micro_batches)
        for number, micro_batch in enumerate(micro_batches, start=1):
            with move.autocast:
                loss, scalars = turn.play(micro_batch, is_last=number == len(micro_batches))
            if guard is not None:
                guard.check(turn.player, step, turn.game.ranks.mean(loss.detach()), scalars)
            (loss / move.micro_batches if move.micro_batches > 1 else loss).backward()
            scalars_of_each.append(scalars)
    scalars = mean_of(scalars_of_each)
    if log_due or move.max_grad_norm is not None:
        gradients = [p.grad for p in turn.parameters_moved if p.grad is not None]
        norm = nn.utils.get_total_norm(gradients)
        scalars[f"grad_norm/{turn.player}"] = norm
        if move.max_grad_norm is not None:
            nn.utils.clip_grads_with_norm_(turn.parameters_moved, move.max_grad_norm, norm)
    if guard is None or guard.lets_step(optimizer):
        optimizer.step()
    return scalars | turn.game.after_move(turn.player)


def mean_of(several: list[Scalars]) -> Scalars:
    """Mean of each scalar over micro-batches of equal size."""
    if len(several) == 1:
        return several[0]
    return {key: torch.stack([one[key] for one in several]).mean() for key in several[0]}


class Freezable:
    """The parts of a network that hold still while its opponent moves, collected once."""

    def __init__(self, network: nn.Module) -> None:
        modules = list(network.modules())
        self.parameters = [p for p in network.parameters() if p.requires_grad]
        self.norms = [m for m in modules if isinstance(m, _NormBase) and m.track_running_stats]
        self.spectral = [m for m in modules if isinstance(m, _SpectralNorm)]

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Nothing of it moves inside: no gradients for its weights, no new running statistics.

        Its batch norm still normalises by the batch, as the papers' code does, but its running
        averages, and the vectors of its spectral norm, are left to its own moves.
        """
        spectral = [norm for norm in self.spectral if norm.training]
        for p in self.parameters:
            p.requires_grad_(False)
        for norm in self.norms:
            norm.track_running_stats = False
        for spectral_norm in spectral:
            spectral_norm.training = False
        try:
            yield
        finally:
            for p in self.parameters:
                p.requires_grad_(True)
            for norm in self.norms:
                norm.track_running_stats = True
            for spectral_norm in spectral:
                spectral_norm.training = True


class Turn(nn.Module):
    """One player's move as one module forward: one region to compile, one forward a backward."""

    def __init__(self, game: Game[Any], player: Player) -> None:
        super().__init__()
        self.game, self.player = game, player
        self.mover = game.discriminators if player == "d" else game.generators
        self.opponent = Freezable(game.generators if player == "d" else game.discriminators)
        self.parameters_moved = [p for p in self.mover.parameters() if p.requires_grad]
        #: This turn, with gradients exchanged between processes; in a list, or it would be a
        #: part of itself.
        self._joint: list[DistributedDataParallel] = []
        self._in_graphs = False

    def compile_for(self, device: torch.device, *, micro_batches: int) -> None:
        """Compile the move; on CUDA it is replayed as graphs, which spares most launches.

        What cannot be compiled runs as it is, with a warning from PyTorch.

        Args:
            device: where the game is played.
            micro_batches: of a batch; one graph would overwrite what the game keeps of another.
        """
        dynamo = torch._dynamo.config
        dynamo.suppress_errors = True
        # These shortcuts do not see that players are frozen in turn (PyTorch 2.11): G's move would
        # run as compiled for D's, without gradients.
        for shortcut in (
            "use_recursive_dict_tags_for_guards",
            "skip_tensor_guards_with_matching_dict_tags",
        ):
            if hasattr(dynamo, shortcut):
                setattr(dynamo, shortcut, False)
        # `speed_up` has chosen the layouts; where the compiler changes them, cuDNN's gradients may
        # lie otherwise than it expects.
        torch._inductor.config.layout_optimization = False
        self._in_graphs = device.type == "cuda" and micro_batches == 1
        self.compile(mode="reduce-overhead" if self._in_graphs else "default")

    def join(self, ranks: Ranks) -> None:
        """Let backward leave the mean of all processes' gradients.

        Running averages of batch norm are each process's own: nothing in training reads them, and
        those of rank 0 are the ones that are saved.
        """
        if ranks.alone:
            return
        device = self.parameters_moved[0].device
        # Only the mover's gradients are exchanged, and no buffers, not even at the start, as
        # broadcast_buffers alone promises; PyTorch 2.15 would have it renamed.
        with self.opponent.frozen(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`broadcast_buffers`", FutureWarning)
            self._joint = [
                DistributedDataParallel(
                    self,
                    device_ids=[device] if device.type == "cuda" else None,
                    broadcast_buffers=False,
                )
            ]

    def play(self, micro_batch: Batch | PairBatch, *, is_last: bool) -> tuple[Tensor, Scalars]:
        """The loss of a micro-batch; gradients are exchanged only behind the last one."""
        if self._in_graphs:
            torch.compiler.cudagraph_mark_step_begin()
        for joint in self._joint:
            joint.require_backward_grad_sync = is_last
        play: nn.Module = self._joint[0] if self._joint else self
        loss, scalars = play(micro_batch)
        if self._in_graphs:  # the next replay writes where this one's results lie
            scalars = {key: value.clone() for key, value in scalars.items()}
        return loss, scalars

    def forward(self, batch: Batch | PairBatch) -> tuple[Tensor, Scalars]:
        """The mover's loss and its scalars."""
        return self.game.d_loss(batch) if self.player == "d" else self.game.g_loss(batch)
