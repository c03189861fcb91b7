"""The page in a real browser, what it keeps out, and how it ends."""

import fcntl
import json
import os
import re
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from selenium.webdriver.common.by import By

from pipeline.deadletters import DeadLetterOffice
from pipeline.history.journal import read_runs
from tests.mongo import require_mongod, until
from tests.plant import Plant
from tests.web.conftest import Site
from tests.web.visiting import ask, follow, form_token, letter_id, press

GOOD = '{"id": 902, "status": "NEW", "createdAt": "2026-10-01", "title": "Mended in the browser"}'


class TestInTheBrowser:
    def test_list_open_mend_retry_and_see_it_resolved(self, site, browser):
        browser.get(f"{site.address}letters")
        assert browser.find_element(By.TAG_NAME, "h1").text == "3 open dead letters"
        row = next(row for row in browser.find_elements(By.CSS_SELECTOR, "tbody tr") if "bad-schema" in row.text)
        follow(browser, row.find_element(By.TAG_NAME, "a"))
        assert browser.find_element(By.TAG_NAME, "h1").text == "bad-schema.json failed at validate"
        assert [mark.text for mark in browser.find_elements(By.TAG_NAME, "mark")] == ['"LOST"', '"yesterday"', "7"]
        assert "line 1, column 23" in browser.find_element(By.CSS_SELECTOR, "ul.reasons").text

        payload = browser.find_element(By.NAME, "payload")
        payload.clear()
        payload.send_keys(GOOD)
        press(browser, "Check")
        assert browser.find_element(By.CLASS_NAME, "told").text == "Nothing is known against it. It is not saved yet."
        assert site.plant.letters()["bad-schema.json"].mended is None
        press(browser, "Save")
        assert "Saved. Retry it" in browser.find_element(By.CLASS_NAME, "told").text
        assert browser.find_element(By.NAME, "payload").get_attribute("value") == GOOD
        assert [gone.text for gone in browser.find_elements(By.TAG_NAME, "del")][:2] == ["LOST", "yesterday"]
        press(browser, "Save and retry")
        assert browser.find_element(By.CLASS_NAME, "told").text == "It passed, and its letter is closed."
        assert browser.find_element(By.TAG_NAME, "h1").text == "2 open dead letters"
        assert site.plant.documents()[902]["title"] == "Mended in the browser"
        assert "1 closed" in site.plant.run()[0]

    @pytest.mark.slow
    def test_a_retry_keeps_what_was_changed_in_the_form_and_shows_what_is_wrong_with_it(self, site, browser):
        browser.get(f"{site.address}letters/{letter_id(site, 'bad-schema.json')}")
        payload = browser.find_element(By.NAME, "payload")
        payload.clear()
        still_wrong = GOOD.replace('"NEW"', '"LOST"')
        payload.send_keys(still_wrong)
        press(browser, "Save and retry")
        assert "It failed again" in browser.find_element(By.CLASS_NAME, "told").text
        assert browser.find_element(By.NAME, "payload").get_attribute("value") == still_wrong
        assert [mark.text for mark in browser.find_elements(By.TAG_NAME, "mark")] == ['"LOST"']
        payload = browser.find_element(By.NAME, "payload")
        payload.clear()
        payload.send_keys(GOOD)
        press(browser, "Save and retry")
        assert browser.find_element(By.CLASS_NAME, "told").text == "It passed, and its letter is closed."
        assert site.plant.documents()[902]["title"] == "Mended in the browser"

    @pytest.mark.slow
    def test_a_retry_changes_nothing_that_nobody_changed_whatever_browsers_make_of_it(self, site, browser):
        body = b'{"id": 5,\r\n\r "status": "LOST",\n "title": "\x00 \x85 caf\xe9"'
        site.plant.put("odd.json", body)
        site.plant.run()
        browser.get(f"{site.address}letters/{letter_id(site, 'odd.json')}")
        press(browser, "Save and retry")
        assert "It failed again" in browser.find_element(By.CLASS_NAME, "told").text
        letter = site.plant.letters()["odd.json"]
        assert (letter.raw, letter.mended, letter.attempts) == (body, None, 2)

    @pytest.mark.slow
    def test_retry_that_fails_again_says_so_and_discard_asks_why(self, site, browser):
        browser.get(f"{site.address}letters/{letter_id(site, 'bad-malformed.json')}")
        press(browser, "Save and retry")
        assert "It failed again" in browser.find_element(By.CLASS_NAME, "told").text
        assert "2 attempts" in browser.find_element(By.TAG_NAME, "dl").text
        browser.find_element(By.XPATH, "//button[text()='Discard']").click()
        assert "failed at parse" in browser.find_element(By.TAG_NAME, "h1").text  # the reason is required
        browser.find_element(By.NAME, "because").send_keys("theirs to mend")
        press(browser, "Discard")
        assert browser.find_element(By.TAG_NAME, "h1").text == "2 open dead letters"

    @pytest.mark.slow
    def test_filters_a_bulk_retry_that_asks_and_runs_that_lead_to_their_letters(self, site, browser):
        browser.get(f"{site.address}letters?stage=validate")
        assert len(browser.find_elements(By.CSS_SELECTOR, "tbody tr")) == 1
        follow(browser, browser.find_element(By.LINK_TEXT, "Retry 1 letter…"))
        assert browser.find_element(By.TAG_NAME, "h1").text == "Retry 1 letter?"
        press(browser, "Retry 1 letter")
        assert browser.find_element(By.CLASS_NAME, "told").text == "1 retried: 0 passed, 1 failed again"
        follow(browser, browser.find_element(By.LINK_TEXT, "Runs"))
        rows = browser.find_elements(By.CSS_SELECTOR, "tbody tr")
        assert [row.find_element(By.TAG_NAME, "td").text for row in rows] == ["retry", "run"]
        bars = browser.find_elements(By.CSS_SELECTOR, "svg .bar")
        assert float(bars[0].get_attribute("height")) > 2 * float(bars[1].get_attribute("height"))
        follow(browser, rows[1].find_element(By.TAG_NAME, "a"))
        follow(browser, browser.find_element(By.LINK_TEXT, "1 at validate"))
        assert browser.find_element(By.TAG_NAME, "h1").text == "1 of 3 open dead letters"

    def test_hostile_payloads_are_shown_and_never_run(self, site, browser):
        evil = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">\u202e"
        site.plant.put("<img src=x onerror=alert(1)>.json", json.dumps({"id": evil, "status": evil}).encode())
        site.plant.run()
        for path in ("", "letters", "retry"):
            browser.get(site.address + path)
            assert browser.find_elements(By.CSS_SELECTOR, "main img, main script") == []
            assert "onerror" in browser.find_element(By.TAG_NAME, "main").text
        browser.get(f"{site.address}letters")
        follow(browser, browser.find_element(By.XPATH, "//tr[contains(., 'onerror')]//a"))
        assert browser.find_elements(By.CSS_SELECTOR, "main img, main script") == []
        assert "owned" not in browser.title
        assert "<script>" in browser.find_element(By.CLASS_NAME, "payload").text
        assert "\u202e" not in browser.find_element(By.CLASS_NAME, "payload").text
        # Even markup that got in would run no script.
        browser.execute_script("document.body.insertAdjacentHTML('beforeend', arguments[0])", evil)
        assert "owned" not in browser.title


