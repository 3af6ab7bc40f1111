"""What both comparisons need: servers as child processes, their CPU time, medians, tables."""
import json
import os
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path


def say(text):
    print(text, file=sys.stderr, flush=True)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A server on a free port of loopback; its CPU time is that of its process."""

    def __init__(self, name, command, ready, folder):
        self.name, self.port = name, free_port()
        command = [part.format(port=self.port) for part in command]
        self.log = open(Path(folder) / f"{name}.log", "ab")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.base = f"http://127.0.0.1:{self.port}"
        for _ in range(600):
            if self.process.poll() is not None:
                sys.exit(f"{name} ended; see {self.log.name}")
            try:
                urllib.request.urlopen(self.base + ready, timeout=5).read()
                return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.1)
        self.stop()
        sys.exit(f"{name} did not become ready; see {self.log.name}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.log.close()

    def cpu(self):
        """Seconds on a processor so far: of all threads, also those that ended."""
        threads = 0
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            try:
                threads += int((task / "schedstat").read_text().split()[0])
            except FileNotFoundError:
                pass
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        ticks = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        # The first is exact and misses threads that ended, the second counts in steps of 10 ms.
        return max(threads / 1e9, ticks - 0.01)

    def memory(self, field="VmRSS"):
        """Resident memory in MiB: now, or VmHWM for the most so far."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) / 1024
        return 0.0

    def get(self, path, **query):
        url = self.base + path + ("?" + urllib.parse.urlencode(query) if query else "")
        with urllib.request.urlopen(url, timeout=600) as answer:
            return answer.read()

    def post(self, path, body, kind="application/json"):
        request = urllib.request.Request(self.base + path, data=body, headers={"Content-Type": kind})
        with urllib.request.urlopen(request, timeout=600) as answer:
            return answer.read()


def post_form(server, path, **fields):
    return server.post(path, urllib.parse.urlencode(fields).encode(), "application/x-www-form-urlencoded")


def sql(server, query):
    """Rows of a query of the service."""
    return json.loads(server.post("/api/v1/sql", json.dumps({"query": query, "format": "json"}).encode()))["rows"]


def tachograph(program, data_dir, folder, name="tachograph"):
    command = [str(program), "serve", "--data-dir", str(data_dir), "--listen", "127.0.0.1:{port}"]
    return Server(name, command, "/readyz", folder)


def prometheus(folder):
    (Path(folder) / "prometheus.yml").write_text("global: {}\n")
    command = ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/blocks",
               "--storage.tsdb.retention.time=100y", "--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
               "--query.max-samples=500000000"]
    return Server("prometheus", command, "/-/ready", folder)


def victoria(folder):
    command = ["victoria-metrics", "-httpListenAddr=127.0.0.1:{port}", f"-storageDataPath={folder}/victoria",
               "-retentionPeriod=100y", "-loggerLevel=WARN", "-search.maxUniqueTimeseries=10000000",
               "-search.maxSamplesPerQuery=2000000000", "-search.cacheTimestampOffset=0"]
    return Server("victoria-metrics", command, "/health", folder)


def measured(cpu, work, runs):
    """Median of the CPU seconds and of the wall seconds of a call, and the last answer."""
    spent, walls, answer = [], [], None
    for _ in range(runs):
        before, start = cpu(), time.perf_counter()
        answer = work()
        walls.append(time.perf_counter() - start)
        spent.append(cpu() - before)
    return statistics.median(spent), statistics.median(walls), answer


def folder_bytes(folder):
    return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())


def table(title, header, rows):
    """A Markdown table on standard output."""
    print(f"\n### {title}\n")
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
    sys.stdout.flush()


def ratio(figure, ours):
    return f"{figure / ours:.2f}" if ours else "-"


def close(a, b, tolerance=1e-9):
    return a == b or abs(a - b) <= tolerance * max(abs(a), abs(b))


def same(name, found, wanted, tolerance=1e-9):
    """Stops if two answers, rows of values by key, differ."""
    found, wanted = {row[0]: row[1:] for row in found}, {row[0]: row[1:] for row in wanted}
    if found.keys() != wanted.keys():
        sys.exit(f"{name}: {len(found)} groups instead of {len(wanted)}, e.g. {list(found.keys() ^ wanted.keys())[:3]}")
    for key, values in wanted.items():
        for own, value in zip(found[key], values, strict=True):
            if (own is None) != (value is None) or (value is not None and not close(float(own), float(value), tolerance)):
                sys.exit(f"{name}: group {key} has {found[key]} instead of {values}")
