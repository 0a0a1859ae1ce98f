"""The tests; assertions outside of test files show what they saw as well."""

import pytest

pytest.register_assert_rewrite("tests.support", "tests.ssh", "tests.lab")
