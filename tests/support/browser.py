"""Drives a headless Chromium through its debugging port, by the standard library alone.

    with browser.Browser(folder) as chromium:
        chromium.open(path, width=360, dark=True)
        chromium.value("document.title")
"""

import base64
import json
import os
import shutil
import socket
import struct
import subprocess
import time
import urllib.request
from pathlib import Path

# The rules for pages that anybody can use, which recipes/setup.sh --browser fetches.
AXE = Path(os.environ.get("MFORMER_CACHE") or Path.home() / ".cache/mformer") / "axe-core-4.12.1/axe.min.js"
PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
TIMEOUT_S = 30


class WebSocket:
    """Text messages to and from one address; what RFC 6455 asks of a client for that."""

    def __init__(self, port, path):
        self.socket = socket.create_connection(("127.0.0.1", port), TIMEOUT_S)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall((f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                             f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n").encode())
        self.left = b""
        while b"\r\n\r\n" not in self.left:
            self.left += self.socket.recv(4096)
        head, self.left = self.left.split(b"\r\n\r\n", 1)
        if b" 101 " not in head.split(b"\r\n")[0]:
            raise OSError(f"no websocket: {head!r}")

    def take(self, count):
        while len(self.left) < count:
            piece = self.socket.recv(1 << 16)
            if not piece:
                raise OSError("the browser is gone")
            self.left += piece
        taken, self.left = self.left[:count], self.left[count:]
        return taken

    def send(self, text):
        data, mask = text.encode(), os.urandom(4)
        length = len(data)
        head = bytes([0x81]) + (bytes([0x80 | length]) if length < 126 else
                                bytes([0x80 | 126]) + struct.pack(">H", length) if length < 65536 else bytes([0x80 | 127]) + struct.pack(">Q", length))
        self.socket.sendall(head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(data)))

    def receive(self):
        message = b""
        while True:
            first, second = self.take(2)
            length = second & 0x7F
            if length == 126:
                length = struct.unpack(">H", self.take(2))[0]
            elif length == 127:
                length = struct.unpack(">Q", self.take(8))[0]
            data = self.take(length)
            if first & 0x0F in (0, 1):
                message += data
                if first & 0x80:
                    return message.decode()


class Browser:
    def __init__(self, folder):
        self.folder = Path(folder)

    def __enter__(self):
        self.process = subprocess.Popen(
            [PROGRAM, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-port=0",
             f"--user-data-dir={self.folder / 'profile'}", "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        written = self.folder / "profile" / "DevToolsActivePort"
        end = time.monotonic() + TIMEOUT_S
        while not written.exists() or len(written.read_text().split()) < 2:
            if time.monotonic() > end or self.process.poll() is not None:
                self.process.kill()
                raise OSError("Chromium does not open its port")
            time.sleep(0.05)
        port = int(written.read_text().split()[0])
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json", timeout=TIMEOUT_S) as pages:
            page = next(page for page in json.load(pages) if page["type"] == "page")
        self.web = WebSocket(port, "/" + page["webSocketDebuggerUrl"].split("/", 3)[3])
        self.number, self.events = 0, []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(domain + ".enable")
        return self

    def __exit__(self, *_):
        self.web.socket.close()
        self.process.kill()
        self.process.wait()

    def ask(self, method, **parameters):
        self.number += 1
        self.web.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.web.receive())
            if message.get("id") == self.number:
                if "error" in message:
                    raise OSError(f"{method}: {message['error']}")
                return message["result"]
            self.events.append(message)

    def open(self, path, width=1280, height=900, dark=False):
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.events.clear()
        self.ask("Page.navigate", url=Path(path).resolve().as_uri())
        end = time.monotonic() + TIMEOUT_S
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            if time.monotonic() > end:
                raise OSError("the page does not load")
            self.ask("Runtime.evaluate", expression="0")

    def value(self, expression):
        result = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in result:
            raise AssertionError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def breaches(self):
        """What axe's rules find wrong with the page as it is now, a line each; nothing where that is well."""
        self.value(AXE.read_text() + "; 0")
        found = self.ask("Runtime.evaluate", expression="axe.run().then((r) => JSON.stringify([r.passes.length, r.violations.map((v) => v.id + ': ' + v.help + ': ' + v.nodes.map((n) => n.target.join(' ') + ' ' + n.failureSummary).join('; '))]))",
                         awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in found:
            raise AssertionError(found["exceptionDetails"])
        passes, violations = json.loads(found["result"]["value"])
        if passes < 20:
            raise AssertionError(f"only {passes} rules of axe had anything to look at")
        return violations

    def pointer(self, selector, click=False):
        """Moves the mouse to the middle of an element, and presses its button there."""
        x, y = self.value(f"(() => {{ const e = document.querySelector({json.dumps(selector)}); e.scrollIntoView({{block: 'center', inline: 'center'}}); const b = e.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; }})()")
        for kind in ("mouseMoved", "mousePressed", "mouseReleased")[:3 if click else 1]:
            held = {} if kind == "mouseMoved" else {"button": "left", "clickCount": 1}
            self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, **held)

    def key(self, name):
        code = {"Tab": 9, "Enter": 13, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}[name]
        for kind in ("keyDown", "keyUp"):
            text = {"text": "\r"} if name == "Enter" and kind == "keyDown" else {}
            self.ask("Input.dispatchKeyEvent", type=kind, key=name, code=name, windowsVirtualKeyCode=code, **text)

    def complaints(self):
        """What the console was told, and what the script threw."""
        return [event for event in self.events if event.get("method") in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")]

    def requests(self):
        return [event["params"]["request"]["url"] for event in self.events if event.get("method") == "Network.requestWillBeSent"]

    def picture(self, path):
        Path(path).write_bytes(base64.b64decode(self.ask("Page.captureScreenshot", format="png")["data"]))
