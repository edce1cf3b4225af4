"""Snapshot at a position plus the entries behind it is a later snapshot, for every kind of entry."""

import random
from typing import Any

from tests.clients import Device, Person, sign_up
from tests.conftest import MakeSettings, StartNode

State = dict[str, Any]
DEEDS = ["direct", "group", "group", "read", "edit", "delete", "react", "rename"]


async def snapshot(person: Person, device: Device) -> State:
    """All of a person's conversations as HTTP shows them now, and where their log stands."""
    pos = (await device.call("sync", {}))["updates"]["pos"]
    conversations: State = {}
    for row in (await person.http.get("/api/messages/conversations?limit=100")).data:
        path = f"/api/conversations/{row['id']}/messages?limit=100"
        conversations[row["id"]] = {
            "name": row["name"],
            "seq": row["seq"],
            "members": {m["userId"]: [m["role"], m["readSeq"]] for m in row["members"]},
            "messages": {m["seq"]: plain(m) for m in (await person.http.get(path)).data},
        }
    return {"pos": pos, "conversations": conversations}


def plain(message: State) -> State:
    """A message without what its readers' positions say already."""
    return {key: value for key, value in message.items() if key not in {"read", "readAt"}}


async def catch_up(device: Device, state: State) -> None:
    """Apply what `sync` says, page by page, as a client does."""
    while True:
        streams = {key: conversation["seq"] for key, conversation in state["conversations"].items()}
        answer = await device.call("sync", {"streams": streams, "updates": state["pos"]})
        assert answer["updates"]["truncated"] is False
        for gone in answer["gone"]:
            del state["conversations"][gone]
        known = len(state["conversations"])
        for conversation, page in answer["streams"].items():
            apply_messages(state["conversations"][conversation], page["messages"])
        for entry in answer["updates"]["entries"]:
            assert entry["pos"] == state["pos"] + 1
            state["pos"] = entry["pos"]
            apply_entry(state, entry["event"], entry["data"])
        more = answer["updates"]["more"] or any(page["more"] for page in answer["streams"].values())
        if not more and known == len(state["conversations"]) and not answer["updates"]["entries"]:
            return


def apply_messages(conversation: State, messages: list[State]) -> None:
    for message in messages:
        assert message["seq"] == conversation["seq"] + 1
        conversation["seq"] = message["seq"]
        conversation["messages"][message["seq"]] = plain(message)
        read(conversation, message["from"], message["seq"])


def read(conversation: State, user: str, seq: int) -> None:
    if user in conversation["members"]:
        conversation["members"][user][1] = max(conversation["members"][user][1], seq)


def apply_entry(state: State, event: str, data: State) -> None:
    said = data.get("message", data)
    conversation = state["conversations"].get(said["conversationId"])
    if data.get("change") == "created" and conversation is None:
        fresh: State = {"name": data["name"], "seq": 0, "members": {}, "messages": {}}
        state["conversations"][data["conversationId"]] = fresh
    elif conversation is None:
        return
    elif event == "message_read":
        read(conversation, data["userId"], data["seq"])
    elif event == "conversation_updated":
        apply_change(conversation, data)
    elif message := conversation["messages"].get(said["seq"]):
        apply_to_message(message, event, said)


def apply_to_message(message: State, event: str, said: State) -> None:
    if message["deletedAt"]:
        return
    match event:
        case "message_updated":
            message.update(text=said["text"], editedAt=said["editedAt"])
        case "message_deleted":
            gone = {"text": "", "mediaUrl": None, "mediaType": None, "reactions": {}}
            message.update(gone, deletedAt=said["deletedAt"])
        case _:
            message["reactions"] = said["reactions"]


def apply_change(conversation: State, data: State) -> None:
    match data["change"]:
        case "renamed":
            conversation["name"] = data["name"]
        case "member_added":
            conversation["members"].setdefault(data["userId"], [data["role"], conversation["seq"]])
        case "member_removed":
            conversation["members"].pop(data["userId"], None)
        case "role_changed":
            conversation["members"][data["userId"]][0] = data["role"]
        case _:
            pass


class Life:
    """People who do random things to a direct conversation and a group, one after the other."""

    def __init__(self, people: list[Person], devices: list[Device], group: str, seed: int) -> None:
        self.people, self.devices, self.group = people, devices, group
        self.random = random.Random(seed)
        self.sent: list[tuple[int, str]] = []

    async def act(self) -> None:
        who = self.random.randrange(len(self.people))
        device = self.devices[who]
        other = self.people[(who + 1) % len(self.people)]
        deed = self.random.choice(DEEDS)
        if deed in {"direct", "group"}:
            where = {"to": other.id} if deed == "direct" else {"conversationId": self.group}
            sent = await device.send(f"text {self.random.random()}", **where)
            self.sent.append((who, sent["id"]))
            return
        if deed == "rename":
            name = f"club {self.random.randrange(100)}"
            await self.people[0].http.patch(f"/api/conversations/{self.group}", {"name": name})
            return
        if not self.sent:
            return
        author, message = self.random.choice(self.sent)
        bodies: dict[str, State] = {
            "read": {"messageId": message},
            "edit": {"messageId": message, "text": f"edit {self.random.random()}"},
            "delete": {"messageId": message},
            "react": {
                "messageId": message,
                "emoji": self.random.choice("👍🎉"),
                "on": self.random.random() < 0.7,
            },
        }
        actor = self.devices[author] if deed in {"edit", "delete"} else device
        await actor.ack("mark_read" if deed == "read" else f"{deed}_message", bodies[deed])


async def test_a_snapshot_plus_what_sync_says_is_a_later_snapshot(
    make_settings: MakeSettings, start_node: StartNode
) -> None:
    node = await start_node(make_settings(streams={"page": 7}))
    for seed in range(3):
        people = [await sign_up(node.url, name) for name in ("ann", "bob", "cyd")]
        devices = [await person.device() for person in people]
        ids = [person.id for person in people[1:]]
        founded = await people[0].http.post("/api/conversations", {"name": "club", "memberIds": ids})
        group = founded.data["id"]
        life = Life(people, devices, group, seed)
        for person in people[1:]:
            await devices[0].send("hello", to=person.id)
        await devices[1].send("hello", to=people[2].id)
        states = [await snapshot(person, device) for person, device in zip(people, devices, strict=True)]

        for _ in range(60):
            await life.act()

        for person, device, state in zip(people, devices, states, strict=True):
            await catch_up(device, state)
            assert state == await snapshot(person, device), f"seed {seed}"
        for person in people:
            await person.leave()


async def test_a_client_too_far_behind_is_told_so_and_gets_its_conversations(
    make_settings: MakeSettings, start_node: StartNode
) -> None:
    node = await start_node(make_settings(streams={"gap": 10, "snapshot": 4}))
    ann, bob = await sign_up(node.url, "ann"), await sign_up(node.url, "bob")
    anns = await ann.device()
    sent = [await anns.send(f"{n}", to=bob.id) for n in range(15)]
    for message in sent:
        await anns.call("react_message", {"messageId": message["id"], "emoji": "👍"})
    conversation = sent[0]["conversationId"]
    bobs = await bob.device()

    answer = await bobs.call("sync", {"streams": {conversation: 1}, "updates": 1})

    page = answer["streams"][conversation]
    assert (page["truncated"], [m["seq"] for m in page["messages"]]) == (True, [12, 13, 14, 15])
    assert answer["updates"]["truncated"] is True
    assert answer["updates"]["pos"] >= 16
    assert [(row["id"], row["unread"]) for row in answer["conversations"]] == [(conversation, 15)]
    for person in (ann, bob):
        await person.leave()
