// Stock socket.io-client, with promises.

import { within } from "./harness.js";

/** A client that ends with the test. It comes back quickly, so that tests need not wait for it. */
export function client(t, io, server, options = {}) {
  const socket = io(server.url, { forceNew: true, reconnectionDelay: 50, reconnectionDelayMax: 200, ...options });
  t.after(() => socket.disconnect());
  return socket;
}

/** Emits an event and waits for its acknowledgment. */
export function ask(socket, event, ...args) {
  return within(new Promise((resolve) => socket.emit(event, ...args, resolve)), `the acknowledgment of ${event}`);
}
