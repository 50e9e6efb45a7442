"""What a run sets in PyTorch for its whole process."""

from collections.abc import Iterator

import pytest
import torch

from gan_cli.system.precision import autocast, set_up_torch

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _precision() -> Iterator[None]:
    yield
    set_up_torch(CPU, threads=torch.get_num_threads(), precision="fp32", deterministic=False)


def test_threads_and_precision_are_set_and_set_back() -> None:
    set_up_torch(CPU, threads=1, precision="tf32", deterministic=False)
    assert torch.get_num_threads() == 1
    assert torch.get_float32_matmul_precision() == "high"
    assert torch.backends.cudnn.allow_tf32
    set_up_torch(CPU, threads=1, precision="fp32", deterministic=False)
    assert torch.get_float32_matmul_precision() == "highest"
    assert not torch.backends.cudnn.allow_tf32


def test_only_bf16_computes_in_another_type() -> None:
    a = torch.ones(2, 2)
    with autocast(CPU, precision="bf16"):
        assert (a @ a).dtype is torch.bfloat16
    for precision in ("fp32", "tf32"):
        with autocast(CPU, precision=precision):
            assert (a @ a).dtype is torch.float32
