"""The report that `mformer serve` shows at `/`."""

import threading
import unittest

import mformer
import served


class ServeReportTest(mformer.EndToEndTest):
    def served(self, *arguments):
        self.work = self.workspace()
        server = served.Server(self.work, *arguments)
        self.addCleanup(server.stop)
        return server

    def page(self, *arguments):
        self.work.run("report", "--out", "report.html", *arguments)
        return (self.work / "report.html").read_bytes()

    def test_it_is_the_report_of_the_workspace_as_it_is_now(self):
        server = self.served()
        first = server.get("/")
        self.assertEqual((first.status, first.headers["Content-Type"]), (200, "text/html; charset=utf-8"))
        self.assertEqual(first.body, self.page("--model", "base@2"))
        self.assertEqual(server.get("/").body, first.body)
        self.work.run("tag", "seen", "base@1")
        self.assertIn(b'"seen"', server.get("/").body)
        head = server.ask("HEAD", "/")
        self.assertEqual((head.status, head.body), (200, b""))
        self.assertEqual(int(head.headers["Content-Length"]), len(server.get("/").body))

    def test_it_shows_the_version_that_is_served_though_the_model_moves_on(self):
        server = self.served("--model", "base@1")
        self.work.run("move", "base", "base@1")
        self.assertEqual(server.get("/").body, self.page("--model", "base@1"))
        self.assertIn(b'"shown":"base@1"', server.get("/").body)

    def test_it_asks_for_the_token_as_all_others_do(self):
        (self.temporary / "token").write_text("s3cret\n")
        server = self.served("--token-file", self.temporary / "token")
        self.assertEqual(server.get("/").status, 401)
        self.assertEqual(server.get("/", Authorization="Bearer s3cret").status, 200)

    def test_a_workspace_that_moved_away_is_told_and_completions_go_on(self):
        server = self.served()
        self.assertEqual(server.get("/").status, 200)
        memory, elsewhere = self.work / ".mformer", self.work / "elsewhere"
        memory.rename(elsewhere)
        try:
            answer = server.get("/")
            self.assertEqual((answer.status, answer.error["code"]), (503, "workspace_unreadable"), answer)
            self.assertIn("Retry-After", answer.headers)
            self.assertEqual(server.complete(prompt="In", max_tokens=2).status, 200)
        finally:
            elsewhere.rename(memory)
        self.assertEqual(server.get("/").status, 200)

    def test_a_page_is_made_while_texts_are_written_and_while_a_command_writes(self):
        server = self.served()
        texts, pages = [], []
        writing = threading.Thread(target=lambda: texts.append(server.complete(prompt="In", max_tokens=40, temperature=0)))
        asking = [threading.Thread(target=lambda: pages.append(server.get("/"))) for _ in range(8)]
        for thread in (writing, *asking):
            thread.start()
        self.work.run("tag", "meanwhile", "base@1")  # nothing is locked by who looks
        for thread in (writing, *asking):
            thread.join()
        self.assertEqual({page.status for page in pages}, {200})
        alone = server.complete(prompt="In", max_tokens=40, temperature=0).json["choices"][0]["text"]
        self.assertEqual(texts[0].json["choices"][0]["text"], alone)
        self.assertIn(b'"meanwhile"', server.get("/").body)


if __name__ == "__main__":
    unittest.main()