class TestGuard:
    def test_every_answer_forbids_scripts_and_frames_and_keeping(self, shared_site):
        one = letter_id(shared_site, "bad-schema.json")
        still = ("letters", f"letters/{one}", "letters/0000000000", "orders?number=103", "conflicts", "retry", "x")
        for path in ("", "runs", "live", "style.css", *still):
            _, headers, body = ask(shared_site, path)
            policy = headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert ("script-src 'self'" in policy, "<script" in body) == ((path in ("", "runs"),) * 2)
            assert "unsafe" not in policy
            assert (headers["cache-control"], headers["referrer-policy"]) == ("no-store", "no-referrer")

    @pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example"])
    def test_another_host_is_refused(self, shared_site, host):
        assert ask(shared_site, host=host)[0] == 421

    @pytest.mark.parametrize("prefix", ["", "/x", "/" + "A" * 32])
    def test_without_the_token_there_is_nothing(self, shared_site, prefix):
        status, _, body = ask(shared_site, prefix=prefix or "/")
        assert (status, "bad-" in body) == (404, False)

    @pytest.mark.parametrize("token", [None, "", "wrong", "ü"])
    def test_a_form_that_is_none_of_ours_does_nothing(self, shared_site, token):
        form = {"because": "x"} | ({} if token is None else {"form_token": token})
        one = letter_id(shared_site, "bad-schema.json")
        assert ask(shared_site, f"letters/{one}/discard", form=form)[0] == 403
        assert ask(shared_site, "retry", form=form)[0] == 403
        assert len(shared_site.plant.letters()) == 3

    def test_a_form_that_was_sent_from_elsewhere_does_nothing(self, site):
        form = {"form_token": form_token(site), "because": "x"}
        one = letter_id(site, "bad-schema.json")
        assert ask(site, f"letters/{one}/discard", form=form, headers={"Origin": "http://evil.example"})[0] == 403
        assert (
            ask(site, f"letters/{one}/discard", form=form, headers={"Origin": f"http://127.0.0.1:{site.port}"})[0]
            == 303
        )

    @pytest.mark.parametrize(
        "path",
        [
            "letters/..%2f..%2fetc",
            "letters/../../etc/passwd",
            "letters/%2e%2e",
            "letters/zzzzzzzzzz",
            "letters/abc",
            "x",
        ],
    )
    def test_no_path_is_ever_made_of_what_is_asked(self, shared_site, path):
        assert ask(shared_site, path)[0] in (400, 404)

    def test_only_forms_write_and_only_what_there_is(self, shared_site):
        one = letter_id(shared_site, "bad-schema.json")
        assert ask(shared_site, f"letters/{one}/discard")[0] == 405
        assert ask(shared_site, f"letters/{one}/explode", form={"form_token": form_token(shared_site)})[0] == 404
        assert (
            ask(shared_site, f"letters/{one}/discard", form={"form_token": form_token(shared_site), "because": " "})[0]
            == 400
        )
        assert "<b>" not in ask(shared_site, "letters?told=<b>owned")[2]

    @pytest.mark.slow
    def test_while_a_run_has_the_letters_it_says_so(self, site):
        import fcntl

        with (site.plant.home / "data/dead-letter/erp_json.inbound/closed.jsonl").open("a"):
            import os

            held = os.open(site.plant.home / "data/dead-letter/erp_json.inbound", os.O_RDONLY)
            fcntl.flock(held, fcntl.LOCK_EX)
            form = {"form_token": form_token(site), "because": "x"}
            status, _, body = ask(site, f"letters/{letter_id(site, 'bad-schema.json')}/discard", form=form)
            os.close(held)
        assert status == 503
        assert "another run is using the dead letters" in body

    @pytest.mark.slow
    def test_while_a_retry_starts_a_mongodb_the_page_answers_and_what_stops_it_is_told(self, tmp_path):
        plant = Plant(tmp_path)
        plant.run("setup.py")
        plant.run()
        gate, go = tmp_path / "gate", tmp_path / "go"
        os.mkfifo(gate)
        os.mkfifo(go)
        slow = tmp_path / "mongod"
        slow.write_text(f'#!/bin/sh\necho > {gate}\ncat {go}\nexec {require_mongod()} "$@"\n')
        slow.chmod(0o700)
        site = Site(plant, plant.start("pipeline/__main__.py", "inspect", MONGOD_BIN=slow))
        form = {"form_token": form_token(site)}
        one = letter_id(site, "bad-schema.json")
        with ThreadPoolExecutor() as pool:
            retried = pool.submit(ask, site, f"letters/{one}/retry", form=form)
            gate.read_text()
            assert ask(site, "runs")[0] == 200
            assert not retried.done()
            status, _, body = ask(site, f"letters/{one}/discard", form=form | {"because": ""})
            assert (status, "say why" in body) == (400, True)
            go.write_text("")
            assert retried.result(60)[1]["location"].endswith("?told=failed")
        (plant.home / "data/mongo/embedded.lock").unlink()
        (plant.home / "data/mongo/embedded.lock").mkdir()
        status, _, body = ask(site, "retry", form=form | {"count": 3})
        assert (status, "the embedded MongoDB cannot use the folder" in body) == (503, True)
        assert ask(site, "retry", form=form | {"reason": "x\0", "count": 0})[0] == 400
        site.process.send_signal(signal.SIGINT)
        assert (site.process.communicate(timeout=30)[1], site.process.returncode) == ("", 0)
        runs = [(run.command, run.ending, run.exit) for run in read_runs(plant.home / "data/runs.jsonl")]
        assert runs[1:] == [("retry", "finished", 3), ("retry", "stopped", 1)]

    @pytest.mark.slow
    @pytest.mark.parametrize("action", ["mend", "retry"])
    def test_what_was_written_is_not_lost_while_a_run_has_the_letters(self, site, action):
        one = letter_id(site, "bad-schema.json")
        form = {"form_token": form_token(site), "payload": "my work", "shown": "as it was"}
        held = os.open(site.plant.home / "data/dead-letter/erp_json.inbound", os.O_RDONLY)
        fcntl.flock(held, fcntl.LOCK_EX)
        status, _, body = ask(site, f"letters/{one}/{action}", form=form)
        os.close(held)
        assert status == 503
        assert "what you wrote is not kept yet: another run is using the dead letters" in body
        assert "my work</textarea>" in body
        assert site.plant.letters()["bad-schema.json"].mended is None

    @pytest.mark.slow
    @pytest.mark.parametrize("action", ["mend", "retry", "discard"])
    def test_a_letter_that_was_changed_or_closed_since_it_was_shown_is_told(self, site, action):
        one = letter_id(site, "bad-schema.json")
        (seen,) = set(re.findall(r'name="seen" value="(\w+)"', ask(site, f"letters/{one}")[2]))
        form = {"form_token": form_token(site), "seen": seen, "because": "x"}
        written = form | ({} if action == "discard" else {"payload": "my work", "shown": "as it was"})
        theirs = form | {"payload": '{"id": 902}'}
        assert ask(site, f"letters/{one}/mend", form=theirs)[0] == 303
        status, _, body = ask(site, f"letters/{one}/{action}", form=written)
        assert (status, "was mended meanwhile: look at it again" in body) == (400, True)
        assert site.plant.letters()["bad-schema.json"].mended == '{"id": 902}'
        assert ask(site, f"letters/{one}/discard", form={"form_token": form["form_token"], "because": "x"})[0] == 303
        status, _, body = ask(site, f"letters/{one}/{action}", form=written)
        assert (status, "there is no open dead letter" in body) == (400, True)
        assert ("my work</textarea>" in body) is (action != "discard")

    @pytest.mark.slow
    def test_an_order_of_tracos_is_not_mended_here(self, site):
        site.plant.orders.insert_one({"number": 77, "status": "odd"})
        site.plant.run()
        office = DeadLetterOffice(site.plant.home / "data/dead-letter")
        (one,) = (filed.id for filed in office.find() if filed.letter.flow.endswith("outbound"))
        status, _, body = ask(site, f"letters/{one}/mend", form={"form_token": form_token(site), "payload": "x"})
        assert (status, "mend the order there" in body) == (400, True)

    def test_ctrl_c_ends_it_in_peace(self, site):
        site.process.send_signal(signal.SIGINT)
        _, err = site.process.communicate(timeout=30)
        assert (site.process.returncode, err) == (0, "")


