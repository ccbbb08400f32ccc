"""All measurements, by the names that `bench/run --only` takes."""

import shutil
import time
import traceback

from . import build, growth, machine, micro, stores, workloads

BY_NAME = {
    "verifyToken": workloads.verify, "generateToken": workloads.generate, "generate_array": workloads.array,
    "customers": workloads.customers, "refresh": workloads.refresh, "login": workloads.login,
    "files": workloads.files, "start": growth.start, "growth": growth.growth, "sync": stores.sync,
    "postgres": stores.postgres, "micro": micro.measure,
}


def measure(plan):
    """What was asked for; one that fails does not cost the others their results."""
    done = {}
    for name in [name for name in BY_NAME if not plan.only or name in plan.only]:
        began = time.monotonic()
        try:
            done[name] = BY_NAME[name](plan)
        except (Exception, SystemExit):  # noqa: BLE001
            traceback.print_exc()
        print(f"{name}: {time.monotonic() - began:.0f} s, load {machine.load():.1f}", flush=True)
    shutil.rmtree(build.WORK / "data", ignore_errors=True)
    return done
