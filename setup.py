"""Which packages the distribution holds; everything else is in pyproject.toml.

The checkout's `configs/` and `recipes/` are installed inside `framework`, so that a wheel puts one name into site-packages.
pyproject.toml can map the folders, but cannot both find packages and rename them.
"""

from setuptools import find_packages, setup

framework = find_packages(include=["framework", "framework.*"])
inside = find_packages(include=["configs", "configs.*", "recipes", "recipes.*"])

setup(packages=[*framework, *(f"framework.{name}" for name in inside)])
