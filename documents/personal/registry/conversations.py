"""Conversations, what is said in them, and uploads."""

from documents.conversations import Conversation, Departure, Member
from documents.media import Arriving, Media, UserImage
from documents.messages import Message
from documents.personal.chats import Closed, Forsaken, Silence, Unreact, in_which, own_reactions
from documents.personal.holdings import Copy, Delete, DeleteLast, Elsewhere, Holding, Keep, Replace
from documents.search import MessageWords, WordsRead, WordsSweep

CONVERSATIONS: tuple[Holding, ...] = (
    Holding(
        Message,
        {
            "sender": Silence(),
            "to": Elsewhere("Conversation.pair"),
            "reactions.*": Elsewhere("reactors"),
            "reactors": Unreact(),
        },
        others=("_id", "conversation", "reply_to"),
        copy=Copy(
            "messages",
            "sender",
            (
                "_id",
                "conversation",
                "seq",
                "to",
                "text",
                "media_url",
                "media_type",
                "reply_to",
                "created_at",
                "edited_at",
                "deleted_at",
            ),
        ),
        also=(Copy("reactions", "reactors", shape=own_reactions),),
    ),
    Holding(
        MessageWords,
        {"sender": Delete()},
        others=("_id", "conversation", "grams"),
        copy="parts of words of messages, which are copied whole",
    ),
    Holding(WordsRead, {}, others=("_id",), copy="about conversations"),
    Holding(WordsSweep, {}, others=("_id",), copy="about nobody"),
    Holding(
        Conversation,
        {"pair": Closed(), "created_by": Replace(), "gone": Keep("Pseudonyms.")},
        others=("_id",),
        copy=Copy("conversations", in_which, ("_id", "kind", "name", "member_count", "created_at")),
    ),
    Holding(
        Departure,
        {"user": Forsaken(), "heir": Replace()},
        others=("_id", "conversation"),
        copy="kept for a day, until everyone has been told",
    ),
    Holding(
        Member,
        {"user": DeleteLast()},
        others=("_id", "conversation"),
        copy=Copy(
            "memberships", "user", ("conversation", "role", "joined_at", "read_seq", "read_at", "muted")
        ),
    ),
    Holding(
        UserImage,
        {"owner": Delete()},
        others=("_id", "media"),
        copy=Copy("pictures", "owner", ("media", "image_type", "is_primary", "caption", "uploaded_at")),
    ),
    Holding(
        Arriving,
        {"owner": Elsewhere("realtime.features.media, whose bytes go first")},
        others=("_id", "key", "folder", "pieces.key", "media", "metadata"),
        copy="uploads on their way",
    ),
    Holding(
        Media,
        {"owner": Elsewhere("realtime.features.media, whose bytes go first"), "refs": Elsewhere("owner")},
        others=("_id", "folder", "files.key", "source.key", "mover"),
        copy=Copy("uploads", "owner", ("_id", "filename", "width", "height", "duration", "uploaded_at")),
    ),
)