@pytest.mark.slow
class TestOrders:
    def test_what_gave_way_is_restored_for_good_and_both_sides_are_seen(self, site, browser):
        browser.get(f"{site.address}orders?number=103")
        assert "Newer here" in browser.find_element(By.XPATH, "//tr[contains(., 'title')]").text
        item = browser.find_element(By.XPATH, "//li[contains(., 'title of TracOS')][.//button]")
        follow(browser, item.find_element(By.TAG_NAME, "button"))
        assert "set again, and the next run tells" in browser.find_element(By.CLASS_NAME, "told").text
        assert browser.find_element(By.TAG_NAME, "h1").text == "Order 103"
        assert "Older in TracOS" in browser.find_element(By.XPATH, "//tr[contains(., 'title')]").text
        assert "set again by hand" in browser.find_element(By.CSS_SELECTOR, "ol.story > li").text
        assert "waits to be told" in browser.find_element(By.TAG_NAME, "main").text
        assert site.plant.documents()[103]["title"] == "Older in TracOS"
        follow(browser, browser.find_element(By.LINK_TEXT, "Conflicts"))
        assert "restored" in browser.find_element(By.XPATH, "//tr[contains(., 'Older in TracOS')]").text

    def test_what_is_in_the_way_of_restoring_is_told(self, site):
        form = {"form_token": form_token(site), "client": "erp_json", "number": "-1", "field": "title"}
        status, _, body = ask(site, "conflicts/restore", form=form)
        assert (status, "order -1" in body) == (400, True)

    def test_where_mongodb_is_embedded_it_is_started_for_a_look(self, tmp_path):
        plant = Plant(tmp_path)
        plant.run("setup.py")
        plant.run()
        site = Site(plant, plant.start("pipeline/__main__.py", "inspect"))
        assert "Look into TracOS" in ask(site, "orders?number=103")[2]
        assert "Newer here</td>" in ask(site, "orders?number=103&now=1")[2]
        site.process.terminate()
        site.process.communicate(timeout=30)


