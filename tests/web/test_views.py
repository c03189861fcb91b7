"""What the page shows, asked in this process: its doors are the test's own, and no server runs."""

import asyncio
import fcntl
import os
import re
from datetime import UTC, datetime, timedelta

import httpx
import msgspec
import pytest
from msgspec.structs import replace

from pipeline.deadletters import shelf
from pipeline.errors import Fatal, Reason
from pipeline.history.decisions import Change, Entry
from pipeline.history.journal import FlowCounts, Journal, Run
from pipeline.orders.merge import Lost, Rule
from pipeline.service.looking import Both, FieldNow
from pipeline.service.serve import State
from pipeline.service.settings import Settings
from pipeline.web import letters
from pipeline.web.app import make_app
from pipeline.web.doors import Doors
from pipeline.web.guard import Secrets
from tests.deadletters.test_shelf import put

EVIL = "<script>alert(1)</script>\u202e"


def now():
    return datetime.now(UTC).replace(microsecond=0)


class Shut(Doors):
    """Doors behind which nothing is; what was asked of them is kept."""

    uri = ""
    states = None

    def __init__(self):
        self.asked, self.both, self.said = [], [], "the next run tells erp_json"

    async def retry(self, which):
        raise Fatal("no retry here")

    async def restore(self, client, number, field):
        self.asked.append((client, number, field))
        if isinstance(self.said, Fatal):
            raise self.said
        return self.said

    async def look(self, number):
        self.asked.append(number)
        return self.both


class Page:
    """The page on a folder."""

    def __init__(self, home):
        self.settings = Settings(mongo_uri=None)
        self.doors, self.home, self.secret = Shut(), home, Secrets()
        self.app = make_app(self.settings, self.doors, self.secret, 80)

    def client(self):
        transport = httpx.ASGITransport(self.app)
        return httpx.AsyncClient(transport=transport, base_url=f"http://localhost:80/{self.secret.token}/")

    async def get(self, path="", status=200):
        async with self.client() as client:
            answer = await client.get(path, headers={"Host": "localhost:80"})
        assert answer.status_code == status
        return answer.text

    async def post(self, path, **form):
        async with self.client() as client:
            said = {"form_token": self.secret.form, **form}
            return await client.post(path, data=said, headers={"Host": "localhost:80"})

    def ran(self, *runs):
        for run in runs:
            Journal(self.settings.data_journal).write(run)

    def decided(self, *entries):
        self.settings.data_decision_log.parent.mkdir(parents=True, exist_ok=True)
        with self.settings.data_decision_log.open("ab") as log:
            log.write(msgspec.json.Encoder().encode_lines(entries))


@pytest.fixture
def page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/inbound").mkdir(parents=True)
    return Page(tmp_path)


def run(hours=1.0, name="a", **more):
    began = now() - timedelta(hours=hours)
    flow = FlowCounts(flow="erp_json.inbound", client="erp_json", read=20, outcomes={"created": 9}, dead={"parse": 2})
    said = {"command": "run", "ended": began + timedelta(seconds=90), "ending": "finished", "exit": 0}
    return Run(run=name, began=began, **{**said, "flows": (flow,), "gave_way": {"client": 3}, **more})


def entry(number=7, minute=0, field="title", value="theirs", **more):
    lost = Lost(field=field, side="client", value=value, kept="ours", because="the edit in TracOS is newer")
    said = {"rule": Rule.THREE_WAY, "lost": (lost,), "locator": "7.json", "client": "erp_json", "run": "a"}
    return Entry(at=now() + timedelta(minutes=minute), number=number, **{**said, **more})


def text(html):
    """What a person reads of a page."""
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


