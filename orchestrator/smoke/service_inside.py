"""Runs inside an image: start the image's own command, then ask it over HTTP or run its HEALTHCHECK until that is well.

Standard library only, any Python from 3.7 on; takes its task as JSON in its first argument and prints one JSON line.
"""

import http.client
import json
import re
import signal
import subprocess
import sys
import tempfile
import time

POLL_S = 0.2
KEEP_BYTES = 8192
BODY_BYTES = 256 * 1024


def ask(task, until):
    """Send one request; give the answer, and whether its body is as wanted."""
    connection = http.client.HTTPConnection("127.0.0.1", task["port"], timeout=max(0.1, min(5.0, until - time.monotonic())))
    try:
        connection.request("GET", task["path"], headers={"Host": "localhost", "Connection": "close"})
        answer = connection.getresponse()
        body = answer.read(BODY_BYTES).decode("utf-8", "replace")
    except ConnectionRefusedError:
        return {"refused": True}
    except (OSError, http.client.HTTPException) as error:
        return {"error": "%s: %s" % (type(error).__name__, error)}
    finally:
        connection.close()
    fits = task["body"] is None or re.search(task["body"], body) is not None
    headers = {name.lower(): value[:KEEP_BYTES] for name, value in answer.getheaders()}
    return {"status": answer.status, "headers": headers, "body": body[:KEEP_BYTES], "fits": fits}


def is_wanted(task, answer):
    """Tell whether there is anything left to wait for."""
    headers = answer.get("headers", {})
    wanted = all(re.search(pattern, headers.get(name.lower()) or "\n\n") for name, pattern in task["header"])
    return answer.get("status") == task["status"] and wanted and answer["fits"]


def try_health(task, until):
    """Run the image's own HEALTHCHECK once."""
    limit_s = max(0.1, min(task["each_s"], until - time.monotonic()))
    try:
        done = subprocess.run(task["test"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=limit_s)
    except subprocess.TimeoutExpired:
        return {"code": None, "output": "Health check exceeded timeout (%.0fs)" % limit_s}
    except OSError as error:
        return {"code": None, "output": str(error)}
    return {"code": done.returncode, "output": done.stdout[-KEEP_BYTES:].decode("utf-8", "replace")}


def follow(task, service):
    """Ask until all is well, the service has ended, or its time is over; give the last answer.

    What a service has started may outlive it here, but not in a container: once it has ended nobody is asked any more.
    """
    until = time.monotonic() + task["within_s"]
    started, failures = time.monotonic(), 0
    found = {}
    while True:
        if "test" in task:
            time.sleep(max(0.0, min(1.0, until - time.monotonic())))  # as the engine does, first of all
        if service.poll() is not None:
            return found
        if "test" in task:
            answered = try_health(task, until)
            is_over = answered["code"] == 0
            if not is_over and task["start_s"] < time.monotonic() - started and time.monotonic() < until:
                failures += 1
                is_over = failures >= task["retries"]
        else:
            answered = ask(task, until)
            is_over = is_wanted(task, answered)
        if is_over or not found or time.monotonic() < until:  # else it was cut short, and the one before says more
            found = answered
        if is_over or time.monotonic() >= until:
            return found
        time.sleep(POLL_S)  # a service does not say when it is ready


def main(task):
    """Start the service, follow it, and say what was found."""
    with tempfile.TemporaryFile() as output:
        try:
            service = subprocess.Popen(task["command"], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        except OSError as error:
            return {"not_started": str(error)}
        found = follow(task, service)
        code = service.poll()
        if code is None:
            service.send_signal(signal.SIGKILL)
            service.wait()
        output.seek(max(0, output.seek(0, 2) - KEEP_BYTES))
        tail = output.read().decode("utf-8", "replace")
    return {"last": found, "code": code, "tail": "\n".join(tail.splitlines()[-20:])}


question = json.loads(sys.argv[1])
sys.stdout.write(json.dumps({"service": question["nonce"], **main(question)}) + "\n")
sys.stdout.flush()
