"""The adapter `{{name}}`: LoRA (Hu et al. 2021) on queries and values. It answers once, with data; the model computes.

What crosses the border is here; the choice of sites is in `targets.py`. Every component has an instance of its own, so a global
variable is its state and nobody else's."""

import json

from componentize_py_types import Err
from targets import ROLES, choose
from wit_world import exports
from wit_world.imports.types import (
    AdapterPlan,
    Error,
    ErrorKind,
    Init_Constant,
    Init_KaimingUniform,
    LowRank,
    Operation_LowRank,
    Site,
    SiteOperation,
)

settings = {"rank": 8, "alpha": 16.0}


class Adapter(exports.Adapter):
    def create(self, name: str, config: str) -> None:
        """The configuration was checked against `plugin.toml`, and its defaults are filled in."""
        settings.update(json.loads(config))

    def plan(self, sites: list[Site]) -> AdapterPlan:
        rank, alpha = settings["rank"], settings["alpha"]
        names = choose([(site.name, site.role) for site in sites])
        if not names:
            hint = f"the sites are {', '.join(site.name for site in sites)}"
            raise Err(Error(ErrorKind.CONFIG, f"no site is one of {', '.join(ROLES)}", hint, []))
        low_rank = LowRank(
            rank=rank,
            scale=alpha / rank,
            dropout=0.0,
            a=Init_KaimingUniform(),
            # Beginning at 0, it changes nothing until it has learned.
            b=Init_Constant(0.0),
            train=True,
            shared=None,
            rank_scale=None,
            output_scale=None,
        )
        saved = {"peft_type": "LORA", "r": rank, "lora_alpha": alpha, "target_modules": names}
        operations = [SiteOperation(name, Operation_LowRank(low_rank)) for name in names]
        return AdapterPlan(operations, modules_to_save=[], saved_config=json.dumps(saved), values=b"")
