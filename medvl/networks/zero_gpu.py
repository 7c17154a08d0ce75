"""Hugging Face's ZeroGPU: a GPU that a Space lends to one call of a function at a time.

A function marked with ``lent`` runs there in a process forked from this one, once a GPU is free and the visitor has
time left. It finds the networks that were loaded before the page was launched; what it is given and gives is pickled,
and what it changes is lost. So state (tokens, features, what was said) stays with the caller, and a Stop closes the
generator. Anywhere else ``lent`` changes nothing, and the package ``spaces`` is not needed.
"""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from itertools import count
from typing import Any, TypeVar
from weakref import WeakValueDictionary

import torch

from ..errors import GpuError, MedVLError

Function = TypeVar("Function", bound=Callable[..., Any])
GOES_ON = "What is measured goes on, on the CPU; only what a language model reads or words has to wait."


def on_zero_gpu() -> bool:
    """True in a Space whose hardware is ZeroGPU."""
    return os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")


# ---- networks, by names that can be pickled

_NETWORKS: WeakValueDictionary[str, Any] = WeakValueDictionary()
_NUMBERS = count()


def name_of(network: object) -> str:
    """A name by which a process that is forked later finds this network; its owner keeps it alive."""
    name = f"{type(network).__name__}-{next(_NUMBERS)}"
    _NETWORKS[name] = network
    return name


def named(name: str) -> Any:
    """The network of this name."""
    return _NETWORKS[name]


# ---- the decorator


def lent(seconds: int | Callable[..., int]) -> Callable[[Function], Function]:
    """Run a function, or a generator, on the lent GPU; the function itself where there is none.

    Args:
        seconds: most that a call takes, or a function of the call's arguments that says so. A visitor with less time
            left is refused, so it is no larger than needed.

    Raises:
        GpuError: (the function, when it is called) no GPU can be had, or its process ended early.
    """

    def mark(function: Function) -> Function:
        if not on_zero_gpu():
            return function
        import spaces

        return _told(spaces.GPU(duration=seconds)(_carried(function)))

    return mark


@dataclass(frozen=True)
class _Failure:
    """An error of this package on its way back: of others ``spaces`` keeps the class's name only."""

    error: MedVLError


def _carried(function: Callable[..., Any]) -> Callable[..., Any]:
    """For the GPU's process: one thread, since PyTorch's do not live on in a forked process and would be waited for;
    errors of this package are given back as values.
    """
    if inspect.isgeneratorfunction(function):

        @wraps(function)
        def stream(*given: object, **named: object) -> Iterator[object]:
            torch.set_num_threads(1)
            try:
                yield from function(*given, **named)
            except MedVLError as error:
                yield _Failure(error)

        return stream

    @wraps(function)
    def call(*given: object, **named: object) -> object:
        torch.set_num_threads(1)
        try:
            return function(*given, **named)
        except MedVLError as error:
            return _Failure(error)

    return call


def _told(function: Callable[..., Any]) -> Callable[..., Any]:
    """For the caller: errors that ``spaces`` raises become plain words."""
    if inspect.isgeneratorfunction(function):

        @wraps(function)
        def stream(*given: object, **named: object) -> Iterator[object]:
            pieces = function(*given, **named)
            try:
                for piece in pieces:
                    yield _opened(piece)
            except Exception as error:
                raise plain(error) from error
            finally:
                pieces.close()

        return stream

    @wraps(function)
    def call(*given: object, **named: object) -> object:
        try:
            return _opened(function(*given, **named))
        except Exception as error:
            raise plain(error) from error

    return call


def _opened(value: object) -> object:
    if isinstance(value, _Failure):
        raise value.error
    return value


def plain(error: Exception) -> Exception:
    """What ``spaces`` raises, in words for the visitor; any other error as it is.

    Args:
        error: of ``spaces`` a ``gradio.Error`` whose title begins with "ZeroGPU".
    """
    title, said = str(getattr(error, "title", "")), str(getattr(error, "message", error))
    if not title.startswith("ZeroGPU"):
        return error
    if "worker" in title:
        return GpuError(f"The GPU's process ended early ({said}). {GOES_ON} Ask again.")
    if "No GPU was available" in said or "queue" in title or "client" in title:
        return GpuError(f"No GPU is free in this Space now. {GOES_ON} Ask again in a minute.")
    wait = re.search(r"Try again in (\d[^.]*)\.", said)
    again = f"More comes in {wait[1].strip()} (hours:minutes:seconds)." if wait else "More comes within a day."
    return GpuError(f"Your share of this Space's GPU time is used up. {GOES_ON} {again}")