class TestOverview:
    async def test_of_nothing(self, page):
        html = await page.get()
        assert re.search(r"<h1[^>]*>Nothing has run yet</h1>", html)
        assert "Everything that was read could pass." in html

    async def test_all_is_well_and_when_each_client_succeeded(self, page):
        page.ran(
            run(3, "a"), run(1, "b", ending="stopped", exit=1, error="MongoDB is away", befell={"erp_json": "stopped"})
        )
        said = text(await page.get())
        assert "erp_json was not served to the end" in said
        assert "erp_json 2 hours ago" in said
        assert "failed MongoDB is away" in said
        page.ran(run(0.5, "c"))
        said = text(await page.get())
        assert "All is well" in said
        assert "erp_json 28 minutes ago" in said

    async def test_letters_are_grouped_by_reason_the_newest_first(self, page):
        root = page.settings.data_dead_letter_dir
        for number in range(12):
            put(root, number, "erp_json.inbound", client="erp_json")
        put(root, 12, "erp_json.inbound", client="erp_json", reasons=(Reason(EVIL, "$.title"),))
        html = await page.get()
        assert "13 dead letters wait for a person" in html
        counts = re.findall(r'class="count" href="([^"]+)">(\d+)<', html)
        assert [count for _, count in counts] == ["1", "12"]
        assert "<script>alert" not in html
        liked = counts[1][0].split("/")[-1].replace("&amp;", "&")
        assert "12 of 13 open dead letters" in await page.get(liked)

    async def test_the_week_is_drawn_with_its_scale_and_told_in_words(self, page):
        page.ran(run(24 * 20, "a"), run(24 * 6, "b"), run(1, "c"))
        html = await page.get()
        assert re.search(rf'aria-label="Read: [^"]*{now() - timedelta(hours=1):%A %d %B} 20"', html)
        assert re.findall(r'class="scale"[^>]*>([^<]+)<', html)[:3] == ["0", "10", "20"]
        assert "<strong>40</strong>" in html
        assert "<dd><a" in html
        assert ">6</a></dd>" in html  # what gave way

    async def test_a_run_under_way_is_seen_and_its_figures_are_data_for_the_script(self, page):
        began = now() - timedelta(seconds=60)
        flow = replace(run().flows[0], done=50, total=200, unit="files")
        page.ran(replace(run(), began=began, told=now(), ended=None, ending="", exit=None, flows=(flow,)))
        html = await page.get()
        assert 'data-runs="a"' in html
        assert 'max="200" value="50"></progress>' in html
        assert 'data-says="a.read">20<' in html
        live = msgspec.json.decode(await page.get("live"))
        assert live["runs"] == "a"
        assert (live["texts"]["a.read"], live["texts"]["a.rate"]) == ("20", "0")
        assert live["texts"]["a.erp_json.inbound"] == "50 of 200 files"
        assert live["bars"] == {"a.erp_json.inbound": [50, 200]}
        page.ran(run())
        assert msgspec.json.decode(await page.get("live")) == {"runs": "", "texts": {}, "bars": {}}

    async def test_a_run_that_was_killed_is_none_that_is_under_way(self, page):
        page.ran(replace(run(), ended=None, ending="", exit=None))
        html = await page.get()
        assert "The last run was killed" in html
        assert 'data-runs=""' in html

    async def test_a_service_knows_of_passes_that_did_nothing(self, page):
        page.ran(run(50))
        page.doors.states = {"erp_json": State(every=60, began=now(), succeeded=now() - timedelta(minutes=2))}
        said = text(await page.get())
        assert "erp_json 2 minutes ago" in said
        assert "Running yes the service waits for work" in said
        page.doors.states["erp_json"].why = "its API is away"
        assert "failed its API is away" in text(await page.get())

    async def test_what_waits_in_a_tracos_at_rest_is_what_its_last_run_left(self, page):
        flow = FlowCounts(flow="erp_json.outbound", client="erp_json", read=5, left=1, still_dead=1, dead={"send": 2})
        page.ran(replace(run(), flows=(*run().flows, flow)))
        (page.home / "data/inbound/new.json").write_text("{}")
        said = text(await page.get())
        assert "Waiting 4 orders that the last run did not tell" in said
        assert "4 orders 1 file" in said

    async def test_wrong_settings_are_told_and_the_rest_is_shown(self, page, monkeypatch):
        page.ran(run())
        wrong = replace(page.settings, clients=("nobody",))
        page.app = make_app(wrong, page.doors, page.secret, 80)
        html = await page.get()
        assert "The settings cannot work" in html
        assert "nobody" in html
        assert "The last runs" in html

    async def test_a_client_that_is_left_out_is_told_and_the_others_are_served(self, page):
        (page.home / "clients.toml").write_text(
            '[clients.north]\nkind = "erp_json"\ninbound_dir = "in"\noutbound_dir = "out"\ncollection = "north"\n'
            '[clients.odd]\nkind = "nobody_knows"\n'
        )
        settings = replace(page.settings, clients_file=page.home / "clients.toml")
        page.app = make_app(settings, page.doors, page.secret, 80)
        said = text(await page.get())
        assert "odd was left out" in said
        assert "no client is of the kind" in said[said.index("left out", said.index("state")) :]
        assert "north never" in said

    async def test_a_tracos_that_is_away_is_told_and_nothing_waits_for_it(self, page):
        page.ran(run())
        page.doors.uri = "mongodb://somebody:secret@127.0.0.1:1/"
        html = await page.get()
        assert "orders to be told: TracOS does not answer" in html
        order = await page.get("orders?number=7")
        assert "MongoDB did not answer" in order
        assert "secret" not in html + order


