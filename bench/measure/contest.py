"""Rounds in turn: how much is measured, and what the rounds have shown."""

import statistics
from dataclasses import dataclass, field, replace

from . import generator

KEYWARD, CEILING, FLASK = "Keyward", "bare hyper", "Flask + gunicorn"


@dataclass
class Plan:
    """How much of it all."""

    quick: bool
    only: set
    short: bool = False

    @property
    def rounds(self):
        return (3 if self.quick else 5) - (1 if self.quick else 2) * self.short

    def shorter(self):
        """The same with fewer rounds, where nothing is asked of the ratio."""
        return replace(self, short=True)

    @property
    def seconds(self):
        return 1 if self.quick else 3

    @property
    def sizes(self):
        return (1000, 100_000) if self.quick else (1000, 100_000, 1_000_000)

    @property
    def rows(self):
        return self.sizes[-1]

    @property
    def closed(self):
        return 1_000_000 if self.quick else 10_000_000


@dataclass
class Measured:
    """One measurement: rounds by server, and single figures by name."""

    rounds: dict = field(default_factory=dict)
    paced: dict = field(default_factory=dict)
    figures: dict = field(default_factory=dict)

    def median(self, name):
        return statistics.median(one.rate for one in self.rounds[name])

    def ratios(self, name, base):
        """The ratio round by round: a round's servers met the same machine."""
        return [a.rate / b.rate for a, b in zip(self.rounds[name], self.rounds[base])]


def alternate(plan, contestants, paced=KEYWARD, clients=64, seconds=None):
    """Rounds in turn; `contestants` names a server and what makes its script each round."""
    measured = Measured({name: [] for name in contestants})
    for server, script in contestants.values():
        generator.run(server, script(), 1, clients)
    for _ in range(plan.rounds):
        for name, (server, script) in contestants.items():
            measured.rounds[name].append(generator.run(server, script(), seconds or plan.seconds, clients))
    for name in {paced} & set(contestants):
        server, script = contestants[name]
        half = measured.median(name) / 2
        measured.paced[name] = generator.run(server, generator.paced(script(), 64, half), plan.seconds + 1)
    return measured


def same(script):
    """A script that every round shares."""
    return lambda: script
