"""Hypothesis profiles and one real cluster. Oracles are in naive.py, random inputs in strategies.py."""

import os
from contextvars import copy_context

import pytest
from distributed import Client
from hypothesis import settings

from dnmf.clusters.local import local_cluster

settings.register_profile("ci", derandomize=True, deadline=None, max_examples=60)
settings.register_profile("dev", deadline=None, max_examples=20)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


@pytest.fixture(scope="session")
def client():
    """A client of a real LocalCluster of two workers; the first test that asks for it starts it.

    It is the current client in the tests that ask for it, and in no other: see `_current`.
    """
    # In a context of its own: the client that a cluster opens would be every later test's current one.
    context, opened = copy_context(), local_cluster(workers=2)
    first = context.run(opened.__enter__)
    try:
        first.close()
        with Client(first.cluster.scheduler_address, set_as_default=False) as hidden:
            yield hidden
    finally:
        context.run(opened.__exit__, None, None, None)


@pytest.fixture(autouse=True)
def _current(request):
    """Make the session's client the current one where a test asks for it; other tests compute on threads."""
    if "client" not in request.fixturenames:
        yield
        return
    with request.getfixturevalue("client").as_current():
        yield
