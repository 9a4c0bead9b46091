// The page in a real Chromium: people at browsers and in terminals in one room, Korean input, hostile input, small
// screens, the keyboard alone. Screenshots go to target/screenshots.

import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { LINKS, MARKUP, NAMES } from "./hostile.js";
import { eventually, serve, together } from "./harness.js";
import { browse, Person } from "./page.js";

const shared = together();
let browser;
let server;
before(async () => {
  browser = await browse(shared);
  server = await serve(shared);
});

/** Each test has a room of its own on the shared server. */
const arrive = (t, room, options = {}, on = server) => Person.arrive(t, browser, on, { room, ...options });

async function terminal(t, room, on = server) {
  const tcp = await on.tcp();
  t.after(() => tcp.close());
  tcp.write(`/join ${room}`);
  await tcp.line(`* in ${room}`);
  return tcp;
}

describe("in one room", () => {
  it("two browsers and a terminal hear each other, in the same order", async (t) => {
    const tcp = await terminal(t, "courtyard");
    const mina = await arrive(t, "courtyard", { nick: "mina" });
    const jun = await arrive(t, "courtyard", { nick: "jun" });
    tcp.write("from the terminal");
    for (const person of [mina, jun]) await person.sees("from the terminal");
    await mina.say("안녕하세요");
    await jun.sees("안녕하세요");
    await tcp.line("<mina> 안녕하세요");
    await jun.say("hello, mina");
    await tcp.line("<jun> hello, mina");
    for (const person of [mina, jun]) await person.seesExactly(["from the terminal", "안녕하세요", "hello, mina"]);
    await mina.screenshot("one-room");
  });

  it("who is here is shown, and changes", async (t) => {
    const mina = await arrive(t, "lobby1", { nick: "mina-1" });
    const tcp = await terminal(t, "lobby1");
    tcp.write("/nick sora");
    await mina.page.locator("#members", { hasText: "sora" }).waitFor();
    const members = await mina.page.locator("#members button").evaluateAll((all) => all.map((button) => button.dataset.nick));
    assert.deepEqual(members.sort(), ["mina-1", "sora"], "one's own new name, too");
    tcp.close();
    await mina.page.locator("#members", { hasText: "sora" }).waitFor({ state: "detached" });
  });

  it("what was said before is there for who comes later", async (t) => {
    for (let nr = 1; nr <= 20; nr++) await server.say("past", "jun-p", `earlier ${nr}.`);
    const mina = await arrive(t, "past");
    await mina.seesExactly(Array.from({ length: 20 }, (_, at) => `earlier ${at + 1}.`));
  });

  it("a message to one person alone arrives there alone", async (t) => {
    const mina = await arrive(t, "alone", { nick: "mina-2" });
    const jun = await arrive(t, "alone", { nick: "jun-2" });
    await mina.command("/msg jun-2 just for you");
    await jun.page.locator("#rooms a", { hasText: "mina-2" }).click();
    await jun.sees("just for you");
  });

  it("a name that somebody has is refused with the reason under the box", async (t) => {
    const tcp = await terminal(t, "taken");
    tcp.write("/nick first");
    await tcp.line("now first");
    const mina = await arrive(t, "taken");
    await mina.command("/nick First");
    await mina.page.locator("#reason.wrong", { hasText: "First" }).waitFor();
    assert.equal(await mina.composer.inputValue(), "/nick First", "what failed comes back into the box");
    await mina.screenshot("refusal");
  });
});

describe("a lost connection", () => {
  it("is shown, and nothing is lost or doubled across a restart of the server", async (t) => {
    const server = await serve(t);
    const mina = await arrive(t, "plaza", { nick: "mina" }, server);
    await mina.say("before");
    await mina.sees("before");
    await server.stop();
    await mina.page.locator("#bar").waitFor();
    await mina.screenshot("connection-lost");
    await mina.say("said while away");
    await mina.page.locator("#lines .unconfirmed", { hasText: "said while away" }).waitFor();
    await server.start();
    await server.say("plaza", "jun", "missed");
    await mina.online();
    await mina.page.locator("#bar").waitFor({ state: "hidden" });
    await mina.sees("said while away");
    await server.say("plaza", "jun", "after");
    await mina.sees("after");
    const texts = await mina.texts();
    assert.deepEqual([...texts].sort(), ["after", "before", "missed", "said while away"]);
    assert.equal(await mina.page.locator("#me-name").textContent(), "mina", "the name is still hers");
    const { body } = await server.api("/api/rooms/plaza/events");
    assert.deepEqual(body.events.filter(({ ev }) => ev === "said").map(({ text }) => text), texts, "in the order of the log");
  });

  it("after kill -9 the page comes back by itself", async (t) => {
    const server = await serve(t, { config: `[[room]]\nmatch = "*"\ndurability = "sync"\n` });
    const mina = await arrive(t, "plaza", { nick: "mina" }, server);
    await mina.say("before");
    await mina.sees("before");
    await server.kill();
    await mina.page.locator("#bar").waitFor();
    await server.start();
    await mina.online();
    await mina.say("here again");
    await mina.sees("here again");
    await mina.seesExactly(["before", "here again"]);
  });
});

