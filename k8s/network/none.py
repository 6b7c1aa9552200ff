"""The network API of a deployment that has no networks.

Nova asks it of every server, even of one without a network, and shows none while nobody answers. Until
Neutron is here, this answers that nothing there is: every collection is empty, and nothing can be made.
It keeps nothing and knows no secret.
"""

import json


def application(environ, start_response):
    method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"].strip("/")
    parts = path.split("/")
    if method != "GET":
        return answer(start_response, "501 Not Implemented", error("there is no network service"))
    if parts[0] != "v2.0":
        version = {"id": "v2.0", "status": "CURRENT", "links": []}
        return answer(start_response, "200 OK", {"versions": [version]})
    if len(parts) == 2:
        return answer(start_response, "200 OK", {parts[1].replace("-", "_"): []})
    return answer(start_response, "404 Not Found", error(f"there is no {path}"))


def error(message):
    return {"NeutronError": {"type": "NotFound", "message": message, "detail": ""}}


def answer(start_response, status, body):
    start_response(status, [("Content-Type", "application/json")])
    return [json.dumps(body).encode()]
