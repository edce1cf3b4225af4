"""What was said in the town: messages of common and rare words, and what people look for in them."""

import random
from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import cache
from typing import Any

from common.clock import now
from common.ids import Id, new_id
from documents.conversations import Conversation, Member
from documents.database import Database
from documents.messages import Message
from documents.rows import rows
from documents.search import MessageWords, WordsRead
from realtime.features.search import rules

GROUPS, MESSAGES = 40, 1250
"""Groups of all searchers, and messages in each."""
COMMON = (
    "the and you that for with this have from they will what about which when your said there time like just",
    "know take people into year good some could them other than then now look only come over think also back",
)
OTHERS = (
    "train late cake bring start half past nine again morning umbrella station coffee meeting tomorrow",
    "garden rhubarb bicycle saxophone lighthouse 明天 图书馆 一起 吃饭 завтра встреча музей αύριο θάλασσα",
    "غدا مكتبة 내일 도서관",
)


def spoken(dice: random.Random) -> str:
    """What somebody looks for: beginnings, whole words, parts, several words, or what nobody has said."""
    word, other = dice.choice(_words_of(OTHERS)), dice.choice(_words_of(OTHERS))
    part = word[1:4] if len(word) > 4 else word
    common = dice.choice(_words_of(COMMON))
    return dice.choice((word, word[:3], part, "the", "zzxqy", f"{common} {word}", f"{word} {other}"))


async def talk(database: Database, members: Sequence[Id]) -> None:
    """Put groups and messages into the database, and the words of the messages."""
    dice = random.Random(4)
    for number in range(GROUPS):
        group = Conversation(
            kind="group", name=f"Group {number}", created_by=members[0], member_count=len(members)
        )
        places = [
            Member(conversation=group.id, user=one, role="owner" if one == members[0] else "member")
            for one in members
        ]

        async def work(session: Any, group: Conversation = group, places: Sequence[Member] = places) -> None:
            await Conversation.found(group, places, session)

        await database.transaction(work)
        said = list(_messages(dice, group.id, members, number))
        await rows(Message).insert_many(
            [one.model_dump(by_alias=True, exclude={"revision_id"}) for one in said], ordered=False
        )
        await MessageWords.add([_words(message) for message in said])
        await WordsRead.advance({group.id: MESSAGES})


@cache
def _words_of(lines: tuple[str, ...]) -> list[str]:
    return [word for line in lines for word in line.split()]


def _messages(dice: random.Random, group: Id, members: Sequence[Id], number: int) -> Iterator[Message]:
    at = now() - timedelta(minutes=GROUPS * MESSAGES)
    for seq in range(1, MESSAGES + 1):
        words = [
            dice.choice(_words_of(COMMON if dice.random() < 0.8 else OTHERS))
            for _ in range(dice.randint(3, 20))
        ]
        yield Message(
            conversation=group,
            seq=seq,
            sender=dice.choice(members),
            client_id=new_id(),
            body_hash="",
            text=" ".join(words),
            created_at=at + timedelta(minutes=GROUPS * seq, seconds=number),
        )


def _words(message: Message) -> MessageWords:
    return MessageWords(
        id=message.id,
        conversation=message.conversation,
        sender=message.sender,
        at=message.created_at,
        rev=0,
        grams=rules.grams_of(message.text),
    )
