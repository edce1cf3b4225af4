// A chat app in the small, written with the official client as an app's author would write it.
//
// It knows how far it is in each conversation, asks for what it lacks after every connect and at every gap, and
// shows each message once and in order. argv: one JSON object {url, token, ...options of the client}.
// stdin: orders, a line of JSON each. stdout: what happens, a line of JSON each. It leaves when stdin ends.

import { createInterface } from "node:readline";
import { io } from "socket.io-client";

const PATIENCE = 5000;

const tell = (what, value) => console.log(JSON.stringify({ [what]: value }));

const { url, token, ...options } = JSON.parse(process.argv[2]);
const socket = io(url, { auth: { token }, ...options });

// -- what it shows

const shown = new Map(); // conversation id → seq of the last message shown
let pos; // of the log of changes; unknown until the first sync

const next = (conversationId) => (shown.get(conversationId) ?? 0) + 1;

function show(message) {
  if (message.seq !== next(message.conversationId)) return;
  shown.set(message.conversationId, message.seq);
  tell("message", message);
}

socket.on("new_message", (message) => {
  tell("live", message.seq);
  if (message.seq > next(message.conversationId)) {
    discover(message.conversationId);
    catchUp();
  } else {
    show(message);
  }
});

// -- how it catches up

let lacking = false;
let catching = false;

async function catchUp() {
  lacking = true;
  if (catching) return;
  catching = true;
  try {
    while (lacking) await sync();
    tell("synced", Object.fromEntries(shown));
  } catch (error) {
    tell("sync_failed", error.message); // disconnected meanwhile: the next connect asks again
  } finally {
    catching = false;
  }
}

async function sync() {
  lacking = false;
  const have = { streams: Object.fromEntries(shown), updates: pos };
  const { ok, data, error } = await socket.timeout(PATIENCE).emitWithAck("sync", have);
  if (!ok) throw new Error(error.message);
  const { streams, updates } = data;
  pos = updates.pos;
  for (const { event, data } of updates.entries) {
    if (event === "conversation_updated") discover(data.conversationId);
  }
  for (const page of Object.values(streams)) {
    page.messages.forEach(show);
    lacking ||= page.more;
  }
  lacking ||= updates.more;
}

function discover(conversationId) {
  if (shown.has(conversationId)) return;
  shown.set(conversationId, 0);
  lacking = true;
}

// -- its connection

socket.io.on("open", () => {
  const { engine } = socket.io;
  tell("opened", engine.transport.name);
  engine.on("upgrade", (transport) => tell("upgraded", transport.name));
});

socket.io.on("ping", () => tell("pinged", true));

socket.on("connect", () => {
  tell("connected", socket.id);
  catchUp();
});

socket.on("disconnect", (reason) => tell("disconnected", { reason, returns: socket.active }));

socket.on("connect_error", ({ message, data, description }) => {
  tell("refused", { message, data, because: description?.message ?? description, returns: socket.active });
});

socket.on("server_draining", ({ reconnect_after_ms }) => {
  setTimeout(() => socket.disconnect().connect(), reconnect_after_ms);
});

socket.onAny((event, data) => {
  if (event !== "new_message") tell("heard", { event, data });
});

// -- its orders

const orders = {
  async call([event, body]) {
    try {
      tell("answer", await socket.timeout(PATIENCE).emitWithAck(event, body));
    } catch (error) {
      tell("unanswered", error.message);
    }
  },
  connect(token) {
    socket.auth = { token };
    socket.connect();
  },
};

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const [[order, value]] = Object.entries(JSON.parse(line));
    orders[order](value);
  })
  .on("close", () => socket.disconnect());