async def test_every_page_has_one_head_says_where_one_is_and_what_its_cells_are_of(page):
    put(page.settings.data_dead_letter_dir, 1, "erp_json.inbound", client="erp_json", text="{}")
    page.ran(run())
    page.decided(entry(7))
    one = re.search(r"letters/([0-9a-f]{10})", await page.get("letters"))[0]
    for path in (
        "",
        "letters",
        one,
        "retry",
        "orders",
        "orders?number=7",
        "conflicts",
        "runs",
        "runs/a",
        "letters?page=9",
    ):
        html = await page.get(path)
        assert len(re.findall("<h1", html)) == 1, path
        assert len(re.findall('aria-current="page"', html)) == 1, path
        assert [head for head in re.findall(r"<th\b[^>]*>", html) if "scope=" not in head] == [], path
        assert re.findall(r"<(?:script|style|img)\b[^>]*>|\bon\w+=|style=", html) == (
            [f'<script src="/{page.secret.token}/live.js" defer>'] if path in ("", "runs") else []
        ), path


class TestOrders:
    async def test_its_story_the_newest_first_and_where_it_leads(self, page):
        page.ran(run())
        change = Change("status", "created", "completed")
        page.decided(entry(7, lost=(), rule=Rule.INSERT), entry(7, 1, changes=(change,)), entry(8))
        html = await page.get("orders?number=7")
        said = text(html)
        assert said.index("merged field by field") < said.index("new in TracOS")
        assert "status: created → completed" in said
        assert 'runs/a">its run' in html
        assert "8" not in re.findall(r"<h1>([^<]*)</h1>", html)[0]

    async def test_both_sides_are_looked_at_when_asked_where_tracos_is_at_rest(self, page):
        html = await page.get("orders?number=7")
        assert "Look into TracOS" in html
        assert page.doors.asked == []
        title = FieldNow(field="title", tracos=EVIL, shown="as shown", told="as told")
        page.doors.both = [Both(client="erp_json", number=7, fields=(title,), updated=now())]
        html = await page.get("orders?number=7&now=1")
        assert page.doors.asked == ["7"]
        assert "waits to be told" in html
        assert re.findall(r'<td data-head="[^"]*" class="value[^"]*">([^<]*)</td>', html) == [
            "&lt;script&gt;alert(1)&lt;/script&gt;\\u202e",
            "as shown",
            "as told",
        ]

    async def test_its_letters_and_what_gave_way_last_of_each_field(self, page):
        put(page.settings.data_dead_letter_dir, 1, "erp_json.inbound", client="erp_json", id="7")
        page.decided(entry(7, value="first"), entry(7, 1, value="second"), entry(7, 2, "status", value=EVIL))
        html = await page.get("orders?number=7")
        assert "1 open dead letter" in html
        last = html[html.index("Gave way last") : html.index("What happened to it")]
        assert re.findall(r'name="field" value="(\w+)"', last) == ["status", "title"]
        assert ("second" in last, "first" in last, "<script>" in last) == (True, False, False)

    @pytest.mark.parametrize("number", ["", "+", "nobody", "../../etc", "%00", "%ff", "x" * 3000])
    async def test_any_number_is_answered(self, page, number):
        html = await page.get(f"orders?number={number}")
        assert html.count("<h1>") == 1

    async def test_a_number_in_the_form_is_no_markup(self, page):
        html = await page.get(f"orders?number={EVIL}")
        assert "<script>" not in html
        assert "&lt;script&gt;" in html


