"""Wrappers are told from rules by annotations: toys of every form there is, none missed, none taken for the other."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import pytest

import arrayopt
from arrayopt import GradientTransformation, GradientTransformationExtraArgs
from arrayopt.calls import by_call
from arrayopt.types import MaskOrFn, OptState, Params, Scalar, ScalarOrSchedule, Schedule, Transform, Updates
from arrayopt_conformance.makers import by_name, makes_transforms, needed, takes_transforms
from arrayopt_conformance.oracles import Inner, Maker, markers
from arrayopt_conformance.rules import arguments, combinators, everybody, made, rules

# -- wrappers ------------------------------------------------------------------------------------------------


def of_any_number(*transforms: Transform) -> GradientTransformationExtraArgs:
    return arrayopt.chain(*transforms)


def of_pairs(*transforms: tuple[str, Transform]) -> GradientTransformationExtraArgs:
    return arrayopt.chain(*[tx for _, tx in transforms])


def ahead(fast_optimizer: GradientTransformation, sync_period: int, slow_step_size: float) -> GradientTransformation:
    del sync_period, slow_step_size
    return fast_optimizer


@by_call
def if_finite(inner: Transform, max_consecutive_errors: int = 1) -> GradientTransformation:
    del max_consecutive_errors
    return arrayopt.chain(inner)


def flat(inner: GradientTransformationExtraArgs | None) -> GradientTransformationExtraArgs:
    return arrayopt.chain() if inner is None else inner


def if_asked(inner: Transform, should_transform_fn: Callable[..., Any]) -> GradientTransformationExtraArgs:
    return arrayopt.chain(inner)


def parted(
    transforms: Mapping[Hashable, Transform], param_labels: Any, *, mask_compatible_extra_args: bool = False
) -> GradientTransformationExtraArgs:
    return arrayopt.chain(*[transforms[label] for label in param_labels])


def in_turn(weight: Scalar, txs: Sequence[GradientTransformation]) -> GradientTransformation:
    return arrayopt.chain(arrayopt.scale(weight), *txs)


def injected(
    inner_factory: Callable[..., Transform], static_args: Sequence[str] = ()
) -> Callable[..., GradientTransformationExtraArgs]:
    def factory(**kwargs: Any) -> GradientTransformationExtraArgs:
        return arrayopt.chain(inner_factory(**kwargs))

    return factory


class Factory(Protocol):
    def __call__(self, learning_rate: float) -> GradientTransformation: ...


def of_a_protocol(factory: Factory) -> GradientTransformation:
    return factory(0.1)


class EverySteps:
    """Like ``MultiSteps``."""

    def __init__(
        self, opt: Transform, every_k_schedule: int | Callable[[Any], Any], use_grad_mean: bool = True
    ) -> None:
        self.opt = opt

    def init(self, params: Params) -> OptState:
        return self.opt.init(params)

    def update(self, updates: Updates, state: OptState, params: Params = None) -> tuple[Updates, OptState]:
        return self.opt.update(updates, state, params)

    def gradient_transformation(self) -> GradientTransformation:
        return GradientTransformation(self.init, self.update)


def of_a_class(steps: EverySteps) -> GradientTransformation:
    return steps.gradient_transformation()


OF_TRANSFORMS: list[Any] = [of_any_number, of_pairs, ahead, if_finite, flat, if_asked, parted, in_turn]
OF_MAKERS: list[Any] = [injected, of_a_protocol, EverySteps, of_a_class]

# -- rules ---------------------------------------------------------------------------------------------------


def plain(learning_rate: ScalarOrSchedule, b1: Scalar = 0.9, mask: MaskOrFn = None) -> GradientTransformation:
    return arrayopt.sgd(learning_rate)


def of_functions(f: Callable[[Updates, Params], Updates], when: Schedule, **kwargs: Any) -> GradientTransformation:
    return arrayopt.stateless(f)


def told_of_a_transform(f: Callable[[GradientTransformation], float]) -> GradientTransformation:
    return arrayopt.identity()


def searching(learning_rate: float, linesearch: Transform | None = None) -> GradientTransformation:
    """A rule that has a default for the transform in it, as ``lbfgs`` has."""
    return arrayopt.chain(arrayopt.scale(learning_rate), *([] if linesearch is None else [linesearch]))


RULES: list[Any] = [plain, of_functions, told_of_a_transform, searching]

# -- neither -------------------------------------------------------------------------------------------------


class SkipState(NamedTuple):
    inner_state: Any


def skip_not_finite(updates: Updates, gradient_step: Any, params: Params) -> tuple[Any, Any]:
    return False, ()


def split(tx: Transform) -> tuple[Transform, Transform]:
    return tx, tx


def stepper(optimizer: Transform) -> Callable[[Params], Params]:
    return lambda params: params


NEITHER: list[Any] = [SkipState, skip_not_finite, split, stepper]


@pytest.mark.parametrize("make", [*OF_TRANSFORMS, *OF_MAKERS])
def test_a_wrapper_is_found(make: Callable[..., Any]) -> None:
    assert makes_transforms(make) and takes_transforms(make)


@pytest.mark.parametrize("make", RULES)
def test_a_rule_is_not_taken_for_one(make: Callable[..., Any]) -> None:
    assert makes_transforms(make) and not takes_transforms(make)


@pytest.mark.parametrize("make", NEITHER)
def test_what_makes_no_transform_is_neither(make: Callable[..., Any]) -> None:
    assert not makes_transforms(make)


ADAM = Inner("adam", learning_rate=0.1)
CALLS: list[tuple[Callable[..., Any], dict[str, Any]]] = [
    (of_any_number, {"transforms": [ADAM, Inner("scale", step_size=2.0)]}),
    (ahead, {"fast_optimizer": ADAM, "sync_period": 2, "slow_step_size": 0.5}),
    (if_finite, {"inner": Inner("chain", transforms=[ADAM])}),
    (parted, {"transforms": {"a": ADAM, "b": Inner("scale", step_size=2.0)}, "param_labels": ["b", "a"]}),
    (in_turn, {"weight": 2.0, "txs": [ADAM]}),
    (injected, {"inner_factory": Maker("adam"), "learning_rate": 0.1}),
    (EverySteps, {"opt": ADAM, "every_k_schedule": 3}),
]


@pytest.mark.parametrize(("make", "case"), CALLS, ids=[make.__name__ for make, _ in CALLS])
def test_every_form_is_called_by_name(make: Callable[..., Any], case: dict[str, Any]) -> None:
    """The steps of each toy are in the direction of Adam's."""
    tx, p = by_name(make)(**arguments(case)), np.asarray([1.0, -2.0])
    wanted, _ = arrayopt.adam(0.1).update(p, arrayopt.adam(0.1).init(p), p)
    us, _ = tx.update(p, tx.init(p), p)
    assert np.sign(us).tolist() == np.sign(wanted).tolist()
    assert by_name(make).__name__ == make.__name__


