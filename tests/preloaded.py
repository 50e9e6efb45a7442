"""What the fork server of `tests.processes` imports: all that commands import, late or not."""

import importlib

from gan_cli.settings.compose import compose_config

MODULES = (
    "gan_cli.cli.commands", "gan_cli.evaluation.registry", "gan_cli.page.run_page",
    "gan_cli.train", "scipy.stats", "torch.distributed.nn", "torch.utils.tensorboard",
    "torch._dynamo",  # DistributedDataParallel imports it
    "tests.conftest", "tests.test_config",
)  # fmt: skip

for module in MODULES:
    importlib.import_module(module)
compose_config([])  # lets Hydra find its plugins and make its parsers