class TestConflicts:
    async def test_they_are_listed_newest_first_and_the_last_of_a_field_can_be_restored(self, page):
        page.decided(entry(7, value="x" * 1000), entry(8, 1, value=EVIL), entry(7, 2, value="again"))
        html = await page.get("conflicts")
        rows = html.split("<tr>")[2:]
        assert ["Restore" in row for row in rows] == [True, True, False]
        assert "&lt;script&gt;alert(1)&lt;/script&gt;\\u202e" in rows[1]
        assert ("x" * 300 in rows[2], "x" * 301 in rows[2]) == (True, False)
        assert "These are all." in html

    async def test_a_value_is_restored_and_it_says_what_becomes_of_it(self, page):
        answer = await page.post("conflicts/restore", client="erp_json", number="7", field="title")
        assert page.doors.asked == [("erp_json", "7", "title")]
        assert answer.headers["location"].endswith("/conflicts?told=told")
        page.doors.said = "its direction leaves it untold to erp_json"
        answer = await page.post("conflicts/restore", client="a", number="7&x=1", field="f", **{"from": "order"})
        assert answer.headers["location"].endswith("/orders?number=7%26x%3D1&told=untold")
        assert "the client is not told" in await page.get("conflicts?told=untold")

    async def test_what_is_in_the_way_is_told(self, page):
        page.doors.said = Fatal("somebody has the orders")
        answer = await page.post("conflicts/restore", client="a", number="7", field="title")
        assert (answer.status_code, "somebody has the orders" in answer.text) == (503, True)
        assert (await page.post("conflicts/restore", form_token="wrong")).status_code == 403

    async def test_without_any_and_without_a_log(self, page):
        assert "Nobody&#39;s edit" in (await page.get("conflicts")).replace("'", "&#39;")


class TestRuns:
    async def test_each_leads_to_what_it_did_and_to_its_letters(self, page):
        root = page.settings.data_dead_letter_dir
        page.ran(run(1, "a"), run(0.5, "b", drift={"erp_json": ["a new key: foo"]}, rules={"no_base": 2}))
        put(root, 1, "erp_json.inbound", client="erp_json", last_seen=now() - timedelta(hours=1))
        put(root, 2, "erp_json.inbound", client="erp_json", last_seen=now() - timedelta(hours=0.5))
        put(root, 3, "erp_json.inbound", client="erp_json", last_seen=now())
        html = await page.get("runs")
        assert re.findall(r'runs/(\w+)"', html) == ["b", "a"]
        one = await page.get("runs/b")
        assert "a new key: foo" in one
        assert "2 at parse" in one
        letters = await page.get("letters?run=b")
        assert "1 of 3 open dead letters" in letters
        assert "2.json" in letters
        assert "Retry 1 letter" not in letters  # all like these would be others

    async def test_a_run_that_nobody_knows_is_not_found(self, page):
        await page.get("runs/none", status=404)
        await page.get("letters?run=none", status=404)

    async def test_without_any(self, page):
        assert "No runs yet." in await page.get("runs")


