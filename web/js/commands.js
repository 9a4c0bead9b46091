// What a message that starts with `/` does. `//` says a message that starts with `/`.

import { openHelp } from "./dialogs.js";
import { byName, list, number, t } from "./i18n.js";
import * as outbox from "./outbox.js";
import { explain } from "./refusals.js";
import { goTo } from "./route.js";
import { askWho, enter, leave } from "./rooms.js";
import { connection, isOnline, rename } from "./session.js";
import { changed, ensurePerson, openTalk, room } from "./store.js";

/** What a person reads when a command can't be carried out. */
export class Problem extends Error {}

/**
 * `args` are word keys, a `?` means that it may be left out. `run` throws a `Problem`, or the server's refusal, for which
 * `about` names what was asked for.
 * @typedef {{name: string, aliases: string[], args: string[], isLocal?: boolean, run: (rest: string) => any, about?: (rest: string) => object}} Command
 */

/** @type {Command[]} */
export const COMMANDS = [
  {
    name: "nick",
    aliases: ["rename"],
    args: ["arg_name"],
    run: rename,
    about: (rest) => ({ name: rest, isNick: true }),
  },
  {
    name: "join",
    aliases: [],
    args: ["arg_room"],
    run: async (rest) => goTo(await enter(rest)),
    about: (rest) => ({ room: rest, name: rest }),
  },
  { name: "leave", aliases: [], args: ["arg_room?"], isLocal: true, run: leaveNamed },
  { name: "msg", aliases: ["w", "to"], args: ["arg_name", "arg_text?"], isLocal: true, run: tell },
  { name: "who", aliases: [], args: [], run: who },
  { name: "topic", aliases: [], args: ["arg_text?"], run: topic },
  { name: "help", aliases: [], args: [], isLocal: true, run: openHelp },
];

/** How a command is written: "/msg name [text]". @param {Command} command */
export function usage({ name, args }) {
  const words = args.map((arg) => (arg.endsWith("?") ? `[${t(arg.slice(0, -1))}]` : t(arg)));
  return [`/${name}`, ...words].join(" ");
}

/** Commands that begin like `typed`, which is "/" and letters. @param {string} typed */
export const matching = (typed) => COMMANDS.filter(({ name }) => `/${name}`.startsWith(typed.toLowerCase()));

export const isCommand = (text) => text.startsWith("/") && !text.startsWith("//");

/** Carries out a command. Rejects with a `Problem` in people's words. @param {string} text */
export async function run(text) {
  const [, name, rest] = /^\/(\S*)\s*(.*)$/su.exec(text.replaceAll("\n", " ").trim());
  const command = COMMANDS.find(
    (each) => each.name === name.toLowerCase() || each.aliases.includes(name.toLowerCase()),
  );
  if (!command) throw new Problem(t("unknownCommand", { name: `/${name}` }));
  const isNeeded = command.args[0] && !command.args[0].endsWith("?");
  if (isNeeded && rest === "") throw new Problem(t("needs", { usage: usage(command) }));
  if (!command.isLocal && !isOnline()) throw new Problem(t("notWhileAway"));
  try {
    await command.run(rest);
  } catch (refusal) {
    if (refusal instanceof Problem || !refusal.code) throw refusal;
    throw new Problem(explain(refusal, { room: openTalk()?.name, ...command.about?.(rest) }));
  }
}

function leaveNamed(rest) {
  const talk = rest ? room(rest) : openTalk();
  if (!talk) throw new Problem(explain({ code: "not_a_member" }, { room: rest }));
  leave(talk);
}

function tell(rest) {
  const [, name, text] = /^@?(\S+)\s*(.*)$/su.exec(rest) ?? [];
  if (!name) throw new Problem(t("needs", { usage: usage(COMMANDS.find((command) => command.name === "msg")) }));
  const talk = ensurePerson(name);
  goTo(talk);
  if (text) outbox.say(talk, text);
}

async function who() {
  const talk = openRoom();
  const names = await askWho(talk);
  const text = names
    ? t("whoIs", { names: list([...names].sort(byName)) })
    : t("tooManyToList", { count: number(talk.count) });
  talk.timeline.note({ kind: "note", text });
  changed("log");
}

async function topic(rest) {
  const talk = openRoom();
  if (rest) {
    await connection.request("topic", { room: talk.name, text: rest });
    return;
  }
  talk.timeline.note({ kind: "note", text: talk.topic ? t("topicIs", { text: talk.topic }) : t("noTopic") });
  changed("log");
}

function openRoom() {
  const talk = openTalk();
  if (talk?.kind !== "room") throw new Problem(t("notHere"));
  return talk;
}
