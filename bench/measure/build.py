"""Builds Keyward, the ceiling and the peers; their tools go to target/bench."""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "target" / "bench"
PYTHON = WORK / "venv" / "bin"
NODE = WORK / "node"
PROGRAMS = ROOT / "target" / "dist"
PYTHON_PACKAGES = ["flask", "gunicorn", "fastapi", "uvicorn[standard]", "PyJWT"]


def everything():
    """Builds what is not built yet."""
    run("cargo", "build", "--profile", "dist", "--locked", "--package", "keyward")
    run("cargo", "build", "--profile", "dist", "--locked", "--package", "keyward-bench")
    WORK.mkdir(parents=True, exist_ok=True)
    if not (PYTHON / "uvicorn").exists():
        run("python3", "-m", "venv", str(WORK / "venv"))
        run(str(PYTHON / "pip"), "install", "--quiet", *PYTHON_PACKAGES)
    if not (NODE / "node_modules" / "jsonwebtoken").exists():
        NODE.mkdir(exist_ok=True)
        run("npm", "install", "--silent", "--prefix", str(NODE), "jsonwebtoken@9")


def run(*command):
    """Runs a command in the repository and stops where it fails."""
    subprocess.run(command, cwd=ROOT, check=True)


def clean_environment():
    """The environment without settings of Keyward, so that its defaults are what is measured."""
    ours = ("KEYWARD_", "JWT_", "PORT")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}
