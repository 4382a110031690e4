"""What every test runs with: no key, no colours and no terminal of the person who runs them."""

import pytest


@pytest.fixture(autouse=True, scope="session")
def _no_settings_of_this_user(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADER_KEY_FILE", str(tmp_path_factory.mktemp("key") / "course.key"))
        patch.setenv("COLUMNS", "80")
        for name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE"):
            patch.delenv(name, raising=False)
        yield