@pytest.mark.slow
def test_the_page_of_a_service_works_on_the_mongodb_that_runs_beside_it(tmp_path):
    plant = Plant(tmp_path)
    plant.run("setup.py")
    site = Site(plant, plant.start("src/main.py", "serve", SERVE_PORT=0, SERVE_EVERY="1s"))
    until(lambda: "3 open dead letters" in ask(site, "letters")[2])
    assert "Newer here</td>" in ask(site, "orders?number=103")[2]
    until(lambda: "The service is running" in ask(site)[2])
    form = {"form_token": form_token(site)}
    one = letter_id(site, "bad-schema.json")
    assert ask(site, f"letters/{one}/retry", form=form | {"payload": GOOD})[1]["location"].endswith("told=passed")
    site.process.terminate()
    site.process.communicate(timeout=30)


INTERRUPTED = """
import signal, sys
from pathlib import Path
from pipeline.cli import main

at, calls = int(sys.argv[1]), 0

def count(frame, event, _):
    global calls
    name = frame.f_code.co_name
    if calls or name == "begin":  # the first thing that the command does
        calls += event.endswith("call")
        if calls == at or (not at and name == "announce"):
            sys.setprofile(None)
            Path("calls").write_text(str(calls))
            signal.raise_signal(signal.SIGINT)

sys.setprofile(count)
sys.exit(main(["inspect"]))
"""
"""The page, interrupted at a call of a function: the n-th since the command began, or with 0 its announcement's."""