class TestLetters:
    async def test_many_are_shown_page_by_page(self, page):
        for number in range(70):
            put(page.settings.data_dead_letter_dir, number, "erp_json.inbound", client="erp_json")
        html = await page.get("letters")
        assert "page 1 of 2" in html
        assert len(re.findall(r"letters/[0-9a-f]{10}", html)) == 51  # and the one that stands for the group
        assert len(re.findall(r"letters/[0-9a-f]{10}", await page.get("letters?page=2"))) == 21
        for odd in ("0", "-1", "99999999999", "x"):
            await page.get(f"letters?page={odd}")

    async def test_a_check_keeps_nothing_and_says_what_is_still_wrong(self, page):
        put(page.settings.data_dead_letter_dir, 1, "erp_json.inbound", client="erp_json", text='{"id": 1}')
        one = re.search(r"letters/([0-9a-f]{10})", await page.get("letters"))[1]
        answer = await page.post(f"letters/{one}/check", payload='{"id": 1, "status": "LOST"}')
        assert answer.status_code == 200
        said = text(answer.text)
        assert "Not saved. It would still fail at validate: $.status: unknown status" in said
        assert "What differs from the original bytes, not saved yet" in said
        assert "not saved yet" not in text(await page.get(f"letters/{one}"))

    async def test_a_check_of_what_nobody_changed_is_of_the_very_bytes(self, page):
        put(
            page.settings.data_dead_letter_dir,
            1,
            "erp_json.inbound",
            client="erp_json",
            text=None,
            base64=b'{"id": "\xe9"}',
        )
        one = re.search(r"letters/([0-9a-f]{10})", await page.get("letters"))[1]
        form = {"payload": '{"id": "\\xe9"}', "shown": '{"id": "\\xe9"}'}
        assert "not UTF-8" in (await page.post(f"letters/{one}/check", **form)).text

    async def test_a_bulk_retry_names_a_number_and_does_nothing_where_there_are_others_by_now(self, page):
        for number in range(3):
            put(page.settings.data_dead_letter_dir, number, "erp_json.inbound", client="erp_json")
        html = await page.get("retry?client=erp_json")
        assert ("Retry 3 letters?" in html, 'name="count" value="3"' in html) == (True, True)
        answer = await page.post("retry", client="erp_json", count="2")
        assert answer.status_code == 409
        assert "There are 3 letters by now: nothing was done yet." in answer.text
        assert "There is none like that." in await page.get("retry?client=nobody")
        assert "no retry here" in (await page.post("retry", client="erp_json", count="3")).text

    async def test_what_was_written_is_not_lost_whatever_became_of_the_letter(self, page, monkeypatch):
        monkeypatch.setattr(letters, "TRY_SECONDS", 0.001)
        path = put(page.settings.data_dead_letter_dir, 1, "erp_json.inbound", client="erp_json", text="{}")
        one = re.search(r"letters/([0-9a-f]{10})", await page.get("letters"))[1]
        (seen,) = set(re.findall(r'name="seen" value="(\w+)"', await page.get(f"letters/{one}")))
        written = {"payload": "my work", "shown": "as it was"}
        held = os.open(path.parent, os.O_RDONLY)
        fcntl.flock(held, fcntl.LOCK_EX)
        answer = await page.post(f"letters/{one}/mend", **written)
        os.close(held)
        assert (answer.status_code, "what you wrote is not kept yet: another run" in answer.text) == (503, True)
        assert "my work</textarea>" in answer.text
        assert (await page.post(f"letters/{one}/mend", payload="theirs")).status_code == 303
        answer = await page.post(f"letters/{one}/mend", seen=seen, **written)
        assert (answer.status_code, "was mended meanwhile: look at it again" in answer.text) == (400, True)
        path.unlink()
        answer = await page.post(f"letters/{one}/mend", **written)
        assert (answer.status_code, "my work</textarea>" in answer.text) == (400, True)

    async def test_a_folder_that_a_pass_has_for_a_moment_is_waited_for(self, page, monkeypatch):
        path = put(page.settings.data_dead_letter_dir, 1, "erp_json.inbound", client="erp_json", text="{}")
        one = re.search(r"letters/([0-9a-f]{10})", await page.get("letters"))[1]
        held = os.open(path.parent, os.O_RDONLY)
        fcntl.flock(held, fcntl.LOCK_EX)
        free = asyncio.get_running_loop().call_later(0.4, os.close, held)
        assert (await page.post(f"letters/{one}/discard", because="theirs")).status_code == 303
        assert free.when() < asyncio.get_running_loop().time()

    async def test_a_letter_about_an_order_in_tracos_is_not_mended_here(self, page):
        put(page.settings.data_dead_letter_dir, 1, "erp_json.outbound", client="erp_json", text="{}")
        one = re.search(r"letters/([0-9a-f]{10})", await page.get("letters"))[1]
        assert "The order is mended in TracOS, not here." in await page.get(f"letters/{one}")
        answer = await page.post(f"letters/{one}/mend", payload="x")
        assert (answer.status_code, "mend the order there" in answer.text) == (400, True)

    async def test_letters_that_cannot_be_read_are_told(self, page, monkeypatch):
        def refused(folder):
            raise PermissionError(13, "Permission denied")

        put(page.settings.data_dead_letter_dir, 1, "erp_json.inbound", client="erp_json")
        with monkeypatch.context() as patch:
            patch.setattr(shelf, "_written", refused)
            html = await page.get("letters", status=503)
        assert "cannot read the dead letters in data/dead-letter (DATA_DEAD_LETTER_DIR): Permission denied" in html
        assert "1 open dead letter" in await page.get("letters")
