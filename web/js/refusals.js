// The server's refusals, in people's words: by code, with what was asked for filled in.

import { has, number, t } from "./i18n.js";

/**
 * @param {{code: string, message?: string, capacity?: number}} refusal
 * @param {{room?: string, name?: string, isNick?: boolean}} [about]  what was asked for
 */
export function explain(refusal, about = {}) {
  const capacity = refusal.capacity ? number(refusal.capacity) : "";
  const values = { room: "", name: "", ...about, capacity };
  const special = about.isNick ? `error_${refusal.code}_nick` : "";
  if (special && has(special)) return t(special, values);
  if (has(`error_${refusal.code}`)) return t(`error_${refusal.code}`, values);
  return t("error_other", { message: refusal.message || refusal.code });
}