describe("Korean input", () => {
  /** What an input method does, through the browser's own interface for it. */
  async function typist(person) {
    const cdp = await person.context.newCDPSession(person.page);
    const key = (type, code) => cdp.send("Input.dispatchKeyEvent", { type, key: "Enter", code: "Enter", windowsVirtualKeyCode: code, nativeVirtualKeyCode: code });
    return {
      compose: (text) => cdp.send("Input.imeSetComposition", { text, selectionStart: text.length, selectionEnd: text.length }),
      commit: (text) => cdp.send("Input.insertText", { text }),
      /** Enter as it comes while a syllable is being composed. */
      async enterWhileComposing() {
        await key("rawKeyDown", 229);
        await key("keyUp", 13);
      },
    };
  }

  it("Enter in the middle of a syllable sends nothing, the next one sends it once", async (t) => {
    const tcp = await terminal(t, "hangul");
    const mina = await arrive(t, "hangul", { nick: "mina-k", locale: "ko-KR" });
    await mina.composer.focus();
    const hands = await typist(mina);
    for (const part of ["ㅇ", "아", "안"]) await hands.compose(part);
    await hands.enterWhileComposing();
    await hands.compose("안");
    await hands.enterWhileComposing();
    assert.equal(await mina.composer.inputValue(), "안");
    await hands.commit("안");
    await hands.compose("녕");
    await mina.page.keyboard.press("Enter");
    assert.equal(await mina.composer.inputValue(), "안녕", "whoever presses Enter is still composing");
    await hands.commit("녕");
    await mina.page.keyboard.press("Enter");
    await mina.sees("안녕");
    // Anything that was sent before it, or twice, would stand between these two.
    await mina.say("끝");
    await tcp.line("<mina-k> 끝").catch(() => {});
    await mina.seesExactly(["안녕", "끝"]);
    assert.equal(await mina.composer.inputValue(), "");
    await mina.screenshot("korean");
  });

  it("a name and a room are not cut in the middle of a syllable either", async (t) => {
    const mina = await arrive(t, "hangul2", { locale: "ko-KR" });
    const hands = await typist(mina);
    await mina.page.locator("#me").click();
    await mina.page.locator("#nick-name").focus();
    await hands.compose("미");
    await hands.enterWhileComposing();
    assert(await mina.page.locator("#nick-dialog").isVisible(), "the sheet is still open");
    await hands.commit("미나");
    await mina.page.keyboard.press("Enter");
    await mina.page.locator("#me-name", { hasText: "미나" }).waitFor();
  });

  it("what was typed decomposed is sent composed", async (t) => {
    const mina = await arrive(t, "hangul3");
    await mina.say("한글".normalize("NFD"));
    await mina.sees("한글");
    const { body } = await server.api("/api/rooms/hangul3/events");
    assert.equal(body.events.at(-1).text, "한글".normalize("NFC"));
  });
});

