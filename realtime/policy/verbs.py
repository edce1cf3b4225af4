"""The verbs: everything that somebody may, or may not, see of a person or do to one."""

from realtime.policy.words import Word


class Verb(Word):
    """What is asked for. Every route, every event and every publication names the one it needs."""

    # -- about no person in particular
    OPEN = "open", "Anybody, without a token."
    OWN = "own", "One's own things, and nobody else's: the actor is the token's owner."
    TAKE_PART = "take_part", "Anybody whose account is active."
    ADMINISTER = "administer", "Administrators, as the database has it now."
    MODERATE = "moderate", "Moderators and administrators, as the database has it now."
    READ_CONVERSATION = "read_conversation", "Members, as long as no block closes a direct conversation."
    MANAGE_CONVERSATION = (
        "manage_conversation",
        "Owner and admins of a group; muting it for oneself and leaving are for every member.",
    )

    # -- about a person
    SEE_PROFILE = "see_profile", "That there is such a person: name, handle, avatar."
    SEE_DETAILS = "see_details", "The whole profile."
    SEARCH = "search", "Finding them by words, and having them suggested."
    SEE_FRIENDS = "see_friends", "Their list of friends."
    SEE_PRESENCE = "see_presence", "Whether they are online, and hearing of it."
    SEE_LAST_SEEN = "see_last_seen", "When they were last there."
    BEFRIEND = "befriend", "Asking, accepting, rejecting, taking back, parting."
    BLOCK = "block", "Having nothing to do with them any more; saying it again is fine."
    UNBLOCK = "unblock", "Taking one's block back."
    REPORT = "report", "Telling moderators of them or of what they said."
    MESSAGE = "message", "Writing to them directly, and typing to them."
    SEE_CHAT = "see_chat", "The direct conversation with them: reading what was said."
    ADD_TO_GROUP = "add_to_group", "Making them a member of a group."
    SEE_TYPING = "see_typing", "That they type, in the direct conversation with them."
    SEE_RECEIPTS = "see_receipts", "How far they have read or received, in the direct conversation with them."
    CALL = "call", "Calling them."
    INVITE_TO_ROOM = "invite_to_room", "Inviting them to an audio room."
    SEE_POSTS = "see_posts", "Their posts and reels."
    SEE_STORY = "see_story", "What they show for a day."
    MENTION = "mention", "Naming them so that they are told."
    INVITE_TO_EVENT = "invite_to_event", "Inviting them to an event."
    SEE_EVENT = "see_event", "Their events, as far as the event itself is public or one is invited."
    MATCH = "match", "Being matched with them."
    RATE = "rate", "Rating them, when both attended an event."
    SEE_RATINGS = "see_ratings", "What others think of them."
    SEE_MEDIA = "see_media", "Their pictures and videos."
    NOTIFY = "notify", "One's doing is told to them, in their list of notifications."
    PUSH = "push", "The same, on their phone."