def test_markers_are_transforms_and_their_oracles() -> None:
    assert made([ADAM, {"x": ADAM}]) == [arrayopt.adam(0.1), {"x": arrayopt.adam(0.1)}]
    case = {"inner": Inner("chain", transforms=[ADAM, Inner("scale", step_size=2.0)])}
    gs = [np.asarray([1.0, -2.0])]
    (us,) = markers.plain(case)["inner"]([np.zeros(2)], [gs])
    assert np.allclose(us[0], [-0.2, 0.2])
    assert markers.plain({"f": Maker("adam")})["f"] is markers.oracle("adam")


# -- arrayopt's own ------------------------------------------------------------------------------------------


def test_who_is_found() -> None:
    names = {rule.name for rule in combinators()}
    assert {"chain", "masked", "with_extra_args_support"} <= names
    assert not names & {rule.name for rule in rules()}


def test_all_that_is_public_and_makes_transforms_is_found() -> None:
    modules = (arrayopt, arrayopt.contrib, arrayopt.schedules)
    public = {name: value for module in modules for name, value in vars(module).items() if not name.startswith("_")}
    ours = {name: x for name, x in public.items() if getattr(x, "__module__", "").startswith("arrayopt.")}
    functions = {name: x for name, x in ours.items() if inspect.isfunction(x) or inspect.isclass(x)}
    assert {name for name, x in functions.items() if makes_transforms(x)} == {rule.name for rule in everybody()}


def test_no_rule_hides_a_transform_behind_any() -> None:
    """An argument without a default says what it is: one that is Any might be a transform."""
    for rule in rules():
        assert Any not in needed(rule.make).values(), f"{rule}: {needed(rule.make)}"