describe("hostile input", () => {
  /** Nothing of what was said may have become markup, or run. */
  async function isHarmless({ page }) {
    assert.equal(await page.evaluate(() => window.hacked), undefined);
    const strange = await page.locator("#lines .text *:not(a), #room-topic *, #members img, #members script, #rooms img").count();
    assert.equal(strange, 0, "text became elements");
    for (const link of await page.locator("#lines a").all()) {
      const href = await link.evaluate((a) => ({ href: a.href, text: a.textContent, rel: a.rel, user: a.username }));
      assert.match(href.href, /^https?:\/\//);
      assert.match(href.rel, /noopener/);
      assert.equal(href.user, "", href.text);
    }
  }

  it(`${MARKUP.length + LINKS.length} hostile messages are shown as what they are`, async (t) => {
    const payloads = [...MARKUP, ...LINKS];
    const mina = await arrive(t, "hostile", { nick: "mina-h" });
    for (const text of payloads) {
      const { status } = await server.say("hostile", "eve", text);
      assert.equal(status, 200, text);
    }
    await mina.seesExactly(payloads);
    await isHarmless(mina);
    // What links there are go where they say.
    await mina.screenshot("hostile");
    const late = await arrive(t, "hostile");
    await late.seesExactly(payloads);
    await isHarmless(late);
  });

  it("an address is a link, one that lies is not", async (t) => {
    const mina = await arrive(t, "links");
    for (const text of ["see https://example.org/a?b=1.", "javascript:alert(1)", "https://bank.example@evil.example/"]) await server.say("links", "eve", text);
    await mina.sees("bank.example");
    const links = await mina.page.locator("#lines a").evaluateAll((all) => all.map((a) => a.getAttribute("href")));
    assert.deepEqual(links, ["https://example.org/a?b=1"]);
  });

  it("hostile names are no names, at any door", async (t) => {
    const mina = await arrive(t, "names");
    for (const name of NAMES) {
      const { status } = await server.say("names", name, "hi");
      assert(status >= 400 && status < 500, `${JSON.stringify(name)} was taken: ${status}`);
    }
    for (const name of NAMES.filter((name) => name.trim() && !name.includes("\0"))) {
      await mina.command(`/nick ${name}`);
      await mina.page.locator("#reason.wrong").waitFor();
      await mina.composer.fill("");
    }
    await isHarmless(mina);
  });

  it("a hostile topic, and a hostile address, are text", async (t) => {
    const mina = await arrive(t, "topics", { nick: "mina-t" });
    await mina.command(`/topic ${MARKUP[1]}`);
    await mina.page.locator("#room-topic", { hasText: "<img" }).waitFor();
    for (const payload of MARKUP.slice(0, 12)) {
      await mina.page.evaluate((hash) => (location.hash = hash), encodeURIComponent(payload));
      await mina.page.locator("#room-name", { hasText: payload.slice(0, 10) }).waitFor();
    }
    await isHarmless(mina);
  });

  it("the page may not be framed, sniffed or fed from elsewhere", async () => {
    const { headers } = await fetch(server.url);
    const policy = headers.get("content-security-policy") ?? "";
    assert.match(policy, /default-src 'self'|default-src 'none'/);
    assert.doesNotMatch(policy, /unsafe-inline|unsafe-eval|\*|https?:/);
    assert.match(policy, /frame-ancestors 'none'|frame-ancestors 'self'/);
    assert.equal(headers.get("x-content-type-options"), "nosniff");
  });

  it("a policy that is broken would be noticed", async (t) => {
    const context = await browser.newContext();
    t.after(() => context.close());
    const page = await context.newPage();
    const violations = [];
    await page.exposeFunction("reportViolation", (text) => violations.push(text));
    await page.addInitScript(() => addEventListener("securitypolicyviolation", ({ violatedDirective }) => window.reportViolation(violatedDirective)));
    await page.goto(server.url);
    await page.evaluate(() => document.body.insertAdjacentHTML("beforeend", '<img src="x" onerror="window.hacked=1">'));
    await eventually("the policy is violated", () => violations.length > 0);
    assert.equal(await page.evaluate(() => window.hacked), undefined);
  });
});

describe("a phone", () => {
  const PHONE = { viewport: { width: 360, height: 640 }, isMobile: true, hasTouch: true };
  for (const locale of ["en-US", "ko-KR"]) {
    it(`nothing needs to be scrolled to the side at 360 pixels, ${locale}`, async (t) => {
      const room = `phone-${locale}`;
      const long = ["x".repeat(300), "안녕하세요".repeat(40), `https://example.org/${"a".repeat(200)}`, "a few words that are simply more than fit into one line of a phone"];
      for (const text of long) await server.say(room, "w".repeat(32), text);
      const mina = await arrive(t, room, { locale, ...PHONE });
      await mina.sees("a few words");
      await mina.fitsItsWidth("a room");
      await mina.screenshot(`phone-room-${locale}`);
      await mina.page.locator("#back").tap();
      await mina.page.locator("body[data-view=list]").waitFor();
      await mina.fitsItsWidth("the list");
      await mina.screenshot(`phone-list-${locale}`);
      await mina.page.locator("#join-open").tap();
      await mina.fitsItsWidth("joining");
      await mina.page.locator("#join-dialog [data-close]").tap();
      await mina.page.locator("#help-open").tap();
      await mina.fitsItsWidth("help");
      await mina.screenshot(`phone-help-${locale}`);
      await mina.page.locator("#help-dialog [data-close]").tap();
      await mina.page.locator("#rooms a", { hasText: room }).tap();
      await mina.page.locator("body[data-view=talk]").waitFor();
      await mina.page.locator("#people-toggle").tap();
      await mina.page.locator("#members button").first().waitFor();
      await mina.fitsItsWidth("who is here");
      await mina.screenshot(`phone-people-${locale}`);
    });
  }

  it("says something with a thumb alone", async (t) => {
    const mina = await arrive(t, "thumb", PHONE);
    await mina.composer.fill("by thumb");
    await mina.page.locator("#send").tap();
    await mina.sees("by thumb");
  });
});

describe("the keyboard alone", () => {
  it("everything can be done: write, another room, back, help, a name", async (t) => {
    const { page, ...mina } = await arrive(t, "keys-1");
    const { keyboard } = page;
    const focused = () => page.evaluate(() => document.activeElement.id);
    await page.locator("#composer:focus").waitFor();
    await keyboard.type("typed");
    await keyboard.press("Enter");
    await page.locator("#lines .message:not(.unconfirmed)", { hasText: "typed" }).waitFor();
    await keyboard.press("Escape");
    assert.equal(await focused(), "log");
    await keyboard.press("?");
    await page.locator("#help-dialog[open]").waitFor();
    await keyboard.press("Escape");
    await page.locator("#help-dialog[open]").waitFor({ state: "detached" });
    await keyboard.press("/");
    assert.equal(await focused(), "composer");
    await keyboard.press("Control+k");
    await page.locator("#join-dialog[open]").waitFor();
    await keyboard.type("keys-2");
    await keyboard.press("Enter");
    await page.locator("#room-name", { hasText: "keys-2" }).waitFor();
    await keyboard.press("Alt+ArrowUp");
    await page.locator("#room-name", { hasText: "keys-1" }).waitFor();
    await keyboard.press("Alt+ArrowDown");
    await page.locator("#room-name", { hasText: "keys-2" }).waitFor();
    await page.locator("#composer:focus").waitFor();
    await keyboard.type("/nick keyboarder");
    await keyboard.press("Enter");
    await page.locator("#me-name", { hasText: "keyboarder" }).waitFor();
    assert.deepEqual(mina.wrong, []);
  });

  it("Tab reaches everything, each with a name and a visible focus", async (t) => {
    const { page } = await arrive(t, "tabs");
    await page.locator("#composer:focus").waitFor();
    const reached = new Map();
    for (let presses = 0; presses < 60; presses++) {
      await page.keyboard.press("Tab");
      const { id, name, hasRing } = await page.evaluate(() => {
        const node = document.activeElement;
        const name = node.getAttribute("aria-label") ?? (node.textContent.trim() || node.title || node.labels?.[0]?.textContent || "");
        // A ring, or the border of the box around it in another colour.
        const look = () => {
          for (const animation of document.getAnimations()) animation.finish();
          return [node, node.parentElement].map((each) => {
            const { outlineStyle, borderColor, boxShadow } = getComputedStyle(each);
            return `${outlineStyle} ${borderColor} ${boxShadow}`;
          });
        };
        const focused = look().join();
        node.blur();
        const hasRing = look().join() !== focused;
        node.focus();
        return { id: node.id || node.dataset.nick || node.dataset.talk || node.tagName, name, hasRing };
      });
      if (reached.has(id) && id !== "BODY") break;
      reached.set(id, { name, hasRing });
    }
    for (const id of ["skip", "join-open", "me", "language", "theme", "help-open", "people-toggle", "leave", "log", "composer"]) {
      assert(reached.has(id), `${id} can't be reached; Tab went to ${[...reached.keys()]}`);
    }
    for (const [id, { name, hasRing }] of reached) {
      if (id === "BODY") continue;
      assert(id === "log" || name !== "", `${id} has no name`);
      assert(hasRing, `${id} doesn't show that it has the focus`);
    }
  });

  it("a screen reader finds the parts by their names, in both languages", async (t) => {
    for (const [locale, write, send] of [["en-US", "Write to reader", "Send"], ["ko-KR", "reader", "보내기"]]) {
      await server.say("reader", "jun-r", "hello reader");
      const mina = await arrive(t, "reader", { locale });
      await mina.sees("hello reader");
      await mina.inside("reader");
      const tree = await mina.page.locator("body").ariaSnapshot();
      for (const part of [/- main/, /- navigation/, /- log/, /textbox ".*reader.*"/, /button ".+"/, /heading "reader"/, /complementary/]) {
        assert.match(tree, part);
      }
      assert.match(tree, new RegExp(`textbox "[^"]*${write}`), tree);
      assert.match(tree, new RegExp(`button "${send}"`), tree);
      assert.doesNotMatch(tree, /- (button|textbox|link|img)(?: \[[^\]]*\])*:?$/m, "everything that one can use has a name");
    }
  });
});

describe("looks", () => {
  for (const [scheme, width] of [["light", 1280], ["dark", 1280], ["light", 768], ["dark", 360]]) {
    it(`a picture of a room, ${scheme}, ${width} wide`, async (t) => {
      for (const [from, text] of [["jun-l", "안녕하세요"], ["jun-l", "오늘 7시 맞죠?"], ["sora-l", "Yes, at seven."]]) await server.say("pictures", from, text);
      const mina = await arrive(t, "pictures", { colorScheme: scheme, viewport: { width, height: 720 }, locale: "ko-KR" });
      await mina.sees("Yes, at seven.");
      await mina.fitsItsWidth(`${scheme}, ${width}`);
      await mina.screenshot(`room-${scheme}-${width}`);
    });
  }
});
