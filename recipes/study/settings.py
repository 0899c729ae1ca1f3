"""Every number of the studies: sizes, steps, learning rates. FULL is what docs/results reports, QUICK is for tests.

Learning rates of naive, posterior, dense-active and of tuning were chosen with recipes/continual/tune.py and
recipes/specialise/tune.py among 1e-3, 2e-3 and 4e-3: the lowest validation loss of the first new domain after one step of
the sequence, or of the first task, with a seed that no table uses. Where 4e-3 was best it stayed the largest: naive 5.090,
posterior 5.134, whole 4.573; dense-active 5.408 at 2e-3. The others take over a neighbour's.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Settings:
    name: str
    vocabulary: int
    context: int
    batch: int
    base_steps: int
    domain_steps: int
    qa_steps: int
    heal_steps: int
    eval_tokens: int  # held-out tokens of each task for each loss
    switches: int  # documents that change domain, for each ordered pair of domains
    curve_tokens: int
    tasks: tuple  # of the study of specialisation
    full_tasks: tuple  # those of them for which every variant is made
    domains: tuple  # in the order in which they are learned, the base's first
    base_config: dict  # of the modular model
    dense_active: dict  # fields in which a dense transformer differs: as many weights at work for a token
    dense_total: dict  # the same: as many weights in all
    rates: dict  # peak learning rates
    tokens_per_second: dict  # measured, for the estimate alone
    bfloat16: bool = False  # train with --bf16; losses are measured in float32 all the same
    pools: int = 4
    distill: float = 0.5

    @property
    def base(self):
        return self.domains[0]

    @property
    def new(self):
        return self.domains[1:]

    @property
    def step_tokens(self):
        return self.batch * self.context


RATES = {
    "base": 2e-3, "dense-active-base": 2e-3, "dense-total-base": 1e-3, "dense-active": 2e-3, "dense-total": 1e-3,
    "naive": 4e-3, "joint": 2e-3, "freeze": 4e-3, "posterior": 4e-3, "single-mask": 2e-3,
    "tune-whole": 4e-3, "tune-small": 4e-3
}

FULL = Settings(
    name="full",
    vocabulary=4096,
    context=512,
    batch=4,
    base_steps=500,
    domain_steps=80,
    qa_steps=40,
    heal_steps=20,
    eval_tokens=16384,
    switches=3,
    curve_tokens=8192,
    tasks=("python", "qa", "german", "french"),
    full_tasks=("python", "qa"),
    domains=("english", "german", "python", "french"),
    base_config=dict(n_embd=192, n_layer=4, n_head=3, att_hidden=192, ffd_hidden=256, gating_size=96, n_att_experts=16,
                     n_mlp_experts=32, k_att=2, k_mlp=2, aux_loss_type="mi", aux_loss_weight=0.01),
    # Twice the width of a module, since k is 2; one module of each kind is a dense layer.
    dense_active=dict(n_head=6, att_hidden=384, ffd_hidden=512, n_att_experts=1, n_mlp_experts=1, k_att=1, k_mlp=1,
                      aux_loss_weight=0.0),
    # As deep, and wider, as a dense model of this size would be.
    dense_total=dict(n_embd=512, n_head=8, att_hidden=512, ffd_hidden=2560, n_att_experts=1, n_mlp_experts=1, k_att=1,
                     k_mlp=1, aux_loss_weight=0.0),
    rates=RATES,
    bfloat16=True,
    tokens_per_second={"modular": 12000, "dense-active": 20000, "dense-total": 7000, "evaluate": 40000})

_TINY = dict(n_embd=32, n_layer=2, n_head=2, att_hidden=32, ffd_hidden=32, gating_size=16, n_att_experts=4,
             n_mlp_experts=8, k_att=2, k_mlp=2, aux_loss_type="mi", aux_loss_weight=0.01)
_DENSE = dict(n_att_experts=1, n_mlp_experts=1, k_att=1, k_mlp=1, aux_loss_weight=0.0)

QUICK = Settings(
    name="quick",
    vocabulary=400,
    context=32,
    batch=2,
    base_steps=8,
    domain_steps=4,
    qa_steps=4,
    heal_steps=2,
    eval_tokens=512,
    switches=1,
    curve_tokens=256,
    tasks=("german", "qa"),
    full_tasks=("german", "qa"),
    domains=("english", "german", "code"),
    base_config=_TINY,
    dense_active=dict(_DENSE, att_hidden=64, n_head=4, ffd_hidden=64),
    dense_total=dict(_DENSE, n_embd=64, att_hidden=64, ffd_hidden=128),
    rates=RATES,
    tokens_per_second={"modular": 20000, "dense-active": 20000, "dense-total": 20000, "evaluate": 40000})
