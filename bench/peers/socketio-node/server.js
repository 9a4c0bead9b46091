// Rooms on Node's socket.io, as its documentation builds them: `join {room}` with an acknowledgment, and
// `say {room, text}`, which reaches the others of the room as `said {room, from, text}`.
//
//     node server.js PORT
//
// Port 0 lets the system choose; the line `listening ADDRESS` on standard output tells which.
"use strict";

const { createServer } = require("node:http");
const { Server } = require("socket.io");

const http = createServer();
const io = new Server(http, {
  transports: ["websocket"],
  serveClient: false,
  // As its documentation advises for a server that has no use for compression or for the request of a handshake.
  perMessageDeflate: false,
  httpCompression: false,
});
io.engine.on("connection", (raw) => {
  raw.request = null;
});

io.on("connection", (socket) => {
  socket.on("join", ({ room }, answer) => {
    socket.join(room);
    answer({ room });
  });
  socket.on("say", ({ room, text }) => {
    socket.to(room).emit("said", { room, from: socket.id, text });
  });
});

http.listen({ port: Number(process.argv[2] ?? 0), host: "127.0.0.1", backlog: 4096 }, () => {
  const { address, port } = http.address();
  console.log(`listening ${address}:${port}`);
});
