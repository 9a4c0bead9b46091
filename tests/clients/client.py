"""A client of python-socketio in one room: joins, says, hears, and comes back when the server does."""

import json
import sys

import socketio

url, room, nick, *transports = sys.argv[1:]
sio = socketio.Client(reconnection_delay=0.1, reconnection_delay_max=0.5, randomization_factor=0)
connections = 0


def show(*words):
    # In one piece: events are handled on threads of their own.
    sys.stdout.write(" ".join(map(str, words)) + "\n")


@sio.event
def connect():
    global connections
    connections += 1
    reply = sio.call("join", {"room": room})
    if connections > 1:
        show("back")
        return
    show("joined", json.dumps(reply["members"]))
    show("said", sio.call("say", {"room": room, "text": "from python"})["seq"])


# Beside the event there is its offset, for clients that can recover; this one hands it on to us.
@sio.on("said")
def said(event, offset=None):
    show("heard", event["from"], event["text"])
    if event["text"] == "from a terminal":
        show("refused", sio.call("say", {"room": "nowhere", "text": "x"})["error"]["code"])
    if event["text"] == "the end":
        sio.disconnect()


sio.connect(url, auth={"nick": nick}, transports=transports)
sio.wait()
