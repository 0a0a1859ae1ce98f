"""Everything is said in setup.cfg; this only keeps a stale build/ out of the wheel."""

import shutil

from setuptools import setup
from setuptools.command.build_py import build_py


class FreshBuild(build_py):
    """Build from nothing: setuptools would ship a deleted module that is still in build/lib."""

    def run(self) -> None:
        """Remove what an earlier build left, then build."""
        shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()


setup(cmdclass={"build_py": FreshBuild})
