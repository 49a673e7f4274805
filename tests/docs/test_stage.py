"""A stage is honest: what fails there is told, and nothing of it stays."""

from pathlib import Path

import pytest

from tests.docs.stage import Failed, Stage
from tests.running import eventually


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    with Stage(tmp_path_factory.mktemp("stage")) as opened:
        yield opened


@pytest.fixture
def broken(tmp_path):
    """A stage of the test's own, which does not survive it."""
    with Stage(tmp_path) as opened:
        yield opened


@pytest.mark.parametrize("text", ["false\ntrue", "false | true", "echo $NOBODY_HAS_SET_IT", "if", "exit 0"])
def test_a_block_fails_with_any_of_its_commands(broken, text):
    with pytest.raises(Failed):
        broken.shell(text)


def test_what_is_to_be_refused_must_not_succeed(stage):
    assert "No such file" in stage.shell("cat nothing", is_refused=True)
    with pytest.raises(Failed, match="did not be refused"):
        stage.shell("true", is_refused=True)
    with pytest.raises(Failed, match="NameError"):
        stage.python("nothing")


def test_one_block_begins_where_the_last_one_ended(stage):
    stage.shell("cd /etc; own=1; export PASSED=2")
    assert stage.shell("echo $own $PWD") == "1 /etc\n"
    assert stage.python("import os\nkept = os.environ['PASSED'] + os.getcwd()") == ""
    assert stage.python("print(kept)") == "2/etc\n"


def test_what_is_written_installed_or_listened_on_is_the_stages_own(stage):
    stage.shell("touch /etc/of-the-stage")
    assert not Path("/etc/of-the-stage").exists()
    assert stage.shell("ls /sys/class/net") == "lo\n"
    assert stage.shell("ps -e -o comm= | grep -cx bash") == "1\n"


def test_what_goes_on_ends_with_an_interrupt(broken):
    broken.go_on("trap 'echo bye; exit 0' INT; echo begun; while true; do sleep 0.02; done")
    eventually(broken.other_terminal, what="its beginning")
    broken.interrupt()
    assert broken.other_terminal() == "begun\nbye\nended with exit code 0\n"


def test_what_goes_on_has_to_end_well(broken):
    broken.go_on("exec sleep 60")
    with pytest.raises(Failed):
        broken.interrupt()


def test_the_newest_pair_that_was_printed_takes_the_examples_place(stage):
    stage.shell("printf 'access key  AKOFONE\\nsecret key  one\\n'")
    stage.shell("printf 'access key  AKOFTWO\\nsecret key  two\\n'")
    assert stage.shell("echo AKOFEXAMPLEACCESSKEY:EXAMPLESECRETKEY") == "AKOFTWO:two\n"
