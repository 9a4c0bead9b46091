// The page in a real browser, as somebody uses it.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { chromium } from "playwright-core";
import { eventually, PATIENCE_MS, TARGET } from "./harness.js";

const PROGRAM = process.env.MADANG_CHROMIUM ?? "/usr/bin/chromium";
const SCREENSHOTS = path.join(TARGET, "screenshots");
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"];

/** A browser for all tests of a file: each person has a profile of their own in it. */
export async function browse(t) {
  const browser = await chromium.launch({ executablePath: PROGRAM, args: FLAGS, headless: true, timeout: 3 * PATIENCE_MS });
  t.after(() => browser.close());
  return browser;
}

/** Somebody at the page. */
export class Person {
  /**
   * Opens the page, and checks when the test ends that it did nothing that it must not do.
   * @param {{nick?: string, room?: string, expectsViolations?: boolean}} [options] and what a playwright context takes
   */
  static async arrive(t, browser, server, { nick, room = "plaza", ...options } = {}) {
    const person = new Person();
    const context = await browser.newContext({ locale: "en-US", viewport: { width: 1000, height: 700 }, ...options });
    context.setDefaultTimeout(PATIENCE_MS);
    person.context = context;
    person.wrong = [];
    const wrong = (what) => person.wrong.push(what);
    context.on("request", (request) => request.url().startsWith(`${server.url}/`) || wrong(`asks ${request.url()}`));
    await context.exposeBinding("reportViolation", (_, text) => wrong(`violates the policy: ${text}`));
    await context.addInitScript(() => {
      addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => window.reportViolation(`${violatedDirective} ${blockedURI}`));
    });
    context.on("page", (page) => {
      page.on("pageerror", (error) => wrong(`throws ${error}`));
      page.on("dialog", (dialog) => {
        wrong(`says ${dialog.message()}`);
        dialog.dismiss();
      });
    });
    t.after(async () => {
      await context.close();
      assert.deepEqual(person.wrong, [], "what the page must not do");
    });
    person.page = await context.newPage();
    await person.page.goto(`${server.url}/${room ? `#${room}` : ""}`);
    await person.online();
    if (nick) await person.rename(nick);
    return person;
  }

  get composer() {
    return this.page.locator("#composer");
  }

  get log() {
    return this.page.getByRole("log");
  }

  online() {
    return this.page.locator("#connection[data-state=online]").waitFor({ state: "attached" });
  }

  /** Is in the room, not only connected. */
  inside(room) {
    return this.page.locator(`#rooms a.in[aria-current=page]`, { hasText: room }).waitFor({ state: "attached" });
  }

  async rename(nick) {
    await this.command(`/nick ${nick}`);
    await this.page.locator("#me-name", { hasText: nick }).waitFor({ state: "attached" });
  }

  /** Types, and sends with Enter. */
  async say(text) {
    await this.composer.fill(text);
    await this.composer.press("Enter");
  }

  async command(text) {
    await this.composer.fill(text);
    // The space ends the list of commands that are offered.
    await this.composer.press("Enter");
  }

  /** Waits until a message is shown, and confirmed where it is one's own. */
  sees(text) {
    return this.page.locator("#lines .message:not(.unconfirmed)", { hasText: text }).first().waitFor();
  }

  /** What the messages say, in order. */
  texts() {
    return this.page.locator("#lines .message .text").allTextContents();
  }

  async seesExactly(texts) {
    let shown;
    const isSo = async () => {
      shown = await this.texts();
      return JSON.stringify(shown) === JSON.stringify(texts);
    };
    await eventually("the page shows these messages", isSo).catch(() => assert.deepEqual(shown, texts));
  }

  async screenshot(name) {
    fs.mkdirSync(SCREENSHOTS, { recursive: true });
    await this.page.screenshot({ path: path.join(SCREENSHOTS, `${name}.png`), animations: "disabled" });
  }

  /** Nothing may stand out of the screen to the side. */
  async fitsItsWidth(where) {
    const { scroll, client, wide } = await this.page.evaluate(() => {
      const { scrollWidth, clientWidth } = document.documentElement;
      const isWide = (node) => node.checkVisibility() && node.getBoundingClientRect().right > clientWidth + 1 && !node.closest("svg");
      return { scroll: scrollWidth, client: clientWidth, wide: [...document.querySelectorAll("main *, nav *, dialog[open] *")].filter(isWide).map((node) => node.outerHTML.slice(0, 120)) };
    });
    assert(scroll <= client, `${where}: ${scroll} wide on a screen of ${client}`);
    return wide;
  }
}