class TestEnding:
    @pytest.mark.slow
    def test_ctrl_c_at_any_instant_ends_it_in_peace(self, plant):
        (plant.home / "interrupted.py").write_text(INTERRUPTED)

        def interrupted(at):
            _, err = plant.run(plant.home / "interrupted.py", str(at))
            assert err == ""
            return int((plant.home / "calls").read_text())

        interrupted(0)  # writes what Python compiles, and so makes more calls
        served = interrupted(0)
        for at in (1, served // 3, *(served + off for off in (-10_000, -1_000, -100, -30, 30, 100))):
            interrupted(at)

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_signals_one_upon_another_end_it_in_peace(self, plant, number):
        process = plant.start("pipeline/__main__.py", "inspect")
        assert process.stdout.readline().startswith("the page is at")
        while process.poll() is None:
            process.send_signal(number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.01)
        _, err = process.communicate()
        assert (process.returncode, err) == (0, "")


def test_a_port_that_is_taken_is_one_line(shared_site):
    port = str(shared_site.port)
    _, err = shared_site.plant.run("pipeline/__main__.py", "inspect", "--port", port, exits=1)
    assert "choose another with --port" in err


def test_without_the_extra_it_says_what_to_install(plant):
    code = "import sys; sys.modules['starlette'] = None; from pipeline.cli import main; sys.exit(main(['inspect']))"
    (plant.home / "without.py").write_text(code)
    _, err = plant.run(plant.home / "without.py", exits=2)
    assert re.search(r"install the extra: \S+ -m pip install -e '\S+\[web\]'", err)
