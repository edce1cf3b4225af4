// Peer: socket.io for Node with its defaults and the native helper of `ws`. PORT is the argument.
// SECRET: access tokens are verified as Plaza signs them. REDIS_URL: several processes are one.
const { createServer } = require("http");
const { randomUUID } = require("crypto");
const { Server } = require("socket.io");

const { SECRET, REDIS_URL } = process.env;

async function adapter() {
  const { createClient } = require("redis");
  const { createAdapter } = require("@socket.io/redis-adapter");
  const publisher = createClient({ url: REDIS_URL });
  const subscriber = publisher.duplicate();
  await Promise.all([publisher.connect(), subscriber.connect()]);
  return createAdapter(publisher, subscriber);
}

function verified(socket, next) {
  const jwt = require("jsonwebtoken");
  const rules = { algorithms: ["HS256"], audience: "plaza", issuer: "plaza" };
  jwt.verify(socket.handshake.auth.token ?? "", SECRET, rules, (error, claims) => {
    if (error) return next(error);
    socket.data.userId = claims.sub;
    next();
  });
}

// The shape of Plaza's new_message; nothing is stored.
function message(socket, { conversationId, text, clientId }, seq) {
  return {
    id: randomUUID(), conversationId, seq, from: socket.data.userId, to: null, text, mediaUrl: null, mediaType: null,
    replyTo: null, reactions: {}, read: false, readAt: null, editedAt: null, deletedAt: null, clientId,
    createdAt: new Date().toISOString(), rev: 0,
  };
}

async function main() {
  const http = createServer();
  const io = new Server(http, REDIS_URL ? { adapter: await adapter() } : {});
  let seq = 0;
  if (SECRET) io.use(verified);
  io.on("connection", (socket) => {
    socket.data.userId ??= randomUUID();
    socket.join("everyone");
    socket.on("typing", ({ conversationId, isTyping }) => {
      socket.to("everyone").emit("typing_indicator", { conversationId, userId: socket.data.userId, isTyping });
    });
    socket.on("send_message", (body, ack) => {
      const data = message(socket, body, ++seq);
      io.to("everyone").emit("new_message", data);
      ack?.({ ok: true, data });
    });
    socket.on("ping", (_body, ack) => ack({ ok: true, data: { time: Date.now() } }));
  });
  http.listen({ port: Number(process.argv[2]), host: "127.0.0.1", backlog: 4096 });
}

main();
