"""The same examples on every run; `pytest --hypothesis-profile=explore` draws new ones, and many."""

from hypothesis import HealthCheck, Phase, settings

# A machine that is busy is slow at drawing, too.
REPEATABLE = {"deadline": None, "derandomize": True, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("repeatable", **REPEATABLE)
settings.register_profile("fast", **REPEATABLE, max_examples=15)  # `make fast`: a first look, the suite draws them all
settings.register_profile(  # `make mutate`: that a mutant is found out is enough, no simplest example is wanted
    "mutants", **REPEATABLE, max_examples=40, phases=[Phase.explicit, Phase.generate], report_multiple_bugs=False
)
settings.register_profile("explore", deadline=None, max_examples=2000)
if settings.get_current_profile_name() == "default":
    settings.load_profile("repeatable")
