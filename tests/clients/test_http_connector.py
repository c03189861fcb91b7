"""What doctor tells of a client that is an API."""

from datetime import timedelta

from tests.asking import client_of


class TestDoctor:
    def test_it_tells_whether_the_list_answers_and_the_clocks_agree(self, erp, tmp_path):
        assert [one.state for one in client_of(erp, tmp_path).check()] == ["ok"]
        erp.skew = timedelta(hours=1)
        assert [one.state for one in client_of(erp, tmp_path).check()] == ["ok", "warning"]
        (finding,) = client_of(erp, tmp_path, items="nothing").check()
        assert (finding.state, "see items" in finding.says) == ("problem", True)
